//! Times the layers of ResNet-18 and EfficientNet-B0 at 128x128, batch 16: `cargo run --release --example layers [BATCH]`.
//!
//! Each line is one shape: how often it occurs in the network, and the GFLOP/s of the forward pass and of the gradients with
//! respect to input and weight, best of several runs. `VISAGE_SIMD` selects a narrower instruction set.

use std::time::{Duration, Instant};

use visage_kernels::alignment::LineAligned;
use visage_kernels::*;

#[global_allocator]
static ALLOCATOR: LineAligned = LineAligned;

/// Best time of the runs that fit in 0.15 seconds, at least three.
fn best(mut run: impl FnMut()) -> f64 {
    run();
    let begun = Instant::now();
    let mut best = f64::INFINITY;
    let mut runs = 0;
    while runs < 3 || (begun.elapsed() < Duration::from_millis(150) && runs < 200) {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
        runs += 1;
    }
    best
}

struct Total {
    seconds: [f64; 3],
    flops: f64,
}

impl Total {
    fn add(&mut self, label: &str, count: usize, flops: f64, seconds: [f64; 3]) {
        let rates = seconds.map(|s| flops / s / 1e9);
        let ms = seconds.map(|s| s * 1e3);
        println!(
            "{count:>2} x {label:<34} {:>7.1} {:>7.1} {:>7.1} GFLOP/s  {:>7.2} {:>7.2} {:>7.2} ms",
            rates[0], rates[1], rates[2], ms[0], ms[1], ms[2]
        );
        self.flops += flops * count as f64;
        for (total, seconds) in self.seconds.iter_mut().zip(seconds) {
            *total += seconds * count as f64;
        }
    }

    fn print(&self, name: &str) {
        let [f, i, w] = self.seconds.map(|s| s * 1e3);
        let [rf, ri, rw] = self.seconds.map(|s| self.flops / s / 1e9);
        println!("   = {name:<34} {rf:>7.1} {ri:>7.1} {rw:>7.1} GFLOP/s  {f:>7.2} {i:>7.2} {w:>7.2} ms\n");
    }
}

fn noise(len: usize) -> Vec<f32> {
    (0..len).map(|index| ((index * 7919) % 1009) as f32 / 1009.0 - 0.5).collect()
}

fn conv(total: &mut Total, batch: usize, count: usize, size: usize, channels: [usize; 2], window: Window) {
    let [in_channels, out_channels] = channels;
    let shape = ConvShape { batch, in_height: size, in_width: size, in_channels, out_channels, window };
    let (input, weight, gradient) = (noise(shape.input_len()), noise(shape.weight_len()), noise(shape.output_len()));
    let mut output = vec![0.0; shape.output_len()];
    let mut input_gradient = vec![0.0; shape.input_len()];
    let mut weight_gradient = vec![0.0; shape.weight_len()];
    let seconds = [
        best(|| conv2d(shape, &input, &weight, Epilogue::default(), &mut output)),
        best(|| conv2d_input_gradient(shape, &weight, &gradient, &mut input_gradient)),
        best(|| conv2d_weight_gradient(shape, &input, &gradient, &mut weight_gradient)),
    ];
    let flops = 2.0 * (shape.output_len() * window.kernel[0] * window.kernel[1] * in_channels) as f64;
    let label = format!("{size}x{size} {in_channels}>{out_channels} {}x{0}/{}", window.kernel[0], window.stride[0]);
    total.add(&label, count, flops, seconds);
}

fn depthwise(total: &mut Total, batch: usize, count: usize, size: usize, channels: usize, window: Window) {
    let shape = DepthwiseShape { batch, in_height: size, in_width: size, channels, window };
    let taps = window.kernel[0] * window.kernel[1];
    let (input, weight, gradient) = (noise(shape.input_len()), noise(taps * channels), noise(shape.output_len()));
    let mut output = vec![0.0; shape.output_len()];
    let mut input_gradient = vec![0.0; shape.input_len()];
    let mut weight_gradient = vec![0.0; taps * channels];
    let seconds = [
        best(|| depthwise_conv2d(shape, &input, &weight, Epilogue::default(), &mut output)),
        best(|| depthwise_conv2d_input_gradient(shape, &weight, &gradient, &mut input_gradient)),
        best(|| depthwise_conv2d_weight_gradient(shape, &input, &gradient, &mut weight_gradient)),
    ];
    let label = format!("{size}x{size} {channels} depthwise {}x{0}/{}", window.kernel[0], window.stride[0]);
    total.add(&label, count, 2.0 * (shape.output_len() * taps) as f64, seconds);
}

