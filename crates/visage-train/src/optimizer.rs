//! Adam and AdamW over all parameters of a network.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use visage_model::Network;
use visage_model::network::Path;
use visage_model::ops::{AdamState, AdamStep, WeightDecay, adam_step};
use visage_weights::{Tensor as FileTensor, TensorFile, TensorValues};

use crate::recipe::{OptimizerKind, OptimizerRecipe};
use crate::schedule::Rates;

/// Running means of a parameter's gradient and of its square, flattened to `[values]`.
#[derive(Clone, Debug)]
struct Moments {
    first: Tensor<1>,
    second: Tensor<1>,
}

/// The optimiser and what it remembers of past gradients, by path of the parameter.
#[derive(Clone, Debug)]
pub struct Optimizer {
    recipe: OptimizerRecipe,
    moments: BTreeMap<String, Moments>,
}

impl Optimizer {
    /// An optimiser that has seen no gradient.
    #[must_use]
    pub fn new(recipe: OptimizerRecipe) -> Self {
        Self { recipe, moments: BTreeMap::new() }
    }

    /// Moves every parameter of `network` that has a gradient. `step` counts from 1. Also returns the L2 norm of
    /// all gradients together.
    #[must_use]
    pub fn step(&mut self, network: Network, gradients: &mut Gradients, rates: Rates, step: u64) -> (Network, f64) {
        let OptimizerRecipe { kind, weight_decay, betas, epsilon, .. } = self.recipe;
        let weight_decay = match kind {
            OptimizerKind::Adam => WeightDecay::L2(weight_decay),
            OptimizerKind::Adamw => WeightDecay::Decoupled(weight_decay),
        };
        let Rates { learning_rate, beta1 } = rates;
        let step = AdamStep { learning_rate, beta1, beta2: betas[1], epsilon, weight_decay, step };
        let mut stepper =
            Stepper { moments: &mut self.moments, gradients, step, squared_norm: 0.0, path: Path::default() };
        let network = network.map(&mut stepper);
        (network, stepper.squared_norm.sqrt())
    }

    /// Adds the moments to `file` under names beginning with `prefix`.
    pub(crate) fn save(&self, file: &mut TensorFile, prefix: &str) {
        for (path, moments) in &self.moments {
            for (name, moment) in [("first_moment", &moments.first), ("second_moment", &moments.second)] {
                let values = moment.to_data().try_into_vec::<f32>().expect("moments are f32");
                file.tensors.insert(format!("{prefix}{name}.{path}"), FileTensor::new([values.len()], values));
            }
        }
    }

    /// The optimiser whose moments [`Optimizer::save`] put into `file`. `None` if one of a pair is missing or no
    /// vector of numbers.
    pub(crate) fn load(recipe: OptimizerRecipe, file: &TensorFile, prefix: &str, device: &Device) -> Option<Self> {
        let first_prefix = format!("{prefix}first_moment.");
        let read = |name: &str| match file.tensors.get(name) {
            Some(FileTensor { data: TensorValues::F32(values), shape }) if shape.len() == 1 => {
                Some(Tensor::from_data(TensorData::new(values.clone(), [values.len()]), device))
            }
            _ => None,
        };
        let mut moments = BTreeMap::new();
        for name in file.tensors.keys() {
            let Some(path) = name.strip_prefix(&first_prefix) else { continue };
            let second = read(&format!("{prefix}second_moment.{path}"))?;
            moments.insert(path.to_owned(), Moments { first: read(name)?, second });
        }
        Some(Self { recipe, moments })
    }
}

struct Stepper<'a> {
    moments: &'a mut BTreeMap<String, Moments>,
    gradients: &'a mut Gradients,
    step: AdamStep,
    squared_norm: f64,
    path: Path,
}

impl ModuleMapper for Stepper<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = param.val().grad_remove(self.gradients) else { return param };
        let gradient = gradient.flatten::<1>(0, D - 1);
        self.squared_norm += f64::from(gradient.clone().square().sum().into_scalar::<f32>());
        let path = self.path.dotted();
        // Taken out and put back, so that nobody else holds the moments and they are updated in place.
        let Moments { first, second } = self.moments.remove(&path).unwrap_or_else(|| {
            let zeros = Tensor::zeros([gradient.dims()[0]], &gradient.device());
            Moments { first: zeros.clone(), second: zeros }
        });
        param.map(|parameter| {
            let dims = parameter.dims();
            let parameter = parameter.inner().flatten::<1>(0, D - 1);
            let state = AdamState { parameter, first_moment: first, second_moment: second };
            let state = adam_step(state, gradient, self.step);
            self.moments.insert(path, Moments { first: state.first_moment, second: state.second_moment });
            state.parameter.reshape(dims).autodiff().require_grad()
        })
    }
}
