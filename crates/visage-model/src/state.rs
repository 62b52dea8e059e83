//! A network's tensors by name: out of it, into it, and from what other programs saved.
//!
//! Inside, filters lie as the kernels read them; in files they lie as PyTorch writes them, under the names of
//! the program the network follows. Two conversions, each other's inverse, are all that differs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use visage_weights::{Tensor as FileTensor, TensorFile, TensorValues};

use crate::architecture::Architecture;
use crate::depth::is_classifier;
use crate::error::ModelError;
use crate::network::{Network, NetworkConfig};
use crate::parameters::{Kind, Path};

/// Whose names the tensors of a file carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// torchvision's; ResNet-18's are timm's too.
    Torchvision,
    /// The original write-up's: torchvision's EfficientNet-B0 as `backbone`, then its head.
    Original,
    /// timm's.
    Timm,
    /// Those of the `EfficientNet-PyTorch` family, in which Lite0's ImageNet weights are published.
    EfficientNetPytorch,
}

impl fmt::Display for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Naming::Torchvision => "torchvision",
            Naming::Original => "the original's",
            Naming::Timm => "timm",
            Naming::EfficientNetPytorch => "EfficientNet-PyTorch",
        })
    }
}

/// Whether `key` names a tensor of some program's classifier for another task.
fn is_foreign_classifier(key: &str) -> bool {
    ["fc.", "classifier.", "_fc.", "shared_features."].iter().any(|prefix| key.starts_with(prefix))
}

/// How a parameter lies in a file: PyTorch's shape for it.
fn file_shape(path: &str, dims: &[usize]) -> Vec<usize> {
    match *dims {
        [output, height, width, input] => vec![output, input, height, width],
        [height, width, channels] => vec![channels, 1, height, width],
        // The linear layers of a gate are 1x1 convolutions everywhere else.
        [outputs, inputs] if path.contains(".gate.") => vec![outputs, inputs, 1, 1],
        _ => dims.to_vec(),
    }
}

/// Position in our layout of each value in PyTorch's order.
fn order(dims: &[usize]) -> Option<Vec<usize>> {
    match *dims {
        [output, height, width, input] => {
            let mut order = Vec::with_capacity(output * input * height * width);
            for o in 0..output {
                for i in 0..input {
                    for y in 0..height {
                        order.extend((0..width).map(|x| ((o * height + y) * width + x) * input + i));
                    }
                }
            }
            Some(order)
        }
        [height, width, channels] => {
            let positions = height * width;
            Some((0..channels).flat_map(|c| (0..positions).map(move |p| p * channels + c)).collect())
        }
        _ => None,
    }
}

/// The values of a filter in PyTorch's order, `[out_channels, in_channels, kernel_height, kernel_width]`, of those of one in ours:
/// `[out_channels, kernel_height, kernel_width, in_channels]`, or depthwise `[kernel_height, kernel_width, channels]`. Others stay.
#[must_use]
pub fn pytorch_order(dims: &[usize], values: Vec<f32>) -> Vec<f32> {
    match order(dims) {
        Some(order) => order.into_iter().map(|position| values[position]).collect(),
        None => values,
    }
}

fn from_file(dims: &[usize], values: &[f32]) -> Vec<f32> {
    match order(dims) {
        Some(order) => {
            let mut ours = vec![0.0; values.len()];
            for (position, &value) in order.into_iter().zip(values) {
                ours[position] = value;
            }
            ours
        }
        None => values.to_vec(),
    }
}

impl Network {
    /// Every parameter and running statistic under the names visage writes, shaped and laid out as in PyTorch.
    #[must_use]
    pub fn tensors(&self, architecture: Architecture) -> BTreeMap<String, FileTensor> {
        self.tensors_named(architecture, architecture.namings()[0])
    }

    /// The same under the names of another program, which must be one of the architecture's [`namings`](Architecture::namings).
    #[must_use]
    pub fn tensors_named(&self, architecture: Architecture, naming: Naming) -> BTreeMap<String, FileTensor> {
        let mut tensors = BTreeMap::new();
        self.for_each(|path, _, data| {
            let dims = data.shape().to_vec();
            let tensor = FileTensor::new(file_shape(path, &dims), pytorch_order(&dims, float_values(data)));
            tensors.insert(architecture.key(naming, path), tensor);
        });
        tensors
    }

