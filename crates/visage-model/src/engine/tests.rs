//! Fusion, and the agreement of the executors on every fused and unfused operation.

use burn::tensor::Device;
use rand::RngExt;
use visage_data::random::stream;
use visage_data::{Preparation, Size};
use visage_kernels::{Activation, GateFunction, Window};

use super::cpu::CpuExecutor;
use super::device::DeviceExecutor;
use super::fuse::{Operation as Fused, fuse};
use super::memory::Memory;
use super::schedule::sections;
use super::{Executor, Prepared};
use crate::architecture::Architecture;
use crate::network_config::NetworkConfig;
use crate::ops::{POINT, Precision};
use crate::plan::{Filters, Node, Plan, Planner};

const SIZE: Size = Size { height: 12, width: 10 };

fn random(name: &str, count: usize) -> Vec<f32> {
    let mut random = stream(0, name, 0, 0);
    (0..count).map(|_| random.random_range(-0.5..0.5)).collect()
}

fn filters(name: &str, window: Window, inputs: usize, outputs: usize) -> Filters {
    let [height, width] = window.kernel;
    let weights = random(name, height * width * inputs * outputs);
    Filters { weights, bias: random(&format!("bias of {name}"), outputs), window }
}

/// A plan with each pattern that is fused and each that is not.
fn plan() -> Plan {
    let (mut plan, images) = Planner::new([SIZE.height, SIZE.width]);
    let around = Window::square(3, 1, 1);
    let conv = |plan: &mut Planner, name: &str, input: Node, window, outputs| {
        let filters = filters(name, window, input.shape[2], outputs);
        plan.conv(name, input, filters)
    };
    let x = conv(&mut plan, "stem", images, around, 4);
    let stem = plan.activation("stem", x, Activation::Relu6);
    // A sum that follows no dense convolution.
    let x = plan.depthwise_conv("depthwise", stem, filters("depthwise", around, 1, 4));
    let x = plan.add("depthwise", x, stem);
    let shortcut = plan.activation("depthwise", x, Activation::Silu);
    let x = conv(&mut plan, "residual", shortcut, around, 4);
    let x = plan.add("residual", x, shortcut);
    let x = plan.activation("residual", x, Activation::Relu);
    let x = conv(&mut plan, "expand", x, POINT, 8);
    let x = plan.activation("expand", x, Activation::Relu);
    let x = plan.depthwise_conv("expanded", x, filters("expanded", Window::square(3, 2, 1), 1, 8));
    let x = plan.activation("expanded", x, Activation::Silu);
    let mean = plan.global_average_pool("mean", x);
    let reduced = conv(&mut plan, "reduce", mean, POINT, 2);
    let reduced = plan.activation("reduce", reduced, Activation::Silu);
    let gate = conv(&mut plan, "restore", reduced, POINT, 8);
    let x = plan.gate("gate", x, gate, GateFunction::Sigmoid);
    let x = conv(&mut plan, "project", x, POINT, 6);
    // A gate that is not part of squeeze and excitation.
    let mean = plan.global_average_pool("own mean", x);
    let x = plan.gate("own gate", x, mean, GateFunction::HardSigmoid);
    let x = plan.max_pool("pool", x, Window::square(2, 2, 0));
    let features = plan.pooled_features(x);
    plan.linear("classifier", features, filters("classifier", POINT, 6, 5));
    plan.finish()
}

#[test]
fn patterns_are_fused() {
    let names: Vec<&str> = fuse(plan())
        .iter()
        .map(|step| match &step.operation {
            Fused::Conv { residual: None, activation: Activation::Identity, .. } => "conv",
            Fused::Conv { residual: None, .. } => "conv and activation",
            Fused::Conv { residual: Some(_), .. } => "conv, shortcut and activation",
            Fused::DepthwiseConv { .. } => "depthwise",
            Fused::ExpandedDepthwiseConv { .. } => "expanded",
            Fused::SqueezeExcite { .. } => "squeeze and excitation",
            Fused::Elementwise { residual: Some(_), activation: Activation::Silu } => "sum and activation",
            Fused::Elementwise { .. } => "elementwise",
            Fused::Gate { .. } => "gate",
            Fused::MaxPool(_) => "max pool",
            Fused::GlobalAveragePool => "mean",
        })
        .collect();
    let expected = [
        "conv and activation",
        "depthwise",
        "sum and activation",
        "conv, shortcut and activation",
        "expanded",
        "squeeze and excitation",
        "conv",
        "mean",
        "gate",
        "max pool",
        "mean",
        "conv",
    ];
    assert_eq!(names, expected);
}

#[test]
fn executors_agree() {
    let preparation = Preparation::exact(SIZE);
    let images = random("images", 3 * SIZE.pixels() * 3);
    let (shape, steps) = (plan().images, fuse(plan()));
    let cpu = CpuExecutor::new(shape, steps.clone(), preparation.clone(), Precision::F32);
    let device = DeviceExecutor::new(shape, steps, preparation, &Device::flex(), Precision::F32);
    let parts = [Prepared::Normalised(&images)];
    let [kernels, composed] = [&cpu as &dyn Executor, &device].map(|executor| executor.start(&parts).read());
    assert_eq!((kernels.len(), composed.len()), (15, 15));
    for (a, b) in kernels.iter().zip(&composed) {
        assert!((a - b).abs() < 1e-5, "{kernels:?} {composed:?}");
    }
    assert!(kernels[..5].iter().zip(&kernels[5..]).any(|(a, b)| (a - b).abs() > 1e-3), "the images differ");
}

#[test]
fn every_network_runs_in_three_buffers() {
    for architecture in Architecture::ALL {
        let plan = NetworkConfig::new(architecture, 3).init(0, &Device::flex()).plan([64, 64]);
        for section in sections(plan.images, fuse(plan)) {
            let Memory { buffers, .. } = Memory::plan(&section.steps);
            let largest: usize = section.steps.iter().map(|step| step.shape.iter().product()).max().expect("steps");
            assert!(buffers.len() <= 3, "{architecture}: {buffers:?}");
            assert!(buffers.iter().all(|&buffer| buffer <= largest), "{architecture}: {buffers:?}");
        }
    }
}
