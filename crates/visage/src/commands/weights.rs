//! `visage weights`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde::{Serialize, Serializer};
use visage_model::{CompatibleNetwork, Naming, compatible_networks};
use visage_train::{TrainError, locate_weights};
use visage_weights::{TensorFile, TensorValues};

use super::model_file;
use crate::error::CommandError;
use crate::{output, tables};

/// Options of `visage weights`.
#[derive(Debug, Args)]
pub struct WeightsArgs {
    /// A safetensors or PyTorch file, a run folder, whose best checkpoint is read, or `hub:OWNER/NAME[@REVISION]`.
    pub path: PathBuf,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// The contents of a weight file.
#[derive(Serialize)]
pub struct Contents {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub kind: String,
    /// Its tensors.
    pub tensors: Vec<ListedTensor>,
    /// Number of floating-point values.
    pub floats: u64,
    /// Text metadata.
    pub metadata: BTreeMap<String, String>,
    /// The networks it fits.
    pub fits: Vec<ListedFit>,
    /// Why it does not fit, for each other network.
    pub misfits: Vec<String>,
}

/// A tensor.
#[derive(Serialize)]
pub struct ListedTensor {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The kind of its values.
    pub values: &'static str,
}

/// A network that the file fits.
#[derive(Serialize)]
pub struct ListedFit {
    /// The network.
    pub network: &'static str,
    /// The convention of its tensors' names.
    #[serde(serialize_with = "as_text")]
    pub naming: Naming,
    /// What its tensors' names begin with in the file, without the last dot.
    pub prefix: String,
    /// Outputs of its classifier; `None` if it has another kind of classifier, which training replaces.
    pub outputs: Option<usize>,
}

fn as_text<S: Serializer>(value: &impl ToString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

/// Lists the contents of a weight file.
pub fn run(args: &WeightsArgs) -> Result<(), CommandError> {
    let path = if args.path.is_dir() { model_file(&args.path)? } else { args.path.clone() };
    let path = locate_weights(&path).map_err(TrainError::from)?;
    let kind = visage_weights::kind(&path).map_err(TrainError::from)?;
    let file = visage_weights::read(&path).map_err(TrainError::from)?;
    output::json_or(args.json, &contents(path, kind.to_string(), &file), tables::weights::text)
}

fn contents(path: PathBuf, kind: String, file: &TensorFile) -> Contents {
    let (fits, misfits) = compatible_networks(file);
    let listed = |(name, tensor): (&String, &visage_weights::Tensor)| ListedTensor {
        name: name.clone(),
        shape: tensor.shape.clone(),
        values: match tensor.data {
            TensorValues::F32(_) => "floats",
            TensorValues::I64(_) | TensorValues::U64(_) => "integers",
            TensorValues::U8(_) => "bytes",
        },
    };
    let fit = |fit: CompatibleNetwork| ListedFit {
        network: fit.architecture.name(),
        naming: fit.naming,
        prefix: fit.prefix,
        outputs: fit.outputs,
    };
    Contents {
        path,
        kind,
        tensors: file.tensors.iter().map(listed).collect(),
        floats: file.tensors.values().filter_map(|tensor| tensor.data.as_f32()).map(|v| v.len() as u64).sum(),
        metadata: file.metadata.clone(),
        fits: fits.into_iter().map(fit).collect(),
        misfits: misfits.iter().map(ToString::to_string).collect(),
    }
}
