//! Dense convolution of NHWC images, and its gradients.
//!
//! ```text
//! output[n, y, x, o] = epilogue(sum over r, s, i:
//!                      input[n, y * stride + r - top, x * stride + s - left, i] * weight[o, r, s, i])
//! ```
//!
//! - Forward: rows gathered from the input times the weight, one tap a kernel position (`gather.rs`).
//! - Input gradient: the same product the other way round. With a stride the input pixels fall into classes, each with
//!   taps of its own (`geometry.rs`).
//! - Weight gradient: a sum of outer products over the pixels (`outer.rs`).
//!
//! Filters of 3x3 and stride 1 between many channels go another way to all three (`winograd.rs`).
//!
//! With few input channels (an image's three) a kernel row's `kernel_width * in_channels` values are contiguous and make
//! one tap; the input is first copied with its padding, so that no run of values crosses the border.

use rayon::prelude::*;

use crate::epilogue::Epilogue;
use crate::gather::Gather;
use crate::geometry::{self, Grid, Tap};
use crate::outer::Outer;
use crate::panel::{self, Source};
use crate::parallel;
use crate::scratch;
use crate::shape::{ConvShape, Padding, expect_len};
use crate::simd::{self, Level};
use crate::winograd::{self, Direction};

/// Up to so many input channels the taps of a kernel row are merged into one.
const MERGED_CHANNELS: usize = 8;

/// Convolution of `[batch, in_height, in_width, in_channels]` to `[batch, out_height, out_width, out_channels]`.
///
/// `weight` is `[out_channels, kernel_height, kernel_width, in_channels]` (PyTorch's OIHW permuted).
///
/// # Panics
/// If lengths do not match the shape.
pub fn conv2d(shape: ConvShape, input: &[f32], weight: &[f32], epilogue: Epilogue, output: &mut [f32]) {
    check(shape, input.len(), weight.len(), output.len());
    epilogue.check(shape.out_channels, output.len());
    forward(simd::level(), shape, input, weight, &epilogue, output);
}

/// The weight of a convolution laid out as [`conv2d_packed`] reads it, to be used again and again at inference.
///
/// Of `shape` the channels and the window count, not the images. The layout holds for this process only: it depends on
/// the processor.
///
/// # Panics
/// If the length of `weight`, as of [`conv2d`], does not match the shape.
#[must_use]
pub fn pack_conv2d(shape: ConvShape, weight: &[f32]) -> Vec<f32> {
    expect_len("weight", weight.len(), shape.weight_len());
    let level = simd::level();
    let mut filters = vec![0.0; filters_len(shape, level)];
    pack_filters(level, shape, weight, &mut filters);
    filters
}

/// [`conv2d`] with a weight that [`pack_conv2d`] has laid out.
///
/// # Panics
/// If lengths do not match the shape.
pub fn conv2d_packed(shape: ConvShape, input: &[f32], filters: &[f32], epilogue: Epilogue, output: &mut [f32]) {
    expect_len("input", input.len(), shape.input_len());
    expect_len("filters", filters.len(), filters_len(shape, simd::level()));
    expect_len("output", output.len(), shape.output_len());
    epilogue.check(shape.out_channels, output.len());
    forward_packed(simd::level(), shape, input, filters, &epilogue, output);
}

/// Gradient of [`conv2d`] for its input. `input_gradient` is overwritten.
///
/// # Panics
/// If lengths do not match the shape.
pub fn conv2d_input_gradient(shape: ConvShape, weight: &[f32], output_gradient: &[f32], input_gradient: &mut [f32]) {
    check(shape, input_gradient.len(), weight.len(), output_gradient.len());
    backward_input(simd::level(), shape, weight, output_gradient, input_gradient);
}

/// Gradient of [`conv2d`] for its weight. `weight_gradient` is overwritten.
///
/// # Panics
/// If lengths do not match the shape.
pub fn conv2d_weight_gradient(shape: ConvShape, input: &[f32], output_gradient: &[f32], weight_gradient: &mut [f32]) {
    check(shape, input.len(), weight_gradient.len(), output_gradient.len());
    backward_weight(simd::level(), shape, input, output_gradient, weight_gradient);
}

#[track_caller]
fn check(shape: ConvShape, input: usize, weight: usize, output: usize) {
    expect_len("input", input, shape.input_len());
    expect_len("weight", weight, shape.weight_len());
    expect_len("output", output, shape.output_len());
}

