//! How a network that is ready for inference is spread over the threads.
//!
//! One operation after the other over the whole batch, as training has it, sends every feature map of sixteen images
//! through the main memory. A few images at a time, on a thread of their own, keep theirs in the cache, and threads
//! wait for one another once a batch rather than once an operation.

use burn::tensor::Tensor;
use rayon::prelude::*;

/// Images that go through a network together. More would leave the cache; fewer read the filters more often.
const TOGETHER: usize = 2;

/// `features` of all images, computed for a few at a time and joined in their order. What is computed together depends on the
/// batch alone and not on the threads.
pub(crate) fn few_at_a_time(images: Tensor<4>, features: impl Fn(Tensor<4>) -> Tensor<2> + Sync) -> Tensor<2> {
    let batch = images.dims()[0];
    if batch <= TOGETHER {
        return features(images);
    }
    let parts: Vec<Tensor<2>> = (0..batch.div_ceil(TOGETHER))
        .into_par_iter()
        .with_max_len(1)
        .map(|part| features(images.clone().narrow(0, part * TOGETHER, TOGETHER.min(batch - part * TOGETHER))))
        .collect();
    Tensor::cat(parts, 0)
}
