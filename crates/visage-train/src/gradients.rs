//! The gradients of a whole network, by the path of each parameter.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients as Tape, Tensor};
use visage_model::Path;
use visage_model::{Network, ops};

/// The term that PyTorch's `clip_grad_norm_` adds to the divisor.
const CLIP_EPSILON: f64 = 1e-6;

/// The gradient of every parameter that has one, each flattened to `[values]`.
#[derive(Clone, Debug, Default)]
pub struct Gradients(BTreeMap<String, Tensor<1>>);

impl Gradients {
    /// Takes the gradients of `network`'s parameters from the `tape`.
    #[must_use]
    pub fn take(network: &Network, tape: &mut Tape) -> Self {
        let mut taker = Taker { tape, taken: BTreeMap::new(), path: Path::default() };
        network.visit(&mut taker);
        Self(taker.taken)
    }

    /// The sum with other gradients of the same network.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        for (path, gradient) in other.0 {
            let sum = match self.0.remove(&path) {
                Some(before) => before + gradient,
                None => gradient,
            };
            self.0.insert(path, sum);
        }
        self
    }

    pub(crate) fn moved_to(self, device: &Device) -> Self {
        Self(self.0.into_iter().map(|(path, gradient)| (path, gradient.to_device(device))).collect())
    }

    /// The gradients times a factor.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        if factor == 1.0 {
            return self;
        }
        Self(self.0.into_iter().map(|(path, gradient)| (path, gradient * factor)).collect())
    }

    /// The sum of squares of each gradient, on its device; `None` without gradients.
    pub fn squares(&self) -> Option<Tensor<1>> {
        let squares: Vec<_> = self.0.values().map(|gradient| ops::sum_of_squares(gradient.clone())).collect();
        (!squares.is_empty()).then(|| Tensor::cat(squares, 0))
    }

    /// Scales gradients of norm `norm` down to at most `longest`, as PyTorch's `clip_grad_norm_` does.
    #[must_use]
    pub fn clipped(self, norm: f64, longest: f64) -> Self {
        self.times((longest / (norm + CLIP_EPSILON)).min(1.0))
    }

    /// As [`clipped`](Self::clipped) by the [`squares`](Self::squares), without waiting for the device.
    pub(crate) fn clipped_by_squares(self, squares: Tensor<1>, longest: f64) -> Self {
        let factor = ((squares.sum().sqrt() + CLIP_EPSILON).recip() * longest).clamp_max(1.0);
        Self(self.0.into_iter().map(|(path, gradient)| (path, gradient * factor.clone())).collect())
    }

    pub(crate) fn remove(&mut self, path: &str) -> Option<Tensor<1>> {
        self.0.remove(path)
    }
}

/// The norm of gradients from their [`squares`](Gradients::squares). Waits for the device.
pub(crate) fn norm_of(squares: Tensor<1>) -> f64 {
    let squares = squares.into_data().try_into_vec::<f32>().expect("gradients are f32");
    squares.into_iter().map(f64::from).sum::<f64>().sqrt()
}

struct Taker<'a> {
    tape: &'a mut Tape,
    taken: BTreeMap<String, Tensor<1>>,
    path: Path,
}

impl ModuleVisitor for Taker<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad_remove(self.tape) {
            self.taken.insert(self.path.dotted(), gradient.flatten::<1>(0, D - 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradients(values: [[f32; 2]; 2]) -> Gradients {
        let tensor = |values: [f32; 2]| Tensor::from_floats(values, &Device::flex());
        Gradients(BTreeMap::from([("a".to_owned(), tensor(values[0])), ("b".to_owned(), tensor(values[1]))]))
    }

    fn values(gradients: &Gradients) -> Vec<f32> {
        gradients.0.values().flat_map(|gradient| gradient.to_data().try_into_vec::<f32>().unwrap()).collect()
    }

    fn norm(gradients: &Gradients) -> f64 {
        norm_of(gradients.squares().unwrap())
    }

    #[test]
    fn gradients_add_up_and_are_clipped_by_their_common_norm() {
        let sum = gradients([[1.0, 0.0], [2.0, -1.0]]).plus(gradients([[0.0, 3.0], [0.0, 1.0]])).times(2.0);
        assert_eq!(values(&sum), [2.0, 6.0, 4.0, 0.0]);
        let norm_before = norm(&sum);
        assert!((norm_before - 56f64.sqrt()).abs() < 1e-6);
        assert_eq!(values(&sum.clone().clipped(norm_before, 8.0)), values(&sum), "short gradients stay");
        let squares = sum.squares().unwrap();
        let by_squares = values(&sum.clone().clipped_by_squares(squares.clone(), 1.0));
        assert_eq!(values(&sum.clone().clipped_by_squares(squares, 8.0)), values(&sum));
        let clipped = sum.clipped(norm_before, 1.0);
        assert!(values(&clipped).iter().zip(by_squares).all(|(a, b)| (a - b).abs() < 1e-6));
        assert!((norm(&clipped) - 1.0).abs() < 1e-5);
        assert!((values(&clipped)[1] / values(&clipped)[0] - 3.0).abs() < 1e-5, "clipping keeps the direction");
    }
}
