//! State dicts: a network's tensors by name, written to files and loaded from files of visage and other programs.
//!
//! The network holds filters in the layout of its kernels. A state dict has PyTorch's layout and the names of a [`Naming`].

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use visage_weights::{Tensor as FileTensor, TensorFile};

use crate::architecture::Architecture;
use crate::depth::is_classifier;
use crate::error::LoadError;
use crate::locate::{Location, Search};
use crate::naming::Naming;
use crate::network::Network;
use crate::network_config::NetworkConfig;
use crate::parameters::{Kind, Path, replace};

/// PyTorch's shape of a parameter with the shape `dims` in the network.
pub(crate) fn file_shape(path: &str, dims: &[usize]) -> Vec<usize> {
    match *dims {
        [output, height, width, input] => vec![output, input, height, width],
        [height, width, channels] => vec![channels, 1, height, width],
        // The linear layers of squeeze and excitation are 1x1 convolutions in the other programs.
        [outputs, inputs] if path.contains(".gate.") => vec![outputs, inputs, 1, 1],
        _ => dims.to_vec(),
    }
}

/// For each value in PyTorch's order, its index in the network's layout. `None` if the layouts are equal.
fn pytorch_indices(dims: &[usize]) -> Option<Vec<usize>> {
    match *dims {
        [output, height, width, input] => {
            let mut indices = Vec::with_capacity(output * input * height * width);
            for o in 0..output {
                for i in 0..input {
                    for y in 0..height {
                        indices.extend((0..width).map(|x| ((o * height + y) * width + x) * input + i));
                    }
                }
            }
            Some(indices)
        }
        [height, width, channels] => {
            let positions = height * width;
            Some((0..channels).flat_map(|c| (0..positions).map(move |p| p * channels + c)).collect())
        }
        _ => None,
    }
}

/// Converts a filter to PyTorch's layout, `[out_channels, in_channels, kernel_height, kernel_width]`.
///
/// `dims` is its shape in the network: `[out_channels, kernel_height, kernel_width, in_channels]`, or depthwise
/// `[kernel_height, kernel_width, channels]`. Tensors of other ranks are unchanged.
#[must_use]
pub fn pytorch_order(dims: &[usize], values: Vec<f32>) -> Vec<f32> {
    match pytorch_indices(dims) {
        Some(indices) => indices.into_iter().map(|index| values[index]).collect(),
        None => values,
    }
}

/// The inverse of [`pytorch_order`].
fn from_pytorch_order(dims: &[usize], values: &[f32]) -> Vec<f32> {
    let Some(indices) = pytorch_indices(dims) else { return values.to_vec() };
    let mut converted = vec![0.0; values.len()];
    for (index, &value) in indices.into_iter().zip(values) {
        converted[index] = value;
    }
    converted
}

impl Network {
    /// Every parameter and running statistic, with the names that visage writes and in PyTorch's layout.
    #[must_use]
    pub fn tensors(&self, architecture: Architecture) -> BTreeMap<String, FileTensor> {
        self.tensors_named(architecture, architecture.namings()[0])
    }

    /// [`tensors`](Self::tensors) with the names of another program, which is one of the architecture's
    /// [`namings`](Architecture::namings).
    #[must_use]
    pub fn tensors_named(&self, architecture: Architecture, naming: Naming) -> BTreeMap<String, FileTensor> {
        let mut tensors = BTreeMap::new();
        self.for_each(|path, _, data| {
            let dims = data.shape().to_vec();
            let values = data.try_into_vec::<f32>().expect("parameters are f32");
            let tensor = FileTensor::new(file_shape(path, &dims), pytorch_order(&dims, values));
            tensors.insert(architecture.key(naming, path), tensor);
        });
        tensors
    }

    /// Loads every tensor of the network from `file`, whichever program wrote it.
    ///
    /// The naming is recognised, and so is a prefix of all names, such as `model.` or `module.`: the one after which the names are
    /// the network's. If the classifier there has another shape or other names, the network keeps its own initial classifier, and
    /// the report says so. Tensors outside of the prefix, counters such as PyTorch's `num_batches_tracked`, and a visage
    /// checkpoint's state of training are not loaded.
    ///
    /// # Errors
    ///
    /// [`LoadError::Mismatch`] if the network is nowhere in the file, [`LoadError::Ambiguous`] if it is there more than once, with
    /// different values, [`LoadError::NotFinite`] if a value is NaN or infinite.
    pub fn load(self, architecture: Architecture, file: &TensorFile) -> Result<(Network, LoadReport), LoadError> {
        self.load_under(None, architecture, file)
    }

