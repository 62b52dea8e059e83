//! Inference engines: a plan compiled for a device and a precision. All inference without gradients uses them.
//!
//! ```text
//! Network --plan--> Plan --fuse--> fused steps --+--> CpuExecutor     kernels on packed filters, in f32
//!                                                +--> DeviceExecutor  Burn's operations on a GPU
//! ```
//!
//! An [`Engine`] owns its weights in the layout that is fastest on its device, so that the network can be dropped.
//!
//! # Adding an engine
//!
//! An engine for another precision, such as bf16 or int8 kernels on the CPU, is an [`Executor`] in a file of its own and a branch in
//! [`Engine::compile`]. These parts do not depend on the type of the values and are shared:
//!
//! - `fuse.rs` joins the operations that one kernel computes. Its steps hold the weights in f32. The executor rounds or quantises
//!   them when it packs them.
//! - `schedule.rs` divides the steps into sections and says how the images of a batch are spread over threads.
//! - `memory.rs` assigns a buffer to every result. Sizes are numbers of values.
//!
//! An engine in int8 also needs the range of every activation, which the ONNX exporter determines on sample images.

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
use crate::ops::{self, Precision, has_kernels};
use crate::plan::Plan;

/// Images of the size of a preparation, one after another, before or after normalisation.
#[derive(Clone, Copy, Debug)]
pub enum Prepared<'a> {
    /// RGB bytes from [`Preparation::pixels`].
    Pixels(&'a [u8]),
    /// Values from [`Preparation::normalise`], in the same order.
    Normalised(&'a [f32]),
}

impl Prepared<'_> {
    /// The number of values, three for each pixel.
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

/// Computes the fused steps of a plan on one device in one precision.
trait Executor: std::fmt::Debug + Send + Sync {
    /// Starts to compute the logits of all images of `parts`. They have the size of the preparation.
    fn start(&self, parts: &[Prepared<'_>]) -> Pending;
}

/// Logits that a GPU may still be computing.
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
            State::OnDevice(logits) => ops::values(*logits),
        }
    }
}

impl Engine {
    /// Compiles `network` for images of `preparation`.
    ///
    /// A GPU computes convolutions in `precision`, which it must support
    /// ([`check_precision`](crate::device::check_precision)), and everything else in f32. The CPU computes in f32, with filters
    /// rounded to `precision`.
    pub fn new(network: &Network, preparation: &Preparation, device: &Device, precision: Precision) -> Self {
        let size = preparation.output_size();
        Self::compile(network.plan([size.height, size.width]), preparation, device, precision)
    }

    /// Compiles a plan for images of the size of `preparation`: see [`new`](Self::new).
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

    pub(crate) fn normalised(&self, parts: &[Prepared<'_>]) -> Vec<f32> {
        let mut values = vec![0.0; parts.iter().map(Prepared::len).sum()];
        normalise(&self.preparation, parts, 0, &mut values);
        values
    }

    /// The preparation of the engine's images.
    pub fn preparation(&self) -> &Preparation {
        &self.preparation
    }

    /// The logits of all images of `parts`, in their order: `[images, outputs]`, row-major. On the CPU their bits depend neither on
    /// the other images nor on the number of threads.
    ///
    /// # Panics
    ///
    /// If a part is not a whole number of images of the preparation's size.
    pub fn logits(&self, parts: &[Prepared<'_>]) -> Vec<f32> {
        self.start(parts).read()
    }

    /// Starts to compute the [`logits`](Self::logits). On a GPU it does not wait for them.
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

/// Writes the values `first..first + out.len()` of the normalised images of `parts` to `out`.
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
