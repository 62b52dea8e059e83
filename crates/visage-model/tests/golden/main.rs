//! The networks against numbers from PyTorch and torchvision, on weights and images from a formula.

mod heat_maps;
mod networks;

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use serde_json::Value;
use visage_data::{Preparation, Size};
use visage_model::Path;
use visage_model::device::{self, Backend, Choice};
use visage_model::ops::{self, AdamState, AdamStep, WeightDecay, adam_step};
use visage_model::{Architecture, Draws, Engine, Kind, Network, NetworkConfig, Pass, Precision, Prepared};
use visage_weights::{Tensor as FileTensor, TensorFile};

/// The device of the tests: the CPU, or the value of `VISAGE_TEST_DEVICE`.
fn device() -> Device {
    let choice = std::env::var("VISAGE_TEST_DEVICE").map_or(Choice::Device(Backend::Cpu, 0), |name| {
        name.parse().unwrap_or_else(|error| panic!("VISAGE_TEST_DEVICE: {error}"))
    });
    device::open(&choice).unwrap_or_else(|error| panic!("{error}")).device
}

/// The tolerance of golden numbers: `kernels` for the CPU, and at least 1e-3 for other devices, which sum in another order.
fn within(kernels: f64) -> f64 {
    if ops::has_kernels(&device()) { kernels } else { kernels.max(1e-3) }
}

fn golden(file: &str) -> Value {
    let path = format!("{}/../../tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(&path).expect(&path)).expect(&path)
}

/// FNV-1a-64.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01B3))
}

/// The formula of `tests/golden/README.md`: `count` numbers in [0, 1) for `name`.
fn uniform(name: &str, count: usize) -> Vec<f32> {
    let state = fnv1a(name);
    (1..=count as u64)
        .map(|k| {
            let mut z = state.wrapping_add(k.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            (z >> 40) as f32 / 16_777_216.0
        })
        .collect()
}

fn formula_tensor(key: &str, shape: &[usize]) -> FileTensor {
    let norm_weight = shape.len() == 1 && key.ends_with(".weight");
    let values = uniform(key, shape.iter().product()).into_iter();
    let values: Vec<f32> = if key.ends_with("running_var") {
        values.map(|u| 1.0 + 0.5 * u).collect()
    } else if key.ends_with("running_mean") || key.ends_with(".bias") {
        values.map(|u| 0.1 * (2.0 * u - 1.0)).collect()
    } else if norm_weight {
        values.map(|u| 1.0 + 0.1 * (2.0 * u - 1.0)).collect()
    } else {
        let fan_in: usize = shape[1..].iter().product();
        let scale = (3.0 / fan_in as f64).sqrt() as f32;
        values.map(|u| scale * (2.0 * u - 1.0)).collect()
    };
    FileTensor::new(shape.to_vec(), values)
}

/// A state dict of the formula's values, with the keys and shapes of a golden file.
fn formula_file(state_dict: &Value) -> TensorFile {
    let mut file = TensorFile::default();
    for (key, shape) in state_dict.as_object().expect("an object") {
        let shape: Vec<usize> = serde_json::from_value(shape.clone()).expect("a shape");
        if !key.ends_with("num_batches_tracked") {
            file.tensors.insert(key.clone(), formula_tensor(key, &shape));
        }
    }
    file
}

/// The formula's images, converted from NCHW to NHWC.
fn image(name: &str, shape: [usize; 4], device: &Device) -> Tensor<4> {
    let values = uniform(name, shape.iter().product()).into_iter().map(|u| 4.0 * u - 2.0).collect::<Vec<_>>();
    Tensor::<4>::from_data(TensorData::new(values, shape), device).permute([0, 2, 3, 1])
}

fn targets(name: &str, rows: usize, device: &Device) -> Tensor<2> {
    let values: Vec<f32> = uniform(name, rows * 40).into_iter().map(|u| if u < 0.3 { 1.0 } else { 0.0 }).collect();
    Tensor::from_data(TensorData::new(values, [rows, 40]), device)
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().expect("an array").iter().map(|v| v.as_f64().expect("a number")).collect()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().try_into_vec::<f32>().expect("f32").into_iter().map(f64::from).collect()
}

fn floats_of<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.clone().into_data().try_into_vec::<f32>().expect("f32")
}

/// The network compiled for images of the size of `images`.
fn engine(network: &Network, images: &Tensor<4>, precision: Precision) -> Engine {
    let [_, height, width, _] = images.dims();
    Engine::new(network, &Preparation::exact(Size { height, width }), &device(), precision)
}

/// Asserts that every value is within `relative` of the golden one, relative to the largest golden value.
fn assert_close(what: &str, found: &[f64], golden: &[f64], relative: f64) {
    assert_eq!(found.len(), golden.len(), "{what}");
    let relative = within(relative);
    let scale = golden.iter().fold(0.0f64, |m, v| m.max(v.abs())).max(1e-30);
    for (i, (f, g)) in found.iter().zip(golden).enumerate() {
        assert!((f - g).abs() <= relative * scale, "{what}[{i}]: {f}, golden {g}, scale {scale}");
    }
}

