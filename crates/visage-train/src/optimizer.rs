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

/// Prefixes, before the parameter's path, of an optimiser's tensors in a file.
const VELOCITY: &str = "velocity.";
const FIRST_MOMENT: &str = "first_moment.";
const SECOND_MOMENT: &str = "second_moment.";
const STEPS: &str = "steps.";

/// The optimiser's state of a parameter, flattened to `[values]`.
#[allow(clippy::large_enum_variant, reason = "a network has a few hundred, and every tensor lies on the heap anyway")]
#[derive(Clone, Debug)]
enum ParameterState {
    Velocity(Tensor<1>),
    /// Adam's running means of the gradient and of its square.
    Moments {
        first: Tensor<1>,
        second: Tensor<1>,
        /// Steps that moved the parameter: fewer than the run's if it was frozen at first.
        steps: u64,
    },
}

impl ParameterState {
    fn initial(kind: OptimizerKind, values: usize, device: &Device) -> Self {
        let zeros = || Tensor::zeros([values], device);
        match kind {
            OptimizerKind::Sgd { .. } => ParameterState::Velocity(zeros()),
            OptimizerKind::Adam { .. } | OptimizerKind::Adamw { .. } => {
                ParameterState::Moments { first: zeros(), second: zeros(), steps: 0 }
            }
        }
    }

    fn is_of(&self, kind: OptimizerKind) -> bool {
        matches!(self, ParameterState::Velocity(_)) == matches!(kind, OptimizerKind::Sgd { .. })
    }
}

/// An optimiser and its state of each parameter, by path.
#[derive(Clone, Debug)]
pub struct Optimizer {
    recipe: OptimizerRecipe,
    states: BTreeMap<String, ParameterState>,
}

impl Optimizer {
    /// An optimiser in its initial state.
    pub fn new(recipe: OptimizerRecipe) -> Self {
        Self { recipe, states: BTreeMap::new() }
    }

    /// Moves every parameter of `network` that has a gradient.
    #[must_use]
    pub fn step(&mut self, network: Network, gradients: Gradients, rates: Rates) -> Network {
        let depths = Depths::of(&network);
        let mut update =
            Update { recipe: &self.recipe, states: &mut self.states, gradients, rates, depths, path: Path::default() };
        network.map(&mut update)
    }

    /// Adds the state to `file` under names that begin with `prefix`.
    pub(crate) fn save(&self, file: &mut TensorFile, prefix: &str) {
        let mut keep = |name: &str, path: &str, tensor| file.tensors.insert(format!("{prefix}{name}{path}"), tensor);
        let values = |tensor: &Tensor<1>| {
            let values = tensor.to_data().try_into_vec::<f32>().expect("moments are f32");
            FileTensor::new([values.len()], values)
        };
        for (path, state) in &self.states {
            match state {
                ParameterState::Velocity(velocity) => {
                    keep(VELOCITY, path, values(velocity));
                }
                ParameterState::Moments { first, second, steps } => {
                    keep(FIRST_MOMENT, path, values(first));
                    keep(SECOND_MOMENT, path, values(second));
                    keep(STEPS, path, FileTensor::new([], vec![*steps]));
                }
            }
        }
    }

    /// The optimiser whose state [`Optimizer::save`] added to `file`. `None` if a part of it is missing or malformed, or of
    /// another kind of optimiser.
    pub(crate) fn load(recipe: OptimizerRecipe, file: &TensorFile, prefix: &str, device: &Device) -> Option<Self> {
        let read = |name: &str, path: &str| match file.tensors.get(&format!("{prefix}{name}{path}")) {
            Some(FileTensor { data: TensorValues::F32(values), shape }) if shape.len() == 1 => {
                Some(Tensor::from_data(TensorData::new(values.clone(), [values.len()]), device))
            }
            _ => None,
        };
        let mut states = BTreeMap::new();
        for name in file.tensors.keys().filter_map(|name| name.strip_prefix(prefix)) {
            let (path, state) = if let Some(path) = name.strip_prefix(VELOCITY) {
                (path, ParameterState::Velocity(read(VELOCITY, path)?))
            } else if let Some(path) = name.strip_prefix(FIRST_MOMENT) {
                let TensorValues::U64(steps) = &file.tensors.get(&format!("{prefix}{STEPS}{path}"))?.data else {
                    return None;
                };
                let (first, second) = (read(FIRST_MOMENT, path)?, read(SECOND_MOMENT, path)?);
                (path, ParameterState::Moments { first, second, steps: *steps.first()? })
            } else if let Some(path) = name.strip_prefix(SECOND_MOMENT).or_else(|| name.strip_prefix(STEPS)) {
                read(FIRST_MOMENT, path)?;
                continue;
            } else {
                continue;
            };
            if !state.is_of(recipe.kind) {
                return None;
            }
            states.insert(path.to_owned(), state);
        }
        Some(Self { recipe, states })
    }

