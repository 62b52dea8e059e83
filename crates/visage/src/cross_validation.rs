//! Cross-validation: predictions of every image of a dataset, by models that were trained without it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use visage_data::{Dataset, Split};
use visage_judge::Predictions;
use visage_run::predict::predictions;
use visage_run::{Recipe, RunFolder};
use visage_train::TrainSettings;

use crate::commands::{read_predictor, train};
use crate::compute::Compute;
use crate::error::CommandError;
use crate::output;
use crate::progress::Progress;

/// What to train, and where.
pub struct CrossValidation<'a> {
    /// The recipe of every model. Its seed also draws the parts.
    pub recipe: &'a Recipe,
    /// The dataset.
    pub dataset: &'a Dataset,
    /// The path of the dataset.
    pub data: &'a Path,
    /// Number of parts and models.
    pub folds: usize,
    /// The folder for the runs, one per part.
    pub folder: &'a Path,
    /// The devices.
    pub compute: &'a Compute,
    /// The command that resumes after an interruption.
    pub resume_command: String,
    /// Images that go through a network together.
    pub batch_size: usize,
}

impl CrossValidation<'_> {
    /// The run folder of a part.
    fn run(&self, part: usize) -> PathBuf {
        self.folder.join(format!("fold-{}-of-{}", part + 1, self.folds))
    }

    /// Trains a model without each part in turn, or resumes its run, and predicts the part with it. The predictions are in the order
    /// of the dataset.
    ///
    /// # Errors
    ///
    /// As training and predicting; a run in the folder that was started with another recipe or other data.
    pub fn predictions(&self) -> Result<Predictions, CommandError> {
        let mut names = Vec::new();
        let (mut labels, mut probabilities) = (Vec::new(), Vec::new());
        for part in 0..self.folds {
            output::note(&format!("\n== part {} of {}", part + 1, self.folds));
            let mut dataset = self.dataset.clone();
            dataset.hold_out(part, self.folds, self.recipe.training.seed);
            let dataset = Arc::new(dataset);
            let run = self.run(part);
            let settings = TrainSettings {
                resume: RunFolder::holds_run(&run),
                ..train::settings(self.recipe.clone(), Arc::clone(&dataset), self.data, &run, self.compute)
            };
            train::train(&settings, false, &self.resume_command)?;
            let (predictor, _) = read_predictor(&run, self.compute)?;
            let indices = dataset.indices(Split::Test);
            let mut progress = Progress::new("predicting the held-out part", "images", indices.len() as u64);
            let report = |done: usize| progress.set(done as u64, String::new);
            let part = predictions(&predictor, &dataset, indices.clone(), self.batch_size, report)?;
            let width = part.attributes().len();
            labels.resize(dataset.samples().len() * width, None);
            probabilities.resize(dataset.samples().len() * width, 0.0);
            for (row, index) in indices.into_iter().enumerate() {
                let (from, to) = (row * width..(row + 1) * width, index * width..(index + 1) * width);
                labels[to.clone()].copy_from_slice(&part.labels()[from.clone()]);
                probabilities[to].copy_from_slice(&part.probabilities()[from]);
            }
            names = part.attributes().to_vec();
        }
        Ok(Predictions::new(names, labels, probabilities)?)
    }
}
