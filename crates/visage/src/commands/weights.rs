//! `visage weights`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use visage_model::{CompatibleNetwork, compatible_networks};
use visage_train::{TrainError, pretrained};
use visage_weights::{TensorFile, TensorValues};

use crate::cli::WeightsArgs;
use crate::error::CommandError;
use crate::output;
use crate::table::{Columns, count, counted};

/// Says what a file of weights holds.
pub fn run(args: &WeightsArgs) -> Result<(), CommandError> {
    let path = pretrained::locate(&args.path).map_err(TrainError::from)?;
    let kind = visage_weights::kind(&path).map_err(TrainError::from)?;
    let file = visage_weights::read(&path).map_err(TrainError::from)?;
    let contents = Contents::of(path, kind.to_string(), &file);
    if args.json { output::json(&contents) } else { output::result(&contents.report()) }
}

#[derive(Serialize)]
struct Contents {
    path: PathBuf,
    kind: String,
    tensors: Vec<Listed>,
    /// Values of all floating-point tensors.
    floats: u64,
    metadata: BTreeMap<String, String>,
    fits: Vec<ListedFit>,
    /// By the name of the network: why the file is not its.
    misfits: Vec<String>,
}

#[derive(Serialize)]
struct Listed {
    name: String,
    shape: Vec<usize>,
    values: &'static str,
}

#[derive(Serialize)]
struct ListedFit {
    network: &'static str,
    naming: String,
    /// Questions its classifier answers; none where it is another kind of classifier, which training replaces.
    outputs: Option<usize>,
}

impl Contents {
    fn of(path: PathBuf, kind: String, file: &TensorFile) -> Self {
        let (fits, misfits) = compatible_networks(file);
        let listed = |(name, tensor): (&String, &visage_weights::Tensor)| Listed {
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
            naming: fit.naming.to_string(),
            outputs: fit.outputs,
        };
        Self {
            path,
            kind,
            tensors: file.tensors.iter().map(listed).collect(),
            floats: file.tensors.values().filter_map(|tensor| tensor.data.as_f32()).map(|v| v.len() as u64).sum(),
            metadata: file.metadata.clone(),
            fits: fits.into_iter().map(fit).collect(),
            misfits: misfits.into_iter().map(|error| error.brief()).collect(),
        }
    }

    fn report(&self) -> String {
        let Self { path, kind, tensors, floats, metadata, fits, misfits } = self;
        let mut table = Columns::new(2, &["Tensor", "Values", "Shape"]);
        for Listed { name, shape, values } in tensors {
            let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
            table.row([name.clone(), (*values).to_owned(), shape.join(" x ")]);
        }
        let mut text = format!(
            "{}\n{}: {kind}, {} with {} floating-point values\n",
            table.text(),
            path.display(),
            counted(tensors.len() as u64, "tensor"),
            count(*floats),
        );
        if !metadata.is_empty() {
            let keys: Vec<&str> = metadata.keys().map(String::as_str).collect();
            text += &format!("text beside them: {}\n", keys.join(", "));
        }
        for ListedFit { network, naming, outputs } in fits {
            let classifier = match outputs {
                Some(outputs) => format!("its classifier answers {}", counted(*outputs as u64, "question")),
                None => "without a classifier of visage's kind: training begins with a new one".to_owned(),
            };
            text += &format!("it fits {network} ({naming} names), {classifier}\n");
            text += &format!(
                "next: visage train RECIPE --data PATH --set architecture={network} --set weights={}\n",
                path.display()
            );
        }
        if fits.is_empty() {
            text += "it fits no network of visage:\n";
            misfits.iter().for_each(|misfit| text += &format!("  {misfit}\n"));
        }
        text
    }
}