fn assert_relative(what: &str, found: f64, golden: f64, relative: f64) {
    // Where the true gradient is zero (a bias before a norm), both programs compute rounding noise.
    let (floor, relative) = (1e-5, within(relative));
    assert!((found - golden).abs() <= relative * golden.abs() + floor, "{what}: {found}, golden {golden}");
}

fn network(architecture: Architecture, golden: &Value, device: &Device) -> Network {
    let config =
        NetworkConfig { dropout: Some(0.0), stochastic_depth: Some(0.0), ..NetworkConfig::new(architecture, 40) };
    let file = formula_file(&golden["state_dict"]);
    let (network, loaded) = config.init(0, device).load(architecture, &file).expect("the golden state dict fits");
    assert!(!loaded.classifier_replaced);
    network
}

fn l2(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt()
}

/// The L2 norm of every tensor of a kind, by the key in the golden files.
fn norms(network: &Network, architecture: Architecture, kind: Kind) -> BTreeMap<String, f64> {
    let keep = |key: &str| Kind::of(key) == kind;
    network
        .tensors(architecture)
        .into_iter()
        .filter(|(key, _)| keep(key))
        .map(|(key, tensor)| (key, l2(tensor.data.as_f32().expect("floats"))))
        .collect()
}

fn assert_norms(what: &str, found: &BTreeMap<String, f64>, golden: &Value, relative: f64) {
    let golden = golden.as_object().expect("an object");
    assert_eq!(found.len(), golden.len(), "{what}: number of tensors");
    for (key, value) in golden {
        let found = found.get(key).unwrap_or_else(|| panic!("{what}: no {key}"));
        assert_relative(&format!("{what} of {key}"), *found, value.as_f64().expect("a number"), relative);
    }
}

/// The mean binary cross-entropy of logits, or for EfficientNet-B0 the mean focal loss with alpha 0.25 and gamma 2.
fn loss(architecture: Architecture, logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let softplus = |x: Tensor<2>| (x.exp() + 1.0).log();
    let bce = softplus(logits.clone()) - logits.clone() * targets.clone();
    match architecture {
        Architecture::EfficientNetB0 => {
            let p = burn::tensor::activation::sigmoid(logits);
            let p_t = p.clone() * targets.clone() + (-p + 1.0) * (-targets.clone() + 1.0);
            let alpha = targets.clone() * 0.25 + (-targets + 1.0) * 0.75;
            (alpha * (-p_t + 1.0).powf_scalar(2.0) * bce).mean()
        }
        _ => bce.mean(),
    }
}

/// Calls `step` with each parameter's gradient, and applies the step of Adam that it returns.
struct Optimise<'a, F> {
    gradients: &'a mut Gradients,
    moments: &'a mut BTreeMap<String, (Vec<f32>, Vec<f32>)>,
    step: F,
    path: Path,
}

impl<F: FnMut(&str, &[f32]) -> Option<AdamStep>> ModuleMapper for Optimise<'_, F> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.dotted();
        let Some(gradient) = param.val().grad_remove(self.gradients) else { return param };
        let values = gradient.clone().into_data().try_into_vec::<f32>().expect("f32");
        let Some(step) = (self.step)(&path, &values) else { return param };
        let moments = self.moments.entry(path).or_insert_with(|| (vec![0.0; values.len()], vec![0.0; values.len()]));
        param.map(|parameter| {
            let (dims, device) = (parameter.dims(), gradient.device());
            let moment = |values: &Vec<f32>| Tensor::from_data(TensorData::new(values.clone(), dims), &device);
            let state = AdamState {
                parameter: parameter.inner(),
                first_moment: moment(&moments.0),
                second_moment: moment(&moments.1),
            };
            let state = adam_step(state, gradient, step);
            let read = |tensor: Tensor<D>| tensor.into_data().try_into_vec::<f32>().expect("f32");
            *moments = (read(state.first_moment), read(state.second_moment));
            state.parameter.autodiff().require_grad()
        })
    }
}

/// Tolerances of the logits in training and of the gradients. Where an input of a ReLU rounds to the other side of zero, a gradient
/// loses or gains a whole value: PyTorch's own gradients in f32 differ from those in f64 by up to 1e-2 in the deep networks.
fn tolerances(architecture: Architecture) -> [f64; 2] {
    match architecture {
        Architecture::ResNet18 | Architecture::ResNet34 | Architecture::MobileNetV3Large => [1e-4, 2e-3],
        Architecture::ResNet50
        | Architecture::EfficientNetLite1
        | Architecture::EfficientNetLite2
        | Architecture::EfficientNetLite3
        | Architecture::EfficientNetLite4 => [3e-4, 2e-2],
        _ => [1e-4, 1e-3],
    }
}

