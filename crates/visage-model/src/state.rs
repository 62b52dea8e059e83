//! A network's tensors by name: out of it, into it, and from what other programs saved.
//!
//! Inside, filters lie as the kernels read them; in files they lie as PyTorch writes them, under the names of
//! the program the network follows. Two conversions, each other's inverse, are all that differs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use visage_weights::{Tensor as FileTensor, TensorFile, TensorValues};

use crate::depth::is_classifier;
use crate::efficientnet;
use crate::error::ModelError;
use crate::network::{Architecture, Kind, Network, NetworkConfig, Path};
use crate::resnet::ResNet18;

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

impl Naming {
    /// The namings files of `architecture` are found in; visage writes the first.
    #[must_use]
    pub fn of(architecture: Architecture) -> &'static [Naming] {
        match architecture {
            Architecture::ResNet18 => &[Naming::Torchvision],
            Architecture::EfficientNetB0 => &[Naming::Original, Naming::Torchvision, Naming::Timm],
            Architecture::EfficientNetLite0 => &[Naming::Timm, Naming::EfficientNetPytorch],
        }
    }

    /// The key of the parameter at `path` of the module tree.
    #[must_use]
    pub fn key(self, architecture: Architecture, path: &str) -> String {
        match (architecture, self) {
            (Architecture::ResNet18, _) => ResNet18::torchvision_key(path),
            (_, Naming::Original) => efficientnet::original_key(path),
            (_, Naming::Torchvision) => efficientnet::torchvision_key(path),
            (_, Naming::Timm) => efficientnet::timm_key(path),
            (_, Naming::EfficientNetPytorch) => efficientnet::efficientnet_pytorch_key(path),
        }
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

/// Values in PyTorch's order.
pub(crate) fn to_file(dims: &[usize], values: Vec<f32>) -> Vec<f32> {
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
        self.tensors_named(architecture, Naming::of(architecture)[0])
    }

    /// The same under the names of another program, which must be one of [`Naming::of`] the architecture.
    #[must_use]
    pub fn tensors_named(&self, architecture: Architecture, naming: Naming) -> BTreeMap<String, FileTensor> {
        let mut tensors = BTreeMap::new();
        self.for_each(|path, _, data| {
            let dims = data.shape().to_vec();
            let tensor = FileTensor::new(file_shape(path, &dims), to_file(&dims, float_values(data)));
            tensors.insert(naming.key(architecture, path), tensor);
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
    pub fn load(self, architecture: Architecture, file: &TensorFile) -> Result<(Network, Loaded), ModelError> {
        let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
        self.for_each(|path, _, data| shapes.push((path.to_owned(), data.shape().to_vec())));
        let keys = |naming: Naming| shapes.iter().map(move |(path, _)| naming.key(architecture, path));
        let found = |naming: &Naming| keys(*naming).filter(|key| file.tensors.contains_key(key)).count();
        // On a tie the first naming wins, which is the one visage writes.
        let naming = Naming::of(architecture).iter().rev().copied().max_by_key(found).unwrap_or(Naming::Torchvision);

        let fits = |path: &str, dims: &[usize]| {
            let tensor = file.tensors.get(&naming.key(architecture, path))?;
            Some(tensor.shape == file_shape(path, dims) && matches!(tensor.data, TensorValues::F32(_)))
        };
        let keep_classifier = shapes.iter().any(|(path, dims)| is_classifier(path) && fits(path, dims) != Some(true));

        let (mut missing, mut misshapen) = (Vec::new(), Vec::new());
        let mut values = BTreeMap::new();
        let mut expected = BTreeSet::new();
        for (path, dims) in &shapes {
            let key = naming.key(architecture, path);
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
        let loaded = Loaded { naming, tensors: values.len(), classifier_replaced: keep_classifier };
        let network = self.map(&mut Filler { values, path: Path::default() });
        Ok((network, loaded))
    }
}

/// What [`Network::load`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
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
                let key = naming.key(architecture, architecture.output_weight());
                file.tensors.get(&key).and_then(|tensor| tensor.shape.first().copied())
            };
            let outputs = Naming::of(architecture).iter().find_map(outputs).filter(|&outputs| outputs > 0);
            let network = NetworkConfig::new(architecture, outputs.unwrap_or(1)).zeroed(&Device::flex());
            match network.load(architecture, file) {
                Ok((_, Loaded { naming, classifier_replaced, .. })) => {
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