/// The first two convolutions of an inverted residual block at inference: separate and fused.
fn expanded(batch: usize, size: usize, channels: [usize; 2], window: Window, activation: Activation) {
    let [in_channels, channels] = channels;
    let shape = DepthwiseShape { batch, in_height: size, in_width: size, channels, window };
    let point = Window::square(1, 1, 0);
    let dense =
        ConvShape { batch, in_height: size, in_width: size, in_channels, out_channels: channels, window: point };
    let taps = window.kernel[0] * window.kernel[1];
    let (input, weight, bias) = (noise(dense.input_len()), noise(taps * channels), noise(channels));
    let filters = pack_conv2d(dense, &noise(dense.weight_len()));
    let epilogue = Epilogue { bias: Some(&bias), residual: None, activation };
    let (mut map, mut output) = (vec![0.0; dense.output_len()], vec![0.0; shape.output_len()]);
    let seconds = [
        best(|| conv2d_packed(dense, &input, &filters, epilogue, &mut map)),
        best(|| depthwise_conv2d(shape, &map, &weight, epilogue, &mut output)),
        best(|| {
            conv2d_packed(dense, &input, &filters, epilogue, &mut map);
            depthwise_conv2d(shape, &map, &weight, epilogue, &mut output);
        }),
        best(|| {
            let expansion = Expansion { in_channels, filters: &filters, bias: &bias, activation };
            expanded_depthwise_conv2d(shape, &input, expansion, &weight, epilogue, &mut output);
        }),
    ];
    let [expand, depthwise, separate, fused] = seconds.map(|s| s * 1e3);
    let label =
        format!("{size}x{size} {in_channels}>{channels} {}x{0}/{} {activation:?}", window.kernel[0], window.stride[0]);
    println!(
        "     {label:<34} {expand:>7.2} {depthwise:>7.2} {separate:>7.2} {fused:>7.2} ms {:>7.2}",
        separate / fused
    );
}

fn norm(batch: usize, size: usize, channels: usize, activation: Activation, with_residual: bool) {
    let len = batch * size * size * channels;
    let (input, gradient) = (noise(len), noise(len));
    let (gamma, beta) = (noise(channels), noise(channels));
    let residual = with_residual.then(|| noise(len));
    let residual = residual.as_deref();
    let (mut output, mut input_gradient) = (vec![0.0; len], vec![0.0; len]);
    let mut residual_gradient = vec![0.0; len];
    let (mut gamma_gradient, mut beta_gradient) = (vec![0.0; channels], vec![0.0; channels]);
    let operands = NormOperands { input: &input, scale: &gamma, shift: &beta, residual, activation };
    let statistics = batch_norm_train(operands, 1e-5, &mut output);
    let forward = best(|| {
        batch_norm_train(operands, 1e-5, &mut output);
    });
    let backward = best(|| {
        let gradients = NormGradients {
            input: &mut input_gradient,
            scale: &mut gamma_gradient,
            shift: &mut beta_gradient,
            residual: with_residual.then_some(&mut residual_gradient[..]),
        };
        batch_norm_train_backward(operands, &statistics, &gradient, gradients);
    });
    let values = 1e-9 * len as f64;
    println!(
        "     norm {size}x{size} {channels} {activation:?}{:<20} {:>6.2} {:>6.2} Gvalues/s  {:>7.2} {:>7.2} ms",
        if with_residual { " + residual" } else { "" },
        values / forward,
        values / backward,
        forward * 1e3,
        backward * 1e3
    );
}