fn forward(level: Level, shape: ConvShape, input: &[f32], weight: &[f32], epilogue: &Epilogue, output: &mut [f32]) {
    if winograd::pays(shape) {
        with_winograd_filters(level, shape, Direction::Forward, weight, |filters| {
            winograd::forward(level, shape, input, filters, epilogue, output);
        });
        return;
    }
    with_gather(shape, input, |gather| multiply(level, gather, &Source::ColumnMajor(weight), epilogue, output));
}

pub(crate) fn filters_len(shape: ConvShape, level: Level) -> usize {
    let ConvShape { in_channels, out_channels, window, .. } = shape;
    if winograd::pays_when_ready(window, in_channels, out_channels) {
        winograd::filters_len(in_channels, out_channels, level)
    } else {
        panel::packed_len(out_channels, window.taps() * in_channels, level.lanes())
    }
}

pub(crate) fn pack_filters(level: Level, shape: ConvShape, weight: &[f32], filters: &mut [f32]) {
    let ConvShape { in_channels, out_channels, window, .. } = shape;
    if winograd::pays_when_ready(window, in_channels, out_channels) {
        winograd::transform_filters(level, Direction::Forward, [in_channels, out_channels], weight, filters);
    } else {
        let (depth, panels) = (window.taps() * in_channels, panel::cut(out_channels, level));
        panel::pack(&Source::ColumnMajor(weight), depth, out_channels, level.lanes(), &panels, filters);
    }
}

fn forward_packed(
    level: Level,
    shape: ConvShape,
    input: &[f32],
    filters: &[f32],
    epilogue: &Epilogue,
    output: &mut [f32],
) {
    if winograd::pays_when_ready(shape.window, shape.in_channels, shape.out_channels) {
        winograd::forward(level, shape, input, filters, epilogue, output);
    } else {
        let panels = panel::cut(shape.out_channels, level);
        with_gather(shape, input, |gather| gather.multiply(level, &panels, filters, epilogue, output));
    }
}

/// Hands `body` the product that the forward pass is.
fn with_gather(shape: ConvShape, input: &[f32], body: impl FnOnce(&Gather)) {
    with_taps(shape, input, |reading| {
        let output_grid = Grid::of_output(shape.batch, [shape.in_height, shape.in_width], shape.window);
        body(&Gather {
            grid: Grid { source_size: reading.size, ..output_grid },
            source: reading.source,
            source_pixel: shape.in_channels,
            taps: reading.taps,
            depth: reading.depth,
            columns: shape.out_channels,
        });
    });
}

fn backward_input(level: Level, shape: ConvShape, weight: &[f32], output_gradient: &[f32], input_gradient: &mut [f32]) {
    let ConvShape { batch, in_height, in_width, in_channels, out_channels, window } = shape;
    if winograd::pays(shape) {
        with_winograd_filters(level, shape, Direction::Backward, weight, |filters| {
            winograd::backward_input(level, shape, filters, output_gradient, input_gradient);
        });
        return;
    }
    for (grid, taps) in geometry::input_classes(batch, [in_height, in_width], window) {
        let rows_of_tap = |tap: &Tap| {
            let position = tap.position;
            (0..out_channels).map(move |o| (o * window.taps() + position) * in_channels)
        };
        let offsets: Vec<usize> = taps.iter().flat_map(rows_of_tap).collect();
        let gather = Gather {
            grid,
            source: output_gradient,
            source_pixel: out_channels,
            taps: taps.iter().map(|tap| tap.at).collect(),
            depth: out_channels,
            columns: in_channels,
        };
        multiply(level, &gather, &Source::Rows(weight, &offsets), &Epilogue::default(), input_gradient);
    }
}

fn backward_weight(
    level: Level,
    shape: ConvShape,
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
) {
    if winograd::pays(shape) {
        winograd::backward_weight(level, shape, input, output_gradient, weight_gradient);
        return;
    }
    with_taps(shape, input, |reading| {
        let mut outer = Outer {
            batch: shape.batch,
            source: reading.source,
            source_size: reading.size,
            source_pixel: shape.in_channels,
            source_step: shape.window.stride,
            taps: reading.taps,
            depth: reading.depth,
            output_gradient,
            output_size: [shape.out_height(), shape.out_width()],
            rows: shape.out_channels,
        };
        if shape.window.is_pointwise() {
            // One long row: runs need not end where image rows do.
            let pixels = shape.batch * shape.in_height * shape.in_width;
            (outer.batch, outer.source_size, outer.output_size) = (1, [1, pixels], [1, pixels]);
        }
        outer.multiply(level, weight_gradient);
    });
}