    /// Whether every state is that of a parameter of `network`, and of its length.
    pub(crate) fn fits(&self, network: &Network) -> bool {
        let mut lengths = BTreeMap::new();
        network.for_each(|path, _, data| {
            lengths.insert(path.to_owned(), data.num_elements());
        });
        self.states.iter().all(|(path, state)| {
            let length = lengths.get(path);
            let fits = |values: &Tensor<1>| length == Some(&values.dims()[0]);
            match state {
                ParameterState::Velocity(velocity) => fits(velocity),
                ParameterState::Moments { first, second, .. } => fits(first) && fits(second),
            }
        })
    }
}

struct Update<'a> {
    recipe: &'a OptimizerRecipe,
    states: &'a mut BTreeMap<String, ParameterState>,
    gradients: Gradients,
    rates: Rates,
    depths: Depths,
    path: Path,
}

impl Update<'_> {
    /// The learning rate of a parameter, with layer-wise decay.
    fn learning_rate(&self, path: &str) -> f64 {
        let below = self.depths.count() - 1 - self.depths.at(path);
        // No network has 2^31 layers.
        self.rates.learning_rate * self.recipe.layer_decay.powi(below as i32)
    }
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.dotted();
        let Some(gradient) = self.gradients.remove(&path) else { return param };
        // Removed and inserted again, so that this is the only handle and the update works in place.
        let kind = self.recipe.kind;
        let initial = || ParameterState::initial(kind, gradient.dims()[0], &gradient.device());
        let state = self.states.remove(&path).unwrap_or_else(initial);
        // Scales, shifts and biases are a network's only vectors.
        let exempt = D == 1 && !self.recipe.decay_norms_and_biases;
        let weight_decay = if exempt { 0.0 } else { self.recipe.weight_decay };
        let rates = Rates { learning_rate: self.learning_rate(&path), ..self.rates };
        param.map(|parameter| {
            let dims = parameter.dims();
            let checkpointing = parameter.gradient_checkpointing_strategy();
            let parameter = parameter.inner().flatten::<1>(0, D - 1);
            let (parameter, state) = stepped(kind, rates, weight_decay, parameter, gradient, state);
            self.states.insert(path, state);
            let parameter = parameter.reshape(dims).autodiff();
            let parameter = match checkpointing {
                Some(strategy) => parameter.with_gradient_checkpointing_strategy(strategy),
                None => parameter,
            };
            parameter.require_grad()
        })
    }
}

fn stepped(
    kind: OptimizerKind,
    Rates { learning_rate, momentum }: Rates,
    weight_decay: f64,
    parameter: Tensor<1>,
    gradient: Tensor<1>,
    state: ParameterState,
) -> (Tensor<1>, ParameterState) {
    match state {
        ParameterState::Velocity(velocity) => {
            let nesterov = matches!(kind, OptimizerKind::Sgd { nesterov: true, .. });
            let step = SgdStep { learning_rate, momentum, nesterov, weight_decay };
            let (parameter, velocity) = sgd_step(parameter, velocity, gradient, step);
            (parameter, ParameterState::Velocity(velocity))
        }
        ParameterState::Moments { first, second, steps } => {
            let (betas, epsilon, weight_decay) = match kind {
                OptimizerKind::Adam { betas, epsilon } => (betas, epsilon, WeightDecay::L2(weight_decay)),
                OptimizerKind::Adamw { betas, epsilon } => (betas, epsilon, WeightDecay::Decoupled(weight_decay)),
                // Excluded: a state is created for its kind, or checked when it is loaded.
                OptimizerKind::Sgd { .. } => return (parameter, ParameterState::Moments { first, second, steps }),
            };
            let step =
                AdamStep { learning_rate, beta1: momentum, beta2: betas[1], epsilon, weight_decay, step: steps + 1 };
            let state = AdamState { parameter, first_moment: first, second_moment: second };
            let AdamState { parameter, first_moment, second_moment } = adam_step(state, gradient, step);
            (parameter, ParameterState::Moments { first: first_moment, second: second_moment, steps: steps + 1 })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A quadratic bowl that is not centred at 0, as in `training.py`.
    #[test]
    fn descent_takes_pytorchs_path() {
        let golden = crate::golden::training("descent");
        let cases = golden.as_array().unwrap();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let number = |key: &str| case[key].as_f64().unwrap();
            let kind = OptimizerKind::Sgd { momentum: number("momentum"), nesterov: case["nesterov"] == true };
            let rates = Rates { learning_rate: 0.1, momentum: number("momentum") };
            let device = Device::flex();
            let vector = |values: [f32; 3]| Tensor::<1>::from_floats(values, &device);
            let (mut x, mut state) = (vector([1.0, -2.0, 0.5]), ParameterState::initial(kind, 3, &device));
            for expected in case["path"].as_array().unwrap() {
                let gradient = (x.clone() - 0.25) * vector([2.0, 1.0, 6.0]);
                (x, state) = stepped(kind, rates, number("weight_decay"), x, gradient, state);
                let found = x.to_data().try_into_vec::<f32>().unwrap();
                for (found, expected) in found.into_iter().zip(expected.as_array().unwrap()) {
                    assert!((f64::from(found) - expected.as_f64().unwrap()).abs() < 1e-5, "{case}: {found}");
                }
            }
        }
    }
}
