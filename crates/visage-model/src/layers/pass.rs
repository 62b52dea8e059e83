//! The modes of a forward pass: inference and training.

use burn::tensor::Tensor;

use crate::ops::{self, Precision};

/// The mode of a forward pass.
#[derive(Clone, Copy, Debug)]
pub enum Pass<'a> {
    /// Norms use their running statistics, and random layers are inactive. Gradients can be computed.
    Inference,
    /// Dropout and stochastic depth are active. [`Training::norms`] sets the mode of the norms.
    Training(&'a Training<'a>),
}

impl<'a> Pass<'a> {
    pub(super) fn draws(self) -> Option<&'a Draws<'a>> {
        match self {
            Pass::Inference => None,
            Pass::Training(training) => Some(&training.draws),
        }
    }

    /// The type of activations.
    pub(super) fn precision(self) -> Precision {
        match self {
            Pass::Inference => Precision::F32,
            Pass::Training(training) => training.precision,
        }
    }

    /// `values` in the type of activations.
    pub(crate) fn round<const D: usize>(self, values: Tensor<D>) -> Tensor<D> {
        ops::round(values, self.precision())
    }
}

/// The settings of a forward pass in training.
#[derive(Clone, Copy, Debug)]
pub struct Training<'a> {
    /// The random streams of the random layers.
    pub draws: Draws<'a>,
    /// The mode of the batch norms.
    pub norms: Norms,
    /// The type of activations and their gradients.
    pub precision: Precision,
}

impl<'a> From<Draws<'a>> for Training<'a> {
    /// Training in f32, with norms that use the batch's statistics.
    fn from(draws: Draws<'a>) -> Self {
        Self { draws, norms: Norms::Batch, precision: Precision::F32 }
    }
}

/// The mode of batch norms in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norms {
    /// Normalise by the batch's statistics and update the running ones.
    Batch,
    /// Use the running statistics. Neither they nor scale and shift change.
    Frozen,
}

/// The random streams of a training batch, one for each sample. A sample's draws depend neither on the other samples of the batch
/// nor on the number of threads.
#[derive(Clone, Copy, Debug)]
pub struct Draws<'a> {
    /// The seed of the run.
    pub seed: u64,
    /// The epoch, counted from 0.
    pub epoch: u64,
    /// The dataset index of each image of the batch.
    pub samples: &'a [u64],
}