    /// [`load`](Self::load) from a file that may hold several networks that fit. `prefix` chooses the one under this prefix, or else the
    /// one whose prefix begins with it.
    ///
    /// It is one or more dotted parts of the names, with or without the last dot. The empty prefix chooses the network whose names have
    /// none.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), and [`LoadError::NoSuchPrefix`].
    pub fn load_under(
        self,
        prefix: Option<&str>,
        architecture: Architecture,
        file: &TensorFile,
    ) -> Result<(Network, LoadReport), LoadError> {
        let search = Search::new(&self, architecture, file);
        let at = choose(search.locations()?, prefix, architecture)?;
        let classifier_replaced = !search.has_classifier(&at);
        let mut values = BTreeMap::new();
        for (path, dims) in &search.shapes {
            if let Some(loaded) = search.values(&at, path, dims)
                && !(classifier_replaced && is_classifier(path))
            {
                if let Some(&value) = loaded.iter().find(|value| !value.is_finite()) {
                    let tensor = at.prefix.clone() + &architecture.key(at.naming, path);
                    return Err(LoadError::NotFinite { tensor, value });
                }
                values.insert(path.clone(), from_pytorch_order(dims, loaded));
            }
        }
        let report = LoadReport {
            naming: at.naming,
            prefix: at.shown_prefix().to_owned(),
            tensors: values.len(),
            unused: search.outside(&at),
            classifier_replaced,
        };
        Ok((self.map(&mut Loader { values, path: Path::default() }), report))
    }
}

/// The only location, or that with the prefix, or else the only one whose prefix begins with it.
fn choose(found: Vec<Location>, prefix: Option<&str>, architecture: Architecture) -> Result<Location, LoadError> {
    let all: Vec<String> = found.iter().map(|at| at.shown_prefix().to_owned()).collect();
    let mut chosen = match prefix.map(|prefix| prefix.trim_end_matches('.')) {
        None => found,
        Some(prefix) => {
            let exact = found.iter().find(|at| at.shown_prefix() == prefix).cloned();
            let below = format!("{prefix}.");
            let inside = || found.into_iter().filter(|at| at.prefix.starts_with(&below)).collect();
            exact.map_or_else(inside, |exact| vec![exact])
        }
    };
    match chosen.len() {
        0 => {
            Err(LoadError::NoSuchPrefix { architecture, prefix: prefix.unwrap_or_default().to_owned(), prefixes: all })
        }
        1 => Ok(chosen.remove(0)),
        _ => {
            let prefixes = chosen.iter().map(|at| at.shown_prefix().to_owned()).collect();
            Err(LoadError::Ambiguous { architecture, prefixes })
        }
    }
}

/// What [`Network::load`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadReport {
    /// The naming of the file.
    pub naming: Naming,
    /// The prefix of the network's names in the file, without its last dot; empty if there is none.
    pub prefix: String,
    /// The number of tensors that were loaded.
    pub tensors: usize,
    /// The number of tensors outside of the prefix, counters excepted.
    pub unused: usize,
    /// Whether the classifier of the file has another shape, so that the network kept its own initial one.
    pub classifier_replaced: bool,
}

/// An architecture that a state dict can be loaded into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompatibleNetwork {
    /// The architecture.
    pub architecture: Architecture,
    /// The naming of the file.
    pub naming: Naming,
    /// The prefix of the network's names in the file, without its last dot; empty if there is none.
    pub prefix: String,
    /// The number of outputs of its classifier. `None` if it is not the architecture's kind of classifier.
    pub outputs: Option<usize>,
}

/// The architectures that `file` can be loaded into, once for each prefix under which it holds other weights, and for each of the other
/// architectures the reason why it cannot.
#[must_use]
pub fn compatible_networks(file: &TensorFile) -> (Vec<CompatibleNetwork>, Vec<LoadError>) {
    let (mut compatible, mut errors) = (Vec::new(), Vec::new());
    for architecture in Architecture::ALL {
        let network = |outputs| NetworkConfig::new(architecture, outputs).zeroed(&Device::flex());
        let search = Search::new(&network(1), architecture, file);
        match search.locations() {
            Ok(locations) => compatible.extend(locations.into_iter().map(|at| {
                let output = search.tensor(&at, architecture.descriptor().output_weight);
                let outputs = output.and_then(|tensor| tensor.shape.first().copied()).filter(|&outputs| outputs > 0);
                let fits = |&outputs: &usize| Search::new(&network(outputs), architecture, file).has_classifier(&at);
                let prefix = at.shown_prefix().to_owned();
                CompatibleNetwork { architecture, naming: at.naming, prefix, outputs: outputs.filter(fits) }
            })),
            Err(error) => errors.push(error),
        }
    }
    (compatible, errors)
}

/// Replaces the values of parameters by path.
struct Loader {
    values: BTreeMap<String, Vec<f32>>,
    path: Path,
}

impl ModuleMapper for Loader {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.dotted();
        match self.values.remove(&path) {
            Some(values) => param.map(|tensor| replace(tensor, values, Kind::of(&path))),
            None => param,
        }
    }
}
