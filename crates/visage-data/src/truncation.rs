//! Image files that are cut short, in a dataset.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::dataset::Dataset;
use crate::decode::Truncated;

/// What a dataset does with images that are cut short, and those it accepted. Clones share the latter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Truncation {
    pub(crate) policy: Truncated,
    accepted: Arc<Mutex<BTreeSet<String>>>,
}

impl Truncation {
    /// Remembers an accepted image by its name: every epoch reads it again.
    pub(crate) fn accepted(&self, image: &str) {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).insert(image.to_owned());
    }
}

impl Dataset {
    /// Accepts image files that are cut short from now on, as far as they go; otherwise they are errors. The choice is no part of
    /// the dataset's fingerprint.
    pub fn accept_truncated(&mut self) {
        self.truncation.policy = Truncated::Accept;
    }

    /// What is done with image files that are cut short.
    #[must_use]
    pub fn truncated(&self) -> Truncated {
        self.truncation.policy
    }

    /// The names of the images, sorted, that were read so far although they are cut short, by this dataset and its clones.
    #[must_use]
    pub fn truncated_images(&self) -> Vec<String> {
        self.truncation.accepted.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
