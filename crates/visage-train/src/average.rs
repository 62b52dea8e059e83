//! An exponential moving average of a network's weights, often a better model than the weights themselves.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;
use visage_model::Network;
use visage_model::Path;

/// An exponential moving average of every parameter and running statistic (Polyak and Juditsky, 1992).
#[derive(Clone, Debug)]
pub struct WeightAverage {
    decay: f64,
    /// `None` only during an update.
    network: Option<Network>,
}

impl WeightAverage {
    /// An average that starts at `network`, which must be without gradients.
    pub fn new(decay: f64, network: Network) -> Self {
        Self { decay, network: Some(network) }
    }

    /// The averaged network.
    pub fn network(&self) -> &Network {
        self.network.as_ref().expect("put back after every update")
    }

    /// Adds the weights after `step` steps, counted from 1.
    ///
    /// The decay is `min(decay, (1 + step) / (10 + step))`, as in TensorFlow, so that the initial weights do not dominate the
    /// first steps.
    pub fn update(&mut self, network: &Network, step: u64) {
        let decay = self.decay.min((1.0 + step as f64) / (10.0 + step as f64));
        let mut collector = Collector { values: BTreeMap::new(), path: Path::default() };
        network.visit(&mut collector);
        let mut mixer = Mixer { decay, values: collector.values, path: Path::default() };
        self.network = self.network.take().map(|average| average.map(&mut mixer));
    }
}

struct Collector {
    values: BTreeMap<String, Tensor<1>>,
    path: Path,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.values.insert(self.path.dotted(), param.val().inner().flatten::<1>(0, D - 1));
    }
}

struct Mixer {
    decay: f64,
    values: BTreeMap<String, Tensor<1>>,
    path: Path,
}

impl ModuleMapper for Mixer {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(value) = self.values.remove(&self.path.dotted()) else { return param };
        let decay = self.decay;
        param.map(|average| {
            let value = value.reshape(average.dims());
            average * decay + value * (1.0 - decay)
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use visage_model::{Architecture, NetworkConfig};

    use super::*;

    fn values(network: &Network) -> [f64; 2] {
        let mut found = [0.0; 2];
        network.for_each(|path, _, data| {
            let first = || f64::from(data.clone().try_into_vec::<f32>().unwrap()[0]);
            match path {
                "fc.weight" => found[0] = first(),
                "bn1.running_var" => found[1] = first(),
                _ => {}
            }
        });
        found
    }

    #[test]
    fn the_average_follows_its_definition() {
        let config = NetworkConfig::new(Architecture::ResNet18, 2);
        let networks: Vec<Network> = (0..4).map(|seed| config.init(seed, &Device::flex())).collect();
        let mut average = WeightAverage::new(0.3, networks[0].clone());
        let mut expected = values(&networks[0]);
        for (step, network) in (1u64..).zip(&networks[1..]) {
            average.update(network, step);
            let decay = 0.3f64.min((1.0 + step as f64) / (10.0 + step as f64));
            for (expected, value) in expected.iter_mut().zip(values(network)) {
                *expected = *expected * decay + value * (1.0 - decay);
            }
        }
        let found = values(average.network());
        assert!((0..2).all(|i| (found[i] - expected[i]).abs() < 1e-6), "{found:?}, expected {expected:?}");
        assert_ne!(found[0], values(&networks[3])[0]);
    }
}
