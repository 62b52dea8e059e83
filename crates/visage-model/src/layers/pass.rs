//! What a forward pass is for.

use burn::tensor::Tensor;

use crate::ops::{self, Precision};

/// What a forward pass is for.
#[derive(Clone, Copy, Debug)]
pub enum Pass<'a> {
    /// Norms use their running statistics, and nothing is dropped. Gradients can be taken.
    Inference,
    /// Dropout and stochastic depth draw, and norms do what [`Training::norms`] says.
    Training(&'a Training<'a>),
}

impl<'a> Pass<'a> {
    /// What the random layers draw from, in training.
    pub(super) fn draws(self) -> Option<&'a Draws<'a>> {
        match self {
            Pass::Inference => None,
            Pass::Training(training) => Some(&training.draws),
        }
    }

    /// The type that the pass computes in.
    pub(super) fn precision(self) -> Precision {
        match self {
            Pass::Inference => Precision::F32,
            Pass::Training(training) => training.precision,
        }
    }

    /// `values` in the type that the pass computes in.
    pub(crate) fn round<const D: usize>(self, values: Tensor<D>) -> Tensor<D> {
        ops::round(values, self.precision())
    }
}

/// A forward pass of training.
#[derive(Clone, Copy, Debug)]
pub struct Training<'a> {
    /// What random layers draw from.
    pub draws: Draws<'a>,
    /// What batch norms do.
    pub norms: Norms,
    /// The type of activations and their gradients.
    pub precision: Precision,
}

impl<'a> From<Draws<'a>> for Training<'a> {
    /// Training in f32, with norms by the batch's statistics.
    fn from(draws: Draws<'a>) -> Self {
        Self { draws, norms: Norms::Batch, precision: Precision::F32 }
    }
}

/// What batch norms do in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norms {
    /// Normalise by the batch's statistics and update the running ones.
    Batch,
    /// Use the running statistics; neither they nor scale and shift change.
    Frozen,
}

/// What the random layers of a training batch draw from: a stream for each sample, so that a sample's draws depend neither on
/// the other samples of the batch nor on the number of threads.
#[derive(Clone, Copy, Debug)]
pub struct Draws<'a> {
    /// Seed of the run.
    pub seed: u64,
    /// Epoch, from 0.
    pub epoch: u64,
    /// Index in the dataset of each image of the batch.
    pub samples: &'a [u64],
}
