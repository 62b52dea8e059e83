//! A plan compiled for a device and a precision: the one way to answer images without gradients.
//!
//! ```text
//! Network --plan--> Plan --fuse--> fused steps --+--> CpuExecutor     kernels on packed filters, in f32
//!                                                +--> DeviceExecutor  Burn's operations on a graphics card
//! ```
//!
//! An [`Engine`] owns its weights in the layout that its device reads fastest; the network may be dropped. A new precision or
//! device is a new [`Executor`].

mod cpu;
mod device;
mod fuse;
mod memory;
mod schedule;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use visage_data::Preparation;

use crate::network::Network;
use crate::ops::{Precision, has_kernels};
use crate::plan::Plan;

/// Images of a preparation's size, one after the other, in one of the two forms in which they can be given.
#[derive(Clone, Copy, Debug)]
pub enum Prepared<'a> {
    /// RGB bytes, as [`Preparation::pixels`] gives them.
    Pixels(&'a [u8]),
    /// What [`Preparation::normalise`] makes of them, in the same order.
    Normalised(&'a [f32]),
}

impl Prepared<'_> {
    /// How many numbers they are.
    fn len(&self) -> usize {
        match self {
            Self::Pixels(pixels) => pixels.len(),
            Self::Normalised(normalised) => normalised.len(),
        }
    }
}

/// A network compiled for inference. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    preparation: Preparation,
    executor: Arc<dyn Executor>,
}

/// Computes the fused steps of a plan.
trait Executor: std::fmt::Debug + Send + Sync {
    /// Begins to compute the logits of all images of `parts`, which are of the size of the preparation.
    fn start(&self, parts: &[Prepared<'_>]) -> Pending;
}

/// Logits that may still be being computed.
#[derive(Debug)]
pub struct Pending(State);

#[derive(Debug)]
enum State {
    Ready(Vec<f32>),
    OnDevice(Box<Tensor<2>>),
}

impl Pending {
    /// Waits for the logits: `[images, outputs]`, row-major.
    #[must_use]
    pub fn read(self) -> Vec<f32> {
        match self.0 {
            State::Ready(logits) => logits,
            State::OnDevice(logits) => crate::state::float_values(logits.into_data()),
        }
    }
}

impl Engine {
    /// Compiles `network` for images of `preparation`.
    ///
    /// On a graphics card convolutions are computed in `precision`, which it must have
    /// ([`check_precision`](crate::device::check_precision)), and everything else in f32. On the CPU the arithmetic is f32 and
    /// only the filters are rounded to `precision`.
    #[must_use]
    pub fn new(network: &Network, preparation: &Preparation, device: &Device, precision: Precision) -> Self {
        let size = preparation.output_size();
        Self::compile(network.plan([size.height, size.width]), preparation, device, precision)
    }

    /// Compiles a plan for images of the size of `preparation`; otherwise as [`new`](Self::new).
    #[must_use]
    pub fn compile(plan: Plan, preparation: &Preparation, device: &Device, precision: Precision) -> Self {
        let (images, steps) = (plan.images, fuse::fuse(plan));
        let preparation = preparation.clone();
        let executor: Arc<dyn Executor> = if has_kernels(device) {
            Arc::new(cpu::CpuExecutor::new(images, steps, preparation.clone(), precision))
        } else {
            Arc::new(device::DeviceExecutor::new(images, steps, preparation.clone(), device, precision))
        };
        Self { preparation, executor }
    }

    /// All images of `parts`, normalised.
    pub(crate) fn normalised(&self, parts: &[Prepared<'_>]) -> Vec<f32> {
        let mut values = vec![0.0; parts.iter().map(Prepared::len).sum()];
        normalise(&self.preparation, parts, 0, &mut values);
        values
    }

    /// How images are prepared for the engine.
    #[must_use]
    pub fn preparation(&self) -> &Preparation {
        &self.preparation
    }

    /// The logits of all images of `parts`, in their order: `[images, outputs]`, row-major. They do not depend on how images are
    /// batched, nor on the number of threads.
    ///
    /// # Panics
    ///
    /// If a part is not a whole number of images of the preparation's size.
    #[must_use]
    pub fn logits(&self, parts: &[Prepared<'_>]) -> Vec<f32> {
        self.start(parts).read()
    }

    /// [`logits`](Self::logits) that are not waited for where a graphics card computes them.
    ///
    /// # Panics
    ///
    /// As [`logits`](Self::logits).
    #[must_use]
    pub fn start(&self, parts: &[Prepared<'_>]) -> Pending {
        let values = self.preparation.output_size().pixels() * 3;
        assert!(parts.iter().all(|part| part.len() % values == 0), "whole images of {values} values");
        self.executor.start(parts)
    }
}

/// Writes values `first..first + out.len()` of the normalised images of `parts` to `out`.
fn normalise(preparation: &Preparation, parts: &[Prepared<'_>], first: usize, out: &mut [f32]) {
    let (mut begin, end) = (0, first + out.len());
    for part in parts {
        let next = begin + part.len();
        let (from, to) = (begin.max(first), next.min(end));
        if from < to {
            let (own, out) = (from - begin..to - begin, &mut out[from - first..to - first]);
            match part {
                Prepared::Pixels(pixels) => preparation.normalise(&pixels[own], out),
                Prepared::Normalised(values) => out.copy_from_slice(&values[own]),
            }
        }
        begin = next;
    }
}
