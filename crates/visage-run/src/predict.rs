//! Running a model over images of a dataset.

use std::sync::Arc;

use thiserror::Error;
use visage_data::{DataError, Dataset, Loader, LoaderOptions, Preparation};
use visage_judge::{Predictions, probabilities};
use visage_model::Predictor;

/// Why a model cannot be run over a dataset.
#[derive(Debug, Error)]
pub enum PredictError {
    /// The dataset or one of its images.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Labels and probabilities that do not make predictions.
    #[error(transparent)]
    Judge(#[from] visage_judge::Error),
    /// The dataset does not have every attribute of the model.
    #[error("{dataset} lacks {} of the model's attributes: {}; attributes are matched by name", missing.len(), missing.join(", "))]
    MissingAttributes {
        /// The dataset.
        dataset: String,
        /// The attributes it lacks.
        missing: Vec<String>,
    },
}

/// Labels and a model's outputs for some images, both row-major, `images x attributes`.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledOutputs {
    /// The labels; `None` is unknown.
    pub labels: Vec<Option<bool>>,
    /// The probability that each label is present: 0 or 1 unless the dataset's labels are probabilities, NaN where it is unknown.
    pub targets: Vec<f32>,
    /// The outputs: logits, or probabilities.
    pub outputs: Vec<f32>,
}

/// Probabilities and labels of the images `indices` of `dataset`, in that order, for the model's attributes in the
/// model's order.
///
/// `progress` is called after every batch with the number of images done.
///
/// # Errors
///
/// [`PredictError::MissingAttributes`], or an image that cannot be read.
pub fn predictions(
    predictor: &Predictor,
    dataset: &Arc<Dataset>,
    indices: Vec<usize>,
    batch_size: usize,
    progress: impl FnMut(usize),
) -> Result<Predictions, PredictError> {
    let card = predictor.card();
    let LabelledOutputs { labels, targets, outputs } = logits(predictor, dataset, indices, batch_size, progress)?;
    let probabilities = probabilities(card.calibration.as_ref(), &outputs);
    Ok(Predictions::new(card.attributes.clone(), labels, probabilities)?.with_targets(targets)?)
}

/// Logits, before any calibration, and labels of the same images.
///
/// # Errors
///
/// As [`predictions`].
pub fn logits(
    predictor: &Predictor,
    dataset: &Arc<Dataset>,
    indices: Vec<usize>,
    batch_size: usize,
    progress: impl FnMut(usize),
) -> Result<LabelledOutputs, PredictError> {
    let card = predictor.card();
    let images = Images { attributes: &card.attributes, preparation: &card.preparation, dataset, indices, batch_size };
    images.outputs(|pixels, _| Ok(predictor.logits(pixels)), progress)
}

/// Images of a dataset, and how they are prepared for a network.
#[derive(Clone, Debug)]
pub struct Images<'a> {
    /// The attributes whose labels are read, in the order of the network's outputs.
    pub attributes: &'a [String],
    /// How an image becomes the network's input.
    pub preparation: &'a Preparation,
    /// The dataset.
    pub dataset: &'a Arc<Dataset>,
    /// Which of its images, in order.
    pub indices: Vec<usize>,
    /// Images in a batch.
    pub batch_size: usize,
}

impl Images<'_> {
    /// Runs `network` over the images: it is given a batch's prepared pixels and their number, and returns its outputs, row-major.
    ///
    /// `progress` is called after every batch with the number of images done.
    ///
    /// # Errors
    ///
    /// As [`predictions`], and the errors of `network`.
    pub fn outputs<E: From<PredictError>>(
        self,
        mut network: impl FnMut(&[u8], usize) -> Result<Vec<f32>, E>,
        mut progress: impl FnMut(usize),
    ) -> Result<LabelledOutputs, E> {
        let Self { attributes, preparation, dataset, indices, batch_size } = self;
        let columns = columns(attributes, dataset)?;
        let values = indices.len() * columns.len();
        let options = LoaderOptions::in_order(batch_size);
        let loader = Loader::new(Arc::clone(dataset), indices, preparation.clone(), options);
        let width = dataset.attributes().len();
        let (mut targets, mut outputs) = (Vec::with_capacity(values), Vec::with_capacity(values));
        let mut done = 0;
        for batch in loader.map_err(PredictError::from)? {
            let batch = batch.map_err(PredictError::from)?;
            outputs.extend(network(&batch.pixels, batch.indices.len())?);
            for row in batch.targets.chunks(width) {
                targets.extend(columns.iter().map(|&column| row[column]));
            }
            done += batch.indices.len();
            progress(done);
        }
        let known = |target: &f32| (!target.is_nan()).then_some(*target >= 0.5);
        Ok(LabelledOutputs { labels: targets.iter().map(known).collect(), targets, outputs })
    }
}

/// The dataset's column of each attribute.
fn columns(attributes: &[String], dataset: &Dataset) -> Result<Vec<usize>, PredictError> {
    let position = |name: &String| dataset.attributes().iter().position(|other| other == name);
    let missing: Vec<String> = attributes.iter().filter(|name| position(name).is_none()).cloned().collect();
    if missing.is_empty() {
        Ok(attributes.iter().filter_map(position).collect())
    } else {
        Err(PredictError::MissingAttributes { dataset: dataset.name().to_owned(), missing })
    }
}
