//! A model's answers over a part of a dataset.

use std::sync::Arc;

use visage_data::{Dataset, Label, Loader, LoaderOptions};
use visage_judge::Predictions;
use visage_model::{Card, Predictor};

use crate::error::TrainError;

/// Probabilities and labels of the images `indices` of `dataset`, in that order, for the model's attributes in the
/// model's order. The images are prepared as the model's card says; nothing else can say it.
///
/// `progress` is told after every batch how many images are done.
///
/// # Errors
///
/// [`TrainError::UnknownAttributes`] when the dataset lacks an attribute of the model; an image that cannot be read.
pub fn predictions(
    model: &Predictor,
    dataset: &Arc<Dataset>,
    indices: Vec<usize>,
    batch_size: usize,
    progress: impl FnMut(usize),
) -> Result<Predictions, TrainError> {
    let ask = |pixels: &[u8], _: usize| Ok::<_, TrainError>(model.probabilities(pixels));
    let (labels, probabilities) = answers(model.card(), dataset, indices, batch_size, ask, progress)?;
    Ok(Predictions::new(model.card().attributes.clone(), labels, probabilities)?)
}

/// Labels and logits, before any calibration, of the same images: both row-major, `images x attributes`.
///
/// # Errors
///
/// As [`predictions`].
pub fn logits(
    model: &Predictor,
    dataset: &Arc<Dataset>,
    indices: Vec<usize>,
    batch_size: usize,
    progress: impl FnMut(usize),
) -> Result<Answers, TrainError> {
    answers(model.card(), dataset, indices, batch_size, |pixels, _| Ok(model.logits(pixels)), progress)
}

/// Labels, and what a model answers to each.
pub type Answers = (Vec<Option<bool>>, Vec<f32>);

/// Labels of images, and what `ask` answers to their prepared pixels and number, both row-major, `images x attributes`.
///
/// # Errors
///
/// As [`predictions`], and what `ask` returns.
pub fn answers<E: From<TrainError>>(
    card: &Card,
    dataset: &Arc<Dataset>,
    indices: Vec<usize>,
    batch_size: usize,
    mut ask: impl FnMut(&[u8], usize) -> Result<Vec<f32>, E>,
    mut progress: impl FnMut(usize),
) -> Result<Answers, E> {
    let columns = columns(&card.attributes, dataset)?;
    let images = indices.len();
    let loader =
        Loader::new(Arc::clone(dataset), indices, card.preparation.clone(), LoaderOptions::in_order(batch_size))
            .map_err(TrainError::from)?;
    let width = dataset.attributes().len();
    let mut labels = Vec::with_capacity(images * columns.len());
    let mut answered = Vec::with_capacity(images * columns.len());
    let mut done = 0;
    for batch in loader {
        let batch = batch.map_err(TrainError::from)?;
        answered.extend(ask(&batch.pixels, batch.indices.len())?);
        for row in batch.labels.chunks(width) {
            labels.extend(columns.iter().map(|&column| Label::known(row[column])));
        }
        done += batch.indices.len();
        progress(done);
    }
    Ok((labels, answered))
}

/// Where the dataset keeps each attribute of the model.
fn columns(attributes: &[String], dataset: &Dataset) -> Result<Vec<usize>, TrainError> {
    let position = |name: &String| dataset.attributes().iter().position(|other| other == name);
    let missing: Vec<String> = attributes.iter().filter(|name| position(name).is_none()).cloned().collect();
    if missing.is_empty() {
        Ok(attributes.iter().filter_map(position).collect())
    } else {
        Err(TrainError::UnknownAttributes { dataset: dataset.name().to_owned(), missing })
    }
}