/// Packs the weight into scratch memory and multiplies.
fn multiply(level: Level, gather: &Gather, weight: &Source, epilogue: &Epilogue, target: &mut [f32]) {
    let (columns, depth, lanes) = (gather.columns, gather.total_depth(), level.lanes());
    let panels = panel::cut(columns, level);
    scratch::with_buffer(panel::packed_len(columns, depth, lanes), |packed| {
        panel::pack(weight, depth, columns, lanes, &panels, packed);
        gather.multiply(level, &panels, packed, epilogue, target);
    });
}

/// Lends `body` the weight transformed for Winograd's convolution.
fn with_winograd_filters(
    level: Level,
    shape: ConvShape,
    direction: Direction,
    weight: &[f32],
    body: impl FnOnce(&[f32]),
) {
    let [depth, columns] = match direction {
        Direction::Forward => [shape.in_channels, shape.out_channels],
        Direction::Backward => [shape.out_channels, shape.in_channels],
    };
    scratch::with_buffer(winograd::filters_len(depth, columns, level), |filters| {
        winograd::transform_filters(level, direction, [shape.in_channels, shape.out_channels], weight, filters);
        body(filters);
    });
}

/// How the input is read: which source, and where and how much each tap reads from it.
struct Reading<'a> {
    source: &'a [f32],
    size: [usize; 2],
    taps: Vec<[isize; 2]>,
    depth: usize,
}

