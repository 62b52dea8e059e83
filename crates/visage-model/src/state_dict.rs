//! State dicts: a network's tensors by name, written to files and loaded from files of visage and other programs.
//!
//! The network holds filters in the layout of its kernels. A state dict has PyTorch's layout and the names of a [`Naming`].

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use visage_weights::{Tensor as FileTensor, TensorFile, TensorValues};

use crate::architecture::Architecture;
use crate::depth::is_classifier;
use crate::error::ModelError;
use crate::naming::Naming;
use crate::network::Network;
use crate::network_config::NetworkConfig;
use crate::parameters::{Kind, Path, replace};

/// Whether `key` names a tensor of the classifier in one of the programs.
fn is_foreign_classifier(key: &str) -> bool {
    ["fc.", "classifier.", "_fc.", "shared_features."].iter().any(|prefix| key.starts_with(prefix))
}

/// PyTorch's shape of a parameter with the shape `dims` in the network.
fn file_shape(path: &str, dims: &[usize]) -> Vec<usize> {
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
    /// The naming is recognised. If the classifier of the file has another shape, the network keeps its own initial classifier,
    /// and the report says so. All other missing, misshapen and surplus tensors are listed in one error. PyTorch's
    /// `num_batches_tracked` counters are ignored.
    ///
    /// # Errors
    ///
    /// [`ModelError::Mismatch`]
    pub fn load(self, architecture: Architecture, file: &TensorFile) -> Result<(Network, LoadReport), ModelError> {
        let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
        self.for_each(|path, _, data| shapes.push((path.to_owned(), data.shape().to_vec())));
        let naming = recognise(architecture, &shapes, file);

        let fits = |path: &str, dims: &[usize]| {
            let tensor = file.tensors.get(&architecture.key(naming, path));
            tensor.is_some_and(|t| t.shape == file_shape(path, dims) && matches!(t.data, TensorValues::F32(_)))
        };
        let keep_classifier = shapes.iter().any(|(path, dims)| is_classifier(path) && !fits(path, dims));

        let (mut missing, mut misshapen) = (Vec::new(), Vec::new());
        let mut values = BTreeMap::new();
        let mut expected = BTreeSet::new();
        for (path, dims) in &shapes {
            let key = architecture.key(naming, path);
            if !(keep_classifier && is_classifier(path)) {
                match file.tensors.get(&key) {
                    Some(FileTensor { data: TensorValues::F32(data), .. }) if fits(path, dims) => {
                        values.insert(path.clone(), from_pytorch_order(dims, data));
                    }
                    Some(FileTensor { shape, .. }) => {
                        let own = file_shape(path, dims);
                        misshapen.push(format!("{key} is {shape:?}, the network's is {own:?}"));
                    }
                    None => missing.push(key.clone()),
                }
            }
            expected.insert(key);
        }
        let is_known = |key: &String| {
            expected.contains(key)
                || key.ends_with("num_batches_tracked")
                || (keep_classifier && is_foreign_classifier(key))
        };
        let surplus: Vec<String> = file.tensors.keys().filter(|key| !is_known(key)).cloned().collect();
        if !(missing.is_empty() && misshapen.is_empty() && surplus.is_empty()) {
            return Err(ModelError::Mismatch { architecture, naming, missing, misshapen, surplus });
        }
        let report = LoadReport { naming, tensors: values.len(), classifier_replaced: keep_classifier };
        Ok((self.map(&mut Loader { values, path: Path::default() }), report))
    }
}

/// The naming under which most of the parameters are in `file`.
fn recognise(architecture: Architecture, shapes: &[(String, Vec<usize>)], file: &TensorFile) -> Naming {
    let matches = |naming: &Naming| {
        shapes.iter().filter(|(path, _)| file.tensors.contains_key(&architecture.key(*naming, path))).count()
    };
    // `max_by_key` takes the last of equals. On a tie the first naming wins, which is the one that visage writes.
    architecture.namings().iter().rev().copied().max_by_key(matches).unwrap_or(Naming::Torchvision)
}

/// What [`Network::load`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadReport {
    /// The naming of the file.
    pub naming: Naming,
    /// The number of tensors that were loaded.
    pub tensors: usize,
    /// Whether the classifier of the file has another shape, so that the network kept its own initial one.
    pub classifier_replaced: bool,
}

/// An architecture that a state dict can be loaded into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompatibleNetwork {
    /// The architecture.
    pub architecture: Architecture,
    /// The naming of the file.
    pub naming: Naming,
    /// The number of outputs of its classifier. `None` if it is not the architecture's kind of classifier.
    pub outputs: Option<usize>,
}

/// The architectures that `file` can be loaded into, and for each of the others the reason why it cannot.
#[must_use]
pub fn compatible_networks(file: &TensorFile) -> (Vec<CompatibleNetwork>, Vec<ModelError>) {
    let (mut compatible, mut errors) = (Vec::new(), Vec::new());
    for architecture in Architecture::ALL {
        let outputs = |naming: &Naming| {
            let key = architecture.key(*naming, architecture.descriptor().output_weight);
            file.tensors.get(&key).and_then(|tensor| tensor.shape.first().copied())
        };
        let outputs = architecture.namings().iter().find_map(outputs).filter(|&outputs| outputs > 0);
        let network = NetworkConfig::new(architecture, outputs.unwrap_or(1)).zeroed(&Device::flex());
        match network.load(architecture, file) {
            Ok((_, LoadReport { naming, classifier_replaced, .. })) => {
                let outputs = outputs.filter(|_| !classifier_replaced);
                compatible.push(CompatibleNetwork { architecture, naming, outputs });
            }
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
