//! CPU kernels for convolutional networks, on plain `f32` slices.
//!
//! Feature maps are NHWC: `[batch, height, width, channels]`, channels contiguous. The crate knows nothing of tensors,
//! automatic differentiation or files: a caller passes slices in and has slices filled.
//!
//! ```
//! use visage_kernels::{Activation, ConvShape, Epilogue, Window, conv2d};
//!
//! // A 3x3 convolution of one 4x4 image from 1 channel to 2, with a bias and a ReLU.
//! let window = Window::square(3, 1, 1);
//! let shape = ConvShape { batch: 1, in_height: 4, in_width: 4, in_channels: 1, out_channels: 2, window };
//! let input = vec![1.0; shape.input_len()];
//! let mut weight = vec![1.0; shape.weight_len()];
//! weight[9..].fill(-1.0);
//! let epilogue = Epilogue { bias: Some(&[0.5, 0.5]), residual: None, activation: Activation::Relu };
//! let mut output = vec![0.0; shape.output_len()];
//! conv2d(shape, &input, &weight, epilogue, &mut output);
//! // A corner's window covers 4 pixels of the image; the rest is padding.
//! assert_eq!(output[..2], [4.5, 0.0]);
//! ```
//!
//! Three guarantees hold for every function:
//!
//! - **The same bits for any number of threads.** The order of every sum depends on the shape only, not on the division of the
//!   work among the threads of rayon's current pool. [`alone`] keeps all work on the calling thread.
//! - **The widest instruction set of the processor**, selected at run time: AVX-512, AVX2 with FMA, NEON, or portable code.
//!   The environment variable `VISAGE_SIMD` (`portable`, `avx2`, `avx512`, `neon`) selects a narrower one.
//! - **A mismatch of shapes is a programming error** and panics with the name of the slice or the window. Nothing else panics.
//!
//! | operation | forward | gradients |
//! | --- | --- | --- |
//! | dense convolution | [`conv2d`], [`conv2d_packed`] | [`conv2d_input_gradient`], [`conv2d_weight_gradient`] |
//! | depthwise convolution | [`depthwise_conv2d`] | [`depthwise_conv2d_input_gradient`], [`depthwise_conv2d_weight_gradient`] |
//! | fused pointwise expansion and depthwise convolution | [`expanded_depthwise_conv2d`] | inference only |
//! | convolutions row by row, on planar rows | [`PlanarConv`], [`PlanarSeparable`] | inference only |
//! | batch norm with residual sum and activation | [`batch_norm_train`], [`batch_norm_apply`] | [`batch_norm_train_backward`] |
//! | per-channel scale and shift | [`scale_shift`] | [`scale_shift_backward`] |
//! | squeeze-and-excitation | [`squeeze_excite`], [`squeeze_excite_into`] | [`squeeze_excite_backward`] |
//! | channel gate | [`channel_gate`] | [`channel_gate_backward`] |
//! | pooling | [`max_pool2d`], [`global_average_pool`] | [`max_pool2d_backward`], [`global_average_pool_backward`] |
//!
//! [`optimizer`] has the parameter updates of Adam, AdamW and SGD, [`alignment`] an allocator that aligns large blocks to
//! cache lines.

pub mod alignment;
pub mod optimizer;

mod activation;
mod channel_gate;
mod conv;
mod depthwise;
mod epilogue;
mod expanded_depthwise;
mod geometry;
mod implicit_gemm;
mod micro_kernel;
mod norm;
mod packing;
mod parallel;
mod planar;
mod pool;
#[cfg(test)]
mod reference;
mod scratch;
mod shape;
mod simd;
mod squeeze_excite;
mod weight_gradient;
mod winograd;

pub use activation::{Activation, GateFunction};
pub use channel_gate::{channel_gate, channel_gate_backward};
pub use conv::{conv2d, conv2d_input_gradient, conv2d_packed, conv2d_weight_gradient, pack_conv2d};
pub use depthwise::{depthwise_conv2d, depthwise_conv2d_input_gradient, depthwise_conv2d_weight_gradient};
pub use epilogue::Epilogue;
pub use expanded_depthwise::{Expansion, expanded_depthwise_conv2d};
pub use norm::{
    BatchStatistics, NormGradients, NormOperands, batch_norm_apply, batch_norm_train, batch_norm_train_backward,
    scale_shift, scale_shift_backward,
};
pub use parallel::alone;
pub use planar::{PlanarConv, PlanarRows, PlanarSeparable};
pub use pool::{global_average_pool, global_average_pool_backward, max_pool2d, max_pool2d_backward};
pub use shape::{ConvShape, DepthwiseShape, MapShape, Padding, Window};
pub use squeeze_excite::{
    Excitation, ExcitationGradients, squeeze_excite, squeeze_excite_backward, squeeze_excite_into,
};