/// Hands `body` the taps of the kernel over the input; with few channels those of a kernel row merged, over a padded copy.
fn with_taps(shape: ConvShape, input: &[f32], body: impl FnOnce(Reading)) {
    let ConvShape { batch, in_height, in_width, in_channels, window, .. } = shape;
    let [kernel_height, kernel_width] = window.kernel;
    let Padding { top, left, bottom, right } = window.padding;
    if kernel_width == 1 || in_channels > MERGED_CHANNELS {
        let taps = geometry::output_taps(window).iter().map(|tap| tap.at).collect();
        body(Reading { source: input, size: [in_height, in_width], taps, depth: in_channels });
        return;
    }
    let [height, width] = [top + in_height + bottom, left + in_width + right];
    let (row, padded_row) = (in_width * in_channels, width * in_channels);
    scratch::with_buffer(batch * height * padded_row, |padded| {
        let rows = padded.par_chunks_mut(padded_row.max(1)).with_min_len(parallel::least(batch * height).max(16));
        rows.enumerate().for_each(|(index, to)| {
            let (image, y) = (index / height, index % height);
            let inside = y.checked_sub(top).filter(|y| *y < in_height);
            let Some(y) = inside else {
                to.fill(0.0);
                return;
            };
            let (before, rest) = to.split_at_mut(left * in_channels);
            let (inside, after) = rest.split_at_mut(row);
            before.fill(0.0);
            inside.copy_from_slice(&input[(image * in_height + y) * row..][..row]);
            after.fill(0.0);
        });
        body(Reading {
            source: padded,
            size: [height, width],
            taps: (0..kernel_height).map(|r| [r as isize, 0]).collect(),
            depth: kernel_width * in_channels,
        });
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::activation::Activation;
    use crate::reference::{
        assert_close, assert_finished, assert_same_on_any_threads, conv_shapes, convolution, values,
    };
    use crate::shape::Window;

    fn check_against_reference(shape: ConvShape) {
        let input = values(1, shape.input_len());
        let weight = values(2, shape.weight_len());
        let (bias, gradient) = (values(3, shape.out_channels), values(4, shape.output_len()));
        let residual = values(5, shape.output_len());
        let expected = convolution(shape, &input, &weight, &gradient);
        let epilogues = [
            Epilogue::default(),
            Epilogue { bias: Some(&bias), residual: None, activation: Activation::Silu },
            Epilogue { bias: Some(&bias), residual: Some(&residual), activation: Activation::Relu },
            Epilogue { bias: None, residual: Some(&residual), activation: Activation::Relu6 },
        ];
        let packed = |level| {
            let mut packed = vec![f32::NAN; filters_len(shape, level)];
            pack_filters(level, shape, &weight, &mut packed);
            packed
        };
        let tolerance = if winograd::applies(shape.window) { 2e-5 } else { 5e-6 };
        for level in simd::available() {
            for epilogue in epilogues {
                // NaN shows what was not written.
                let mut output = vec![f32::NAN; shape.output_len()];
                forward(level, shape, &input, &weight, &epilogue, &mut output);
                assert_finished(&output, &expected.output, &epilogue, tolerance);
                output.fill(f32::NAN);
                forward_packed(level, shape, &input, &packed(level), &epilogue, &mut output);
                assert_finished(&output, &expected.output, &epilogue, tolerance);
            }
            let mut input_gradient = vec![f32::NAN; shape.input_len()];
            backward_input(level, shape, &weight, &gradient, &mut input_gradient);
            assert_close("input gradient", &input_gradient, &expected.input_gradient, tolerance);
            let mut weight_gradient = vec![f32::NAN; shape.weight_len()];
            backward_weight(level, shape, &input, &gradient, &mut weight_gradient);
            assert_close("weight gradient", &weight_gradient, &expected.weight_gradient, tolerance);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]
        #[test]
        fn all_levels_agree_with_the_definition(shape in conv_shapes()) {
            check_against_reference(shape);
        }
    }

    fn layer(batch: usize, size: usize, in_channels: usize, out_channels: usize, window: Window) -> ConvShape {
        ConvShape { batch, in_height: size, in_width: size, in_channels, out_channels, window }
    }

    #[test]
    fn layers_of_real_networks_agree_with_the_definition() {
        check_against_reference(layer(2, 40, 3, 64, Window::square(7, 2, 3)));
        check_against_reference(layer(4, 20, 32, 33, Window::square(3, 1, 1)));
        check_against_reference(layer(3, 4, 256, 136, Window::square(3, 1, 1)));
        check_against_reference(layer(2, 9, 64, 128, Window::square(1, 2, 0)));
        check_against_reference(layer(8, 16, 40, 240, Window::square(1, 1, 0)));
        check_against_reference(layer(1, 1, 700, 1280, Window::square(1, 1, 0)));
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        for shape in [
            layer(5, 33, 3, 24, Window::square(3, 2, 1)),
            layer(5, 17, 24, 40, Window::square(3, 1, 1)),
            layer(9, 16, 16, 96, Window::square(1, 1, 0)),
            layer(9, 17, 40, 48, Window::square(3, 1, 1)),
        ] {
            let (input, weight) = (values(1, shape.input_len()), values(2, shape.weight_len()));
            let gradient = values(3, shape.output_len());
            assert_same_on_any_threads(|| {
                let mut output = vec![0.0; shape.output_len()];
                conv2d(shape, &input, &weight, Epilogue::default(), &mut output);
                let mut input_gradient = vec![0.0; shape.input_len()];
                conv2d_input_gradient(shape, &weight, &gradient, &mut input_gradient);
                let mut weight_gradient = vec![0.0; shape.weight_len()];
                conv2d_weight_gradient(shape, &input, &gradient, &mut weight_gradient);
                [output, input_gradient, weight_gradient].concat()
            });
        }
    }

    #[test]
    fn an_empty_batch_is_no_work() {
        let shape = layer(0, 5, 3, 4, Window::square(3, 1, 1));
        let weight = values(1, shape.weight_len());
        conv2d(shape, &[], &weight, Epilogue::default(), &mut []);
        conv2d_input_gradient(shape, &weight, &[], &mut []);
        let mut gradient = vec![1.0; shape.weight_len()];
        conv2d_weight_gradient(shape, &[], &[], &mut gradient);
        assert!(gradient.iter().all(|value| *value == 0.0));
    }

    #[test]
    #[should_panic(expected = "weight holds 3 values, the shape needs 108")]
    fn a_wrong_length_is_named() {
        let shape = layer(1, 5, 3, 4, Window::square(3, 1, 1));
        conv2d(shape, &[0.0; 75], &[0.0; 3], Epilogue::default(), &mut [0.0; 100]);
    }
}
