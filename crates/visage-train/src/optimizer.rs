//! SGD, Adam and AdamW over all parameters of a network.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use visage_model::Path;
use visage_model::ops::{AdamState, AdamStep, SgdStep, WeightDecay, adam_step, sgd_step};
use visage_model::{Depths, Network};
use visage_run::{OptimizerKind, OptimizerRecipe};
use visage_weights::{Tensor as FileTensor, TensorFile, TensorValues};

use crate::gradients::Gradients;
use crate::schedule::Rates;

/// Names, before the parameter's path, of what a file keeps of an optimiser.
const VELOCITY: &str = "velocity.";
const FIRST_MOMENT: &str = "first_moment.";
const SECOND_MOMENT: &str = "second_moment.";
const STEPS: &str = "steps.";

/// What is remembered of a parameter's gradients, flattened to `[values]`.
#[allow(clippy::large_enum_variant, reason = "a network has a few hundred, and every tensor lies on the heap anyway")]
#[derive(Clone, Debug)]
enum Memory {
    /// SGD's.
    Velocity(Tensor<1>),
    /// Adam's running means of the gradient and of its square.
    Moments {
        first: Tensor<1>,
        second: Tensor<1>,
        /// Steps the parameter has taken: fewer than the run's where it was frozen at first.
        steps: u64,
    },
}

impl Memory {
    fn none(kind: OptimizerKind, values: usize, device: &Device) -> Self {
        let zeros = || Tensor::zeros([values], device);
        match kind {
            OptimizerKind::Sgd { .. } => Memory::Velocity(zeros()),
            OptimizerKind::Adam { .. } | OptimizerKind::Adamw { .. } => {
                Memory::Moments { first: zeros(), second: zeros(), steps: 0 }
            }
        }
    }

    fn suits(&self, kind: OptimizerKind) -> bool {
        matches!(self, Memory::Velocity(_)) == matches!(kind, OptimizerKind::Sgd { .. })
    }
}

/// The optimiser and what it remembers of past gradients, by path of the parameter.
#[derive(Clone, Debug)]
pub struct Optimizer {
    recipe: OptimizerRecipe,
    memories: BTreeMap<String, Memory>,
}

impl Optimizer {
    /// An optimiser that has seen no gradient.
    #[must_use]
    pub fn new(recipe: OptimizerRecipe) -> Self {
        Self { recipe, memories: BTreeMap::new() }
    }

    /// Moves every parameter of `network` that has a gradient.
    #[must_use]
    pub fn step(&mut self, network: Network, gradients: Gradients, rates: Rates) -> Network {
        let depths = Depths::of(&network);
        let mut stepper = Stepper {
            recipe: &self.recipe,
            memories: &mut self.memories,
            gradients,
            rates,
            depths,
            path: Path::default(),
        };
        network.map(&mut stepper)
    }

    /// Adds what is remembered to `file` under names beginning with `prefix`.
    pub(crate) fn save(&self, file: &mut TensorFile, prefix: &str) {
        let mut keep = |name: &str, path: &str, values: &Tensor<1>| {
            let values = values.to_data().try_into_vec::<f32>().expect("moments are f32");
            file.tensors.insert(format!("{prefix}{name}{path}"), FileTensor::new([values.len()], values));
        };
        for (path, memory) in &self.memories {
            match memory {
                Memory::Velocity(velocity) => keep(VELOCITY, path, velocity),
                Memory::Moments { first, second, .. } => {
                    keep(FIRST_MOMENT, path, first);
                    keep(SECOND_MOMENT, path, second);
                }
            }
        }
        for (path, memory) in &self.memories {
            if let Memory::Moments { steps, .. } = memory {
                file.tensors.insert(format!("{prefix}{STEPS}{path}"), FileTensor::new([], vec![*steps]));
            }
        }
    }

    /// The optimiser of which [`Optimizer::save`] put what it remembers into `file`. `None` if a part of that is
    /// missing or no vector of numbers, or if `file` is of another kind of optimiser.
    pub(crate) fn load(recipe: OptimizerRecipe, file: &TensorFile, prefix: &str, device: &Device) -> Option<Self> {
        let read = |name: &str, path: &str| match file.tensors.get(&format!("{prefix}{name}{path}")) {
            Some(FileTensor { data: TensorValues::F32(values), shape }) if shape.len() == 1 => {
                Some(Tensor::from_data(TensorData::new(values.clone(), [values.len()]), device))
            }
            _ => None,
        };
        let mut memories = BTreeMap::new();
        for name in file.tensors.keys().filter_map(|name| name.strip_prefix(prefix)) {
            let (path, memory) = if let Some(path) = name.strip_prefix(VELOCITY) {
                (path, Memory::Velocity(read(VELOCITY, path)?))
            } else if let Some(path) = name.strip_prefix(FIRST_MOMENT) {
                let TensorValues::U64(steps) = &file.tensors.get(&format!("{prefix}{STEPS}{path}"))?.data else {
                    return None;
                };
                let (first, second) = (read(FIRST_MOMENT, path)?, read(SECOND_MOMENT, path)?);
                (path, Memory::Moments { first, second, steps: *steps.first()? })
            } else {
                continue;
            };
            if !memory.suits(recipe.kind) {
                return None;
            }
            memories.insert(path.to_owned(), memory);
        }
        Some(Self { recipe, memories })
    }
}

