//! How a network that is ready for inference is spread over the threads.
//!
//! One operation after the other over the whole batch, as training has it, sends every feature map of sixteen images
//! through the main memory. A few images at a time, on a thread of their own, keep theirs in the cache, and threads
//! wait for one another once a batch rather than once an operation.

use burn::tensor::Tensor;
use rayon::prelude::*;

/// `part` of all images, computed for at most `together` at a time, and joined in their order.
///
/// Where that would leave threads idle for more than a quarter of the time, all threads share every operation instead. No
/// operation's result depends on the images it is computed with, so that this depends on neither.
pub(crate) fn few_at_a_time<const D: usize>(
    input: Tensor<4>,
    together: usize,
    part: impl Fn(Tensor<4>) -> Tensor<D> + Sync,
) -> Tensor<D> {
    let (batch, threads) = (input.dims()[0], rayon::current_num_threads());
    let together = together.min(batch.div_ceil(threads)).max(1);
    let parts = batch.div_ceil(together);
    let places = parts.next_multiple_of(threads);
    if 4 * parts < 3 * places {
        return part(input);
    }
    let parts: Vec<Tensor<D>> = (0..parts)
        .into_par_iter()
        .with_max_len(1)
        .map(|index| {
            let first = index * together;
            let images = input.clone().narrow(0, first, together.min(batch - first));
            visage_kernels::alone(|| part(images))
        })
        .collect();
    Tensor::cat(parts, 0)
}