fn train_step_matches(architecture: Architecture, golden: &Value) {
    let device = device().autodiff();
    let network = network(architecture, golden, &device);
    let step = &golden["train_step"];
    let [of_logits, of_gradients] = tolerances(architecture);
    let images = image("image/square64", [4, 3, 64, 64], &device);
    let draws = Draws { seed: 0, epoch: 0, samples: &[0, 1, 2, 3] };
    let logits = network.forward(images, Pass::Training(&draws.into()));
    assert_close("training logits", &values(logits.clone()), &floats(&step["logits"]), of_logits);
    let loss = loss(architecture, logits, targets("target/square64", 4, &device));
    let mut gradients = loss.backward();
    assert_relative("loss", values(loss)[0], step["loss"].as_f64().expect("a number"), 1e-5);

    let naming = architecture.namings()[0];
    let mut found = BTreeMap::new();
    let network = network.map(&mut Optimise {
        gradients: &mut gradients,
        moments: &mut BTreeMap::new(),
        step: |path: &str, gradient: &[f32]| {
            found.insert(architecture.key(naming, path), l2(gradient));
            None
        },
        path: Path::default(),
    });
    assert_norms("gradient", &found, &step["grad_l2"], of_gradients);
    let statistics = norms(&network, architecture, Kind::RunningStatistic);
    assert_norms("running statistic", &statistics, &step["running_stat_l2"], 1e-4);
}

fn five_steps_match(architecture: Architecture, golden: &Value) {
    let device = device().autodiff();
    let mut network = network(architecture, golden, &device);
    let mut moments = BTreeMap::new();
    let decay = match architecture {
        Architecture::ResNet18 => WeightDecay::L2(0.0),
        _ => WeightDecay::Decoupled(0.01),
    };
    let golden = &golden["five_steps"];
    for (i, expected) in golden["steps"].as_array().expect("steps").iter().enumerate() {
        let images = image(&format!("image/step{i}"), [4, 3, 64, 64], &device);
        let draws = Draws { seed: 0, epoch: 0, samples: &[0, 1, 2, 3] };
        let logits = network.forward(images, Pass::Training(&draws.into()));
        let loss = loss(architecture, logits, targets(&format!("target/step{i}"), 4, &device));
        let mut gradients = loss.backward();
        assert_relative(&format!("loss {i}"), values(loss)[0], expected["loss"].as_f64().expect("a number"), 1e-3);
        let step = AdamStep {
            learning_rate: expected["lr"].as_f64().expect("a number"),
            beta1: expected["beta1"].as_f64().expect("a number"),
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: decay,
            step: i as u64 + 1,
        };
        network = network.map(&mut Optimise {
            gradients: &mut gradients,
            moments: &mut moments,
            step: |_: &str, _: &[f32]| Some(step),
            path: Path::default(),
        });
    }
    let parameters = norms(&network, architecture, Kind::Parameter);
    assert_norms("parameter", &parameters, &golden["param_l2_after"], 1e-3);
}

fn inference_matches<'a>(network: &Network, cases: impl Iterator<Item = (&'a String, &'a Value)>) {
    let device = device();
    for (name, case) in cases {
        let shape: [usize; 4] = serde_json::from_value(case["shape"].clone()).expect("a shape");
        let images = image(case["input"].as_str().expect("a name"), shape, &device);
        let (found, expected) = (values(network.forward(images.clone(), Pass::Inference)), floats(&case["logits"]));
        assert_close(name, &found, &expected, 1e-4);
        for (precision, tolerance) in [(Precision::F32, 1e-4), (Precision::F16, 0.015), (Precision::Bf16, 0.1)] {
            if device::check_precision(&device, "", precision).is_ok() {
                let found = engine(network, &images, precision).logits(&[Prepared::Normalised(&floats_of(&images))]);
                let found: Vec<f64> = found.into_iter().map(f64::from).collect();
                assert_close(&format!("{name} in {}", precision.name()), &found, &expected, tolerance);
            }
        }
    }
}

/// The inference cases of a network of `models.json`.
fn cases(golden: &Value) -> impl Iterator<Item = (&String, &Value)> {
    golden.as_object().expect("an object").iter().filter(|(key, _)| key.starts_with("eval_logits/"))
}

#[test]
fn resnet18_equals_torchvision() {
    let golden = &golden("models.json")["resnet18"];
    inference_matches(&network(Architecture::ResNet18, golden, &device()), cases(golden));
    train_step_matches(Architecture::ResNet18, golden);
}

#[test]
fn resnet18_takes_five_steps_as_pytorch_does() {
    five_steps_match(Architecture::ResNet18, &golden("models.json")["resnet18"]);
}

#[test]
fn efficientnet_b0_equals_torchvision() {
    let golden = &golden("models.json")["efficientnet_b0_seed_head"];
    inference_matches(&network(Architecture::EfficientNetB0, golden, &device()), cases(golden));
    train_step_matches(Architecture::EfficientNetB0, golden);
}

#[test]
fn efficientnet_b0_takes_five_steps_as_pytorch_does() {
    five_steps_match(Architecture::EfficientNetB0, &golden("models.json")["efficientnet_b0_seed_head"]);
}