struct Stepper<'a> {
    recipe: &'a OptimizerRecipe,
    memories: &'a mut BTreeMap<String, Memory>,
    gradients: Gradients,
    rates: Rates,
    depths: Depths,
    path: Path,
}

impl Stepper<'_> {
    /// The learning rate of a parameter: lower the farther it is from the answers, where the recipe wants that.
    fn learning_rate(&self, path: &str) -> f64 {
        let below = self.depths.count() - 1 - self.depths.at(path);
        // No network has 2^31 layers.
        self.rates.learning_rate * self.recipe.layer_decay.powi(below as i32)
    }
}

impl ModuleMapper for Stepper<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.dotted();
        let Some(gradient) = self.gradients.remove(&path) else { return param };
        // Taken out and put back, so that nobody else holds the memory and it is updated in place.
        let kind = self.recipe.kind;
        let none = || Memory::none(kind, gradient.dims()[0], &gradient.device());
        let memory = self.memories.remove(&path).unwrap_or_else(none);
        // Scales, shifts and biases are vectors, and nothing else of a network is.
        let spared = D == 1 && !self.recipe.decay_norms_and_biases;
        let weight_decay = if spared { 0.0 } else { self.recipe.weight_decay };
        let rates = Rates { learning_rate: self.learning_rate(&path), ..self.rates };
        param.map(|parameter| {
            let dims = parameter.dims();
            let checkpointing = parameter.gradient_checkpointing_strategy();
            let parameter = parameter.inner().flatten::<1>(0, D - 1);
            let (parameter, memory) = moved(kind, rates, weight_decay, parameter, gradient, memory);
            self.memories.insert(path, memory);
            let parameter = parameter.reshape(dims).autodiff();
            let parameter = match checkpointing {
                Some(strategy) => parameter.with_gradient_checkpointing_strategy(strategy),
                None => parameter,
            };
            parameter.require_grad()
        })
    }
}

/// One parameter after a step, and what is then remembered of its gradients.
fn moved(
    kind: OptimizerKind,
    Rates { learning_rate, momentum }: Rates,
    weight_decay: f64,
    parameter: Tensor<1>,
    gradient: Tensor<1>,
    memory: Memory,
) -> (Tensor<1>, Memory) {
    match memory {
        Memory::Velocity(velocity) => {
            let nesterov = matches!(kind, OptimizerKind::Sgd { nesterov: true, .. });
            let step = SgdStep { learning_rate, momentum, nesterov, weight_decay };
            let (parameter, velocity) = sgd_step(parameter, velocity, gradient, step);
            (parameter, Memory::Velocity(velocity))
        }
        Memory::Moments { first, second, steps } => {
            let (betas, epsilon, weight_decay) = match kind {
                OptimizerKind::Adam { betas, epsilon } => (betas, epsilon, WeightDecay::L2(weight_decay)),
                OptimizerKind::Adamw { betas, epsilon } => (betas, epsilon, WeightDecay::Decoupled(weight_decay)),
                // A memory suits its kind: it was made for it, or checked when it was loaded.
                OptimizerKind::Sgd { .. } => return (parameter, Memory::Moments { first, second, steps }),
            };
            let step =
                AdamStep { learning_rate, beta1: momentum, beta2: betas[1], epsilon, weight_decay, step: steps + 1 };
            let state = AdamState { parameter, first_moment: first, second_moment: second };
            let AdamState { parameter, first_moment, second_moment } = adam_step(state, gradient, step);
            (parameter, Memory::Moments { first: first_moment, second: second_moment, steps: steps + 1 })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bowl whose middle is not at 0, as in `training.py`.
    #[test]
    fn descent_takes_pytorchs_path() {
        const GOLDEN: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/training.json"));
        let file: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        let cases = file["descent"].as_array().unwrap();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let number = |key: &str| case[key].as_f64().unwrap();
            let kind = OptimizerKind::Sgd { momentum: number("momentum"), nesterov: case["nesterov"] == true };
            let rates = Rates { learning_rate: 0.1, momentum: number("momentum") };
            let device = Device::flex();
            let vector = |values: [f32; 3]| Tensor::<1>::from_floats(values, &device);
            let (mut x, mut memory) = (vector([1.0, -2.0, 0.5]), Memory::none(kind, 3, &device));
            for expected in case["path"].as_array().unwrap() {
                let gradient = (x.clone() - 0.25) * vector([2.0, 1.0, 6.0]);
                (x, memory) = moved(kind, rates, number("weight_decay"), x, gradient, memory);
                let found = x.to_data().try_into_vec::<f32>().unwrap();
                for (found, expected) in found.into_iter().zip(expected.as_array().unwrap()) {
                    assert!((f64::from(found) - expected.as_f64().unwrap()).abs() < 1e-5, "{case}: {found}");
                }
            }
        }
    }
}
