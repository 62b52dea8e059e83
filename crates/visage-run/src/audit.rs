//! Auditing a dataset: labels that are likely wrong, and duplicate images.

use std::sync::Arc;

use thiserror::Error;
use visage_data::duplicates::{Duplicate, Thumbnail, duplicates};
use visage_data::{DataError, Dataset, Label, Loader, LoaderOptions};
use visage_judge::{Audit, Predictions, audit};

/// Images that are decoded together.
const BATCH_SIZE: usize = 64;

/// Why a dataset cannot be audited.
#[derive(Debug, Error)]
pub enum AuditError {
    /// An image that cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Predictions that cannot be audited.
    #[error(transparent)]
    Judge(#[from] visage_judge::Error),
}

/// The audit of some images of a dataset. Images are counted in the order of the audit.
#[derive(Debug)]
pub struct DatasetAudit {
    /// The dataset.
    pub dataset: Arc<Dataset>,
    /// The index of each image in the dataset.
    pub indices: Vec<usize>,
    /// The attributes.
    pub attributes: Vec<String>,
    /// The labels, the most doubtful first.
    pub labels: Audit,
    /// Pairs of duplicate images.
    pub duplicates: Vec<DuplicatePair>,
}

/// Two images that show the same.
#[derive(Clone, Debug, PartialEq)]
pub struct DuplicatePair {
    /// The images.
    pub images: [usize; 2],
    /// Mean absolute difference of the grey values of their thumbnails, of 255.
    pub difference: f64,
    /// The attributes whose known labels differ.
    pub contradicting: Vec<String>,
}

impl DatasetAudit {
    /// Audits the images `indices` of `dataset` by `predictions`, which are in the same order. `progress` is called with the number of
    /// images that were searched for duplicates.
    ///
    /// # Errors
    ///
    /// [`AuditError`].
    pub fn new(
        dataset: Arc<Dataset>,
        indices: Vec<usize>,
        predictions: &Predictions,
        progress: impl FnMut(usize),
    ) -> Result<Self, AuditError> {
        let labels = audit(predictions)?;
        let found = find_duplicates(&dataset, &indices, progress)?;
        let pair = |Duplicate { first, second, difference }| DuplicatePair {
            images: [first, second],
            difference,
            contradicting: contradicting(&dataset, [first, second].map(|image| indices[image])),
        };
        let duplicates = found.into_iter().map(pair).collect();
        Ok(Self { dataset, indices, attributes: predictions.attributes().to_vec(), labels, duplicates })
    }

    /// The name of an image.
    #[must_use]
    pub fn image_name(&self, image: usize) -> &str {
        &self.dataset.samples()[self.indices[image]].image
    }

    /// Labels that are suspected to be wrong.
    #[must_use]
    pub fn suspects(&self) -> usize {
        self.labels.doubts.iter().filter(|doubt| doubt.suspect).count()
    }

    /// Pairs of duplicates whose labels contradict each other.
    #[must_use]
    pub fn contradicting_duplicates(&self) -> usize {
        self.duplicates.iter().filter(|pair| !pair.contradicting.is_empty()).count()
    }
}

fn find_duplicates(
    dataset: &Arc<Dataset>,
    indices: &[usize],
    mut progress: impl FnMut(usize),
) -> Result<Vec<Duplicate>, AuditError> {
    let options = LoaderOptions::in_order(BATCH_SIZE);
    let loader = Loader::new(Arc::clone(dataset), indices.to_vec(), Thumbnail::preparation(), options)?;
    let mut thumbnails = Vec::with_capacity(indices.len());
    for batch in loader {
        let batch = batch?;
        thumbnails.extend(batch.pixels.chunks_exact(batch.size.pixels() * 3).map(Thumbnail::new));
        progress(thumbnails.len());
    }
    Ok(duplicates(&thumbnails))
}

/// The attributes whose known labels differ between two images of the dataset.
fn contradicting(dataset: &Dataset, images: [usize; 2]) -> Vec<String> {
    let [first, second] = images.map(|image| &dataset.samples()[image].labels);
    let pairs = first.iter().zip(second).zip(dataset.attributes());
    let differs = |a: Label, b: Label| Label::known(a).zip(Label::known(b)).is_some_and(|(a, b)| a != b);
    pairs.filter(|((a, b), _)| differs(**a, **b)).map(|(_, name)| name.clone()).collect()
}