    /// Fills every tensor of the network from `file`, which visage or another program wrote for it.
    ///
    /// The naming is recognised. A classifier of another width or kind keeps the network's own initial values,
    /// and the answer says so; anything else that is missing, surplus or of another shape is one error listing
    /// all of it. PyTorch's `num_batches_tracked` counters are passed over: nothing here reads them.
    ///
    /// # Errors
    ///
    /// [`ModelError::Mismatch`]
    pub fn load(self, architecture: Architecture, file: &TensorFile) -> Result<(Network, LoadReport), ModelError> {
        let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
        self.for_each(|path, _, data| shapes.push((path.to_owned(), data.shape().to_vec())));
        let keys = |naming: Naming| shapes.iter().map(move |(path, _)| architecture.key(naming, path));
        let found = |naming: &Naming| keys(*naming).filter(|key| file.tensors.contains_key(key)).count();
        // On a tie the first naming wins, which is the one visage writes.
        let naming = architecture.namings().iter().rev().copied().max_by_key(found).unwrap_or(Naming::Torchvision);

        let fits = |path: &str, dims: &[usize]| {
            let tensor = file.tensors.get(&architecture.key(naming, path))?;
            Some(tensor.shape == file_shape(path, dims) && matches!(tensor.data, TensorValues::F32(_)))
        };
        let keep_classifier = shapes.iter().any(|(path, dims)| is_classifier(path) && fits(path, dims) != Some(true));

        let (mut missing, mut misshapen) = (Vec::new(), Vec::new());
        let mut values = BTreeMap::new();
        let mut expected = BTreeSet::new();
        for (path, dims) in &shapes {
            let key = architecture.key(naming, path);
            if keep_classifier && is_classifier(path) {
                expected.insert(key);
                continue;
            }
            match (fits(path, dims), file.tensors.get(&key)) {
                (Some(true), Some(FileTensor { data: TensorValues::F32(data), .. })) => {
                    values.insert(path.clone(), from_file(dims, data));
                }
                (_, Some(tensor)) => misshapen.push(format!(
                    "{key} is {:?}, the network's is {:?}",
                    tensor.shape,
                    file_shape(path, dims)
                )),
                (_, None) => missing.push(key.clone()),
            }
            expected.insert(key);
        }
        let surplus: Vec<String> = file
            .tensors
            .keys()
            .filter(|key| !expected.contains(*key) && !key.ends_with("num_batches_tracked"))
            .filter(|key| !(keep_classifier && is_foreign_classifier(key)))
            .cloned()
            .collect();
        if !(missing.is_empty() && misshapen.is_empty() && surplus.is_empty()) {
            return Err(ModelError::Mismatch { architecture, naming, missing, misshapen, surplus });
        }
        let loaded = LoadReport { naming, tensors: values.len(), classifier_replaced: keep_classifier };
        let network = self.map(&mut Filler { values, path: Path::default() });
        Ok((network, loaded))
    }
}

/// What [`Network::load`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadReport {
    /// Whose names the file carried.
    pub naming: Naming,
    /// How many tensors were filled.
    pub tensors: usize,
    /// Whether the file's classifier answered other questions, and the network kept its own initial one.
    pub classifier_replaced: bool,
}

/// A network that a file of weights fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// The network.
    pub architecture: Architecture,
    /// Whose names the file carries.
    pub naming: Naming,
    /// How many questions its classifier answers, where it is the network's kind of classifier.
    pub outputs: Option<usize>,
}

impl Fit {
    /// The networks that `file` can be loaded into, and for each of the others why not.
    #[must_use]
    pub fn of(file: &TensorFile) -> (Vec<Fit>, Vec<ModelError>) {
        let (mut fits, mut misfits) = (Vec::new(), Vec::new());
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
                    fits.push(Fit { architecture, naming, outputs });
                }
                Err(error) => misfits.push(error),
            }
        }
        (fits, misfits)
    }
}

struct Filler {
    values: BTreeMap<String, Vec<f32>>,
    path: Path,
}

impl ModuleMapper for Filler {
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

/// `tensor` with other values: as a leaf that gathers gradients where it is a parameter.
pub(crate) fn replace<const D: usize>(tensor: Tensor<D>, values: Vec<f32>, kind: Kind) -> Tensor<D> {
    let replaced = Tensor::from_data(TensorData::new(values, tensor.dims()), &tensor.device());
    match kind {
        Kind::Parameter if replaced.is_autodiff() => replaced.require_grad(),
        _ => replaced,
    }
}

/// The values of a parameter; every parameter of a network is `f32`.
pub(crate) fn float_values(data: TensorData) -> Vec<f32> {
    data.try_into_vec::<f32>().expect("parameters are f32")
}
