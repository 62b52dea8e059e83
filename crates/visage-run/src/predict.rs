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
    #[error("{dataset} lacks {} of the model's attributes: {}; attributes are matched by name{}", missing.len(),
            missing.join(", "), shared_option(shared))]
    MissingAttributes {
        /// The dataset.
        dataset: String,
        /// The attributes it lacks.
        missing: Vec<String>,
        /// The attributes that both have.
        shared: Vec<String>,
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

/// The option that uses only the attributes that a model and a dataset share.
fn shared_option(shared: &[String]) -> String {
    if shared.is_empty() {
        return String::new();
    }
    format!(". To judge only what both have: --only {}", crate::shell::word(&shared.join(",")))
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
    let all: Vec<&str> = predictor.card().attributes.iter().map(String::as_str).collect();
    predictions_of(&all, predictor, dataset, indices, batch_size, progress)
}

/// The same for the `wanted` attributes of the model, which are all that the dataset needs to have.
///
/// # Errors
///
/// As [`predictions`].
pub fn predictions_of(
    wanted: &[&str],
    predictor: &Predictor,
    dataset: &Arc<Dataset>,
    indices: Vec<usize>,
    batch_size: usize,
    progress: impl FnMut(usize),
) -> Result<Predictions, PredictError> {
    let card = predictor.card();
    let LabelledOutputs { labels, targets, outputs } =
        logits(wanted, predictor, dataset, indices, batch_size, progress)?;
    let probabilities = probabilities(card.calibration.as_ref(), &outputs);
    let all = Predictions::new(card.attributes.clone(), labels, probabilities)?.with_targets(targets)?;
    Ok(all.select(wanted)?)
}

/// Logits, before any calibration, of all attributes, and the labels of those that are `wanted`; the others are unknown.
///
/// # Errors
///
/// As [`predictions`].
pub fn logits(
    wanted: &[&str],
    predictor: &Predictor,
    dataset: &Arc<Dataset>,
    indices: Vec<usize>,
    batch_size: usize,
    progress: impl FnMut(usize),
) -> Result<LabelledOutputs, PredictError> {
    let card = predictor.card();
    let (attributes, preparation) = (&card.attributes, &card.preparation);
    let images = Images { attributes, wanted: Some(wanted), preparation, dataset, indices, batch_size };
    images.outputs(|pixels, _| Ok(predictor.logits(pixels)), progress)
}

/// Images of a dataset, and how they are prepared for a network.
#[derive(Clone, Debug)]
pub struct Images<'a> {
    /// The attributes whose labels are read, in the order of the network's outputs.
    pub attributes: &'a [String],
    /// Those of them that the dataset must have; the labels of the others are unknown. `None` is all.
    pub wanted: Option<&'a [&'a str]>,
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
        let Self { attributes, wanted, preparation, dataset, indices, batch_size } = self;
        let columns = columns(attributes, wanted, dataset)?;
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
                targets.extend(columns.iter().map(|column| column.map_or(f32::NAN, |column| row[column])));
            }
            done += batch.indices.len();
            progress(done);
        }
        let known = |target: &f32| (!target.is_nan()).then_some(*target >= 0.5);
        Ok(LabelledOutputs { labels: targets.iter().map(known).collect(), targets, outputs })
    }
}

/// The dataset's column of each attribute, `None` for one that is not wanted.
fn columns(
    attributes: &[String],
    wanted: Option<&[&str]>,
    dataset: &Dataset,
) -> Result<Vec<Option<usize>>, PredictError> {
    let position = |name: &String| dataset.attributes().iter().position(|other| other == name);
    let is_wanted = |name: &&String| wanted.is_none_or(|wanted| wanted.contains(&name.as_str()));
    let missing: Vec<String> =
        attributes.iter().filter(is_wanted).filter(|name| position(name).is_none()).cloned().collect();
    if missing.is_empty() {
        return Ok(attributes.iter().map(|name| position(name).filter(|_| is_wanted(&name))).collect());
    }
    let shared = attributes.iter().filter(|name| position(name).is_some()).cloned().collect();
    Err(PredictError::MissingAttributes { dataset: dataset.name().to_owned(), missing, shared })
}
