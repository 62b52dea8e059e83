//! Predictions for every image of a dataset by models that were trained without it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use visage_data::{Dataset, Split};
use visage_judge::Predictions;
use visage_model::{Model, Precision, Predictor};
use visage_run::RunFolder;
use visage_run::predict::predictions;

use crate::error::TrainError;

/// K-fold cross-validation: each fold is held out once, and the model trained without it predicts it.
#[derive(Clone, Debug)]
pub struct CrossValidation<'a> {
    /// The dataset.
    pub dataset: &'a Dataset,
    /// Number of folds, and of models; at least 2.
    pub folds: usize,
    /// Seed of the assignment of images to folds.
    pub seed: u64,
    /// The parent of the folds' run folders.
    pub folder: &'a Path,
    /// The device of the predictions.
    pub device: &'a Device,
    /// Images in a batch of the predictions.
    pub batch_size: usize,
}

/// One fold to train a model without.
#[derive(Clone, Debug)]
pub struct Fold {
    /// From 1.
    pub number: usize,
    /// The dataset with this fold as its test split.
    pub dataset: Arc<Dataset>,
    /// The folder of the run.
    pub folder: PathBuf,
    /// Whether the folder already holds a run, which is to be resumed.
    pub resume: bool,
}

impl CrossValidation<'_> {
    /// The predictions for every image, in the order of the dataset.
    ///
    /// `train` must leave a complete run in the fold's folder, or return an error. `progress` is called after every batch of
    /// a fold's predictions with the number of images done and of images in the fold.
    ///
    /// # Errors
    ///
    /// Those of `train`; [`TrainError`] when a fold cannot be predicted.
    pub fn predictions<E: From<TrainError>>(
        &self,
        mut train: impl FnMut(&Fold) -> Result<(), E>,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Predictions, E> {
        let samples = self.dataset.samples().len();
        let attributes = self.dataset.attributes();
        let width = attributes.len();
        let mut labels = vec![None; samples * width];
        let mut probabilities = vec![0.0; samples * width];
        for fold in 0..self.folds {
            let fold = self.fold(fold);
            train(&fold)?;
            let indices = fold.dataset.indices(Split::Test);
            let images = indices.len();
            let part = self.predict(&fold, &indices, |done| progress(done, images))?;
            for (row, index) in indices.into_iter().enumerate() {
                let (from, to) = (row * width..(row + 1) * width, index * width..(index + 1) * width);
                labels[to.clone()].copy_from_slice(&part.labels()[from.clone()]);
                probabilities[to].copy_from_slice(&part.probabilities()[from]);
            }
        }
        let targets = (0..samples * width).map(|cell| self.dataset.samples()[cell / width].probability(cell % width));
        let predictions = Predictions::new(attributes.to_vec(), labels, probabilities);
        Ok(predictions.and_then(|predictions| predictions.with_targets(targets.collect())).map_err(TrainError::from)?)
    }

    fn fold(&self, fold: usize) -> Fold {
        let mut dataset = self.dataset.clone();
        dataset.hold_out(fold, self.folds, self.seed);
        let folder = self.folder.join(format!("fold-{}-of-{}", fold + 1, self.folds));
        let resume = RunFolder::holds_run(&folder);
        Fold { number: fold + 1, dataset: Arc::new(dataset), folder, resume }
    }

    /// The predictions of a fold's model for the images `indices`, which it was trained without.
    fn predict(&self, fold: &Fold, indices: &[usize], progress: impl FnMut(usize)) -> Result<Predictions, TrainError> {
        let model = Model::read(&RunFolder::model_file(&fold.folder), self.device)?;
        let predictor = Predictor::new(&model, self.device, Precision::F32);
        Ok(predictions(&predictor, &fold.dataset, indices.to_vec(), self.batch_size, progress)?)
    }
}