fn main() {
    let batch = std::env::args().nth(1).map_or(16, |batch| batch.parse().expect("BATCH is a number"));
    let conv3 = |stride| Window::square(3, stride, 1);
    let point = Window::square(1, 1, 0);

    println!("     batch {batch:<30}  forward   input  weight gradient");
    let mut total = Total { seconds: [0.0; 3], flops: 0.0 };
    conv(&mut total, batch, 1, 128, [3, 64], Window::square(7, 2, 3));
    conv(&mut total, batch, 4, 32, [64, 64], conv3(1));
    conv(&mut total, batch, 1, 32, [64, 128], conv3(2));
    conv(&mut total, batch, 1, 32, [64, 128], Window::square(1, 2, 0));
    conv(&mut total, batch, 3, 16, [128, 128], conv3(1));
    conv(&mut total, batch, 1, 16, [128, 256], conv3(2));
    conv(&mut total, batch, 3, 8, [256, 256], conv3(1));
    conv(&mut total, batch, 1, 8, [256, 512], conv3(2));
    conv(&mut total, batch, 3, 4, [512, 512], conv3(1));
    total.print("ResNet-18 (input gradient of the stem included)");

    let mut total = Total { seconds: [0.0; 3], flops: 0.0 };
    conv(&mut total, batch, 1, 128, [3, 32], conv3(2));
    for (count, size, channels) in [
        (1, 64, [32, 16]),
        (1, 64, [16, 96]),
        (1, 32, [96, 24]),
        (2, 32, [24, 144]),
        (1, 32, [144, 24]),
        (1, 16, [144, 40]),
        (2, 16, [40, 240]),
        (1, 16, [240, 40]),
        (1, 8, [240, 80]),
        (3, 8, [80, 480]),
        (2, 8, [480, 80]),
        (1, 8, [480, 112]),
        (3, 8, [112, 672]),
        (2, 8, [672, 112]),
        (1, 4, [672, 192]),
        (4, 4, [192, 1152]),
        (3, 4, [1152, 192]),
        (1, 4, [1152, 320]),
        (1, 4, [320, 1280]),
    ] {
        conv(&mut total, batch, count, size, channels, point);
    }
    total.print("EfficientNet-B0, dense");

    let mut total = Total { seconds: [0.0; 3], flops: 0.0 };
    for (count, size, channels, kernel, stride) in [
        (1, 64, 32, 3, 1),
        (1, 64, 96, 3, 2),
        (1, 32, 144, 3, 1),
        (1, 32, 144, 5, 2),
        (1, 16, 240, 5, 1),
        (1, 16, 240, 3, 2),
        (2, 8, 480, 3, 1),
        (1, 8, 480, 5, 1),
        (2, 8, 672, 5, 1),
        (1, 8, 672, 5, 2),
        (3, 4, 1152, 5, 1),
        (1, 4, 1152, 3, 1),
    ] {
        depthwise(&mut total, batch, count, size, channels, Window::square(kernel, stride, kernel / 2));
    }
    total.print("EfficientNet-B0, depthwise");

    println!("     expansion, depthwise convolution, both in turn, fused, speed-up");
    for activation in [Activation::Relu6, Activation::Silu] {
        for (size, channels, kernel, stride) in [
            (64, [16, 96], 3, 2),
            (32, [24, 144], 3, 1),
            (32, [24, 144], 5, 2),
            (16, [40, 240], 5, 1),
            (16, [40, 240], 3, 2),
            (8, [80, 480], 3, 1),
            (8, [112, 672], 5, 1),
        ] {
            expanded(batch, size, channels, Window::square(kernel, stride, kernel / 2), activation);
        }
    }

    norm(batch, 64, 64, Activation::Relu, false);
    norm(batch, 32, 64, Activation::Relu, true);
    norm(batch, 16, 128, Activation::Relu, true);
    norm(batch, 64, 32, Activation::Silu, false);
    norm(batch, 64, 96, Activation::Silu, false);
    norm(batch, 32, 144, Activation::Silu, false);
    norm(batch, 32, 24, Activation::Identity, true);
    norm(batch, 8, 480, Activation::Silu, false);
    norm(batch, 4, 1152, Activation::Silu, false);

    let len = 11_000_000;
    let step = optimizer::AdamStep {
        learning_rate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: optimizer::WeightDecay::Decoupled(0.01),
        step: 10,
    };
    let (mut parameter, gradient) = (noise(len), noise(len));
    let (mut first, mut second) = (vec![0.0; len], vec![0.0; len]);
    let seconds = best(|| optimizer::adam_step(step, &mut parameter, &gradient, &mut first, &mut second));
    println!("     adam, 11 million parameters {:>37.2} ms", seconds * 1e3);
}
