//! CPU kernels for convolutional networks, on plain `f32` slices.
//!
//! Images are NHWC: `[batch, height, width, channels]`, channels fastest. Nothing here knows of tensors, automatic
//! differentiation or files; a caller hands in slices and gets slices filled.
//!
//! Three promises hold for every function:
//!
//! - **Same bits on any number of threads.** Sums are folded in an order that depends on the shape alone; into how many tasks
//!   the rest is cut is left to the threads there are. They come from rayon's current pool; [`alone`] does without.
//! - **The widest instructions the processor has**, chosen at run time: AVX-512, AVX2 with FMA, NEON, or portable code. The
//!   environment variable `VISAGE_SIMD` (`portable`, `avx2` and so on) lowers the choice.
//! - **A mismatch of shapes is a programming error** and panics with the name of the slice; nothing else panics.
//!
//! | module | operation |
//! | --- | --- |
//! | [`conv`] | dense convolution, its input gradient and its weight gradient |
//! | [`depthwise`] | the same three for one filter per channel |
//! | [`epilogue`] | bias, residual sum and activation at a convolution's end |
//! | [`expansion`] | a pointwise and a depthwise convolution in one, at inference |
//! | [`norm`] | batch norm and per-channel scale and shift, with activation and residual sum |
//! | [`pool`] | maximum pooling, global average pooling |
//! | [`gate`] | per-image channel gates (squeeze and excitation) |
//! | [`squeeze`], [`squeeze_backward`] | the whole of squeeze and excitation, and its gradients |
//! | [`optimizer`] | Adam and AdamW |
//! | [`alignment`] | an allocator whose large blocks begin at a cache line |

pub mod activation;
pub mod alignment;
pub mod conv;
pub mod depthwise;
pub mod epilogue;
pub mod expansion;
pub mod gate;
pub mod norm;
pub mod optimizer;
pub mod pool;
pub mod shape;
pub mod squeeze;
pub mod squeeze_backward;

mod gather;
mod geometry;
mod outer;
mod panel;
mod parallel;
#[cfg(test)]
mod reference;
mod scratch;
mod simd;
mod sliding;
mod winograd;

pub use activation::Activation;
pub use conv::{conv2d, conv2d_input_gradient, conv2d_packed, conv2d_weight_gradient, pack_conv2d};
pub use depthwise::{depthwise_conv2d, depthwise_conv2d_input_gradient, depthwise_conv2d_weight_gradient};
pub use epilogue::Epilogue;
pub use expansion::{Expansion, expanded_depthwise_conv2d};
pub use gate::{channel_gate, channel_gate_backward};
pub use norm::{
    BatchStatistics, batch_norm_apply, batch_norm_train, batch_norm_train_backward, scale_shift, scale_shift_backward,
};
pub use parallel::alone;
pub use pool::{global_average_pool, global_average_pool_backward, max_pool2d, max_pool2d_backward};
pub use shape::{ConvShape, DepthwiseShape, Padding, PoolShape, Window};
pub use squeeze::{Excitation, squeeze_excite, squeeze_excite_into};
pub use squeeze_backward::{ExcitationGradients, squeeze_excite_backward};
