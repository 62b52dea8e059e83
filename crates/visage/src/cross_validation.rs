//! Probabilities of every image of a dataset by models that have not seen it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use visage_data::{Dataset, Split};
use visage_judge::Predictions;
use visage_run::predict::predictions;
use visage_run::{Recipe, RunFolder};

use crate::commands::{read_predictor, train};
use crate::compute::Compute;
use crate::error::CommandError;
use crate::output;
use crate::progress::Progress;

/// What to train, and where.
pub struct CrossValidation<'a> {
    /// How each model is trained. Its seed also draws the parts.
    pub recipe: &'a Recipe,
    /// The dataset.
    pub dataset: &'a Dataset,
    /// Where it lies.
    pub data: &'a Path,
    /// Parts, and models.
    pub folds: usize,
    /// Where the runs go, a folder a part.
    pub folder: &'a Path,
    /// Where to compute.
    pub compute: &'a Compute,
    /// The command to go on with, if it is stopped.
    pub resume_command: String,
    /// Images that go through a network together.
    pub batch_size: usize,
}

impl CrossValidation<'_> {
    /// Where the run of part number `part` goes.
    fn run(&self, part: usize) -> PathBuf {
        self.folder.join(format!("fold-{}-of-{}", part + 1, self.folds))
    }

    /// Trains a model without each part in turn, goes on with those that are there already, and asks each about its part.
    /// Row by row the images of the dataset, in its order.
    ///
    /// # Errors
    ///
    /// As training, and as asking; a run in the folder that began with another recipe or other data.
    pub fn predictions(&self) -> Result<Predictions, CommandError> {
        let seed = self.recipe.training.seed;
        let mut names = Vec::new();
        let (mut labels, mut probabilities) = (Vec::new(), Vec::new());
        for part in 0..self.folds {
            output::note(&format!("\n== part {} of {}", part + 1, self.folds));
            let mut dataset = self.dataset.clone();
            dataset.hold_out(part, self.folds, seed);
            let dataset = Arc::new(dataset);
            let run = self.run(part);
            train::train(&train::Training {
                recipe: self.recipe.clone(),
                dataset: Arc::clone(&dataset),
                data: self.data,
                split_seed: None,
                folder: &run,
                resume: RunFolder::holds_run(&run),
                accept_changes: false,
                tensorboard: false,
                compute: self.compute,
                resume_command: self.resume_command.clone(),
            })?;
            let (model, _) = read_predictor(&run, self.compute)?;
            let indices = dataset.indices(Split::Test);
            let mut progress = Progress::new("asking about what was left out", "images", indices.len() as u64);
            let told = |done: usize| progress.set(done as u64, String::new);
            let part = predictions(&model, &dataset, indices.clone(), self.batch_size, told)?;
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
