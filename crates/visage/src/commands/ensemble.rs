//! `visage ensemble`.

use std::path::PathBuf;

use clap::Args;
use visage_model::{EnsembleError, Model};
use visage_run::shell;

use super::read_model;
use crate::compute::{Compute, ComputeArgs};
use crate::error::CommandError;
use crate::extension;
use crate::output;

/// Options of `visage ensemble`.
#[derive(Debug, Args)]
pub struct EnsembleArgs {
    /// Model files, or run folders, whose best checkpoints are used. They have the same attributes and prepare images in the same way,
    /// and were trained on the same splits of the same data. Their networks may differ.
    #[arg(required = true, num_args = 2.., value_name = "MODEL")]
    pub models: Vec<PathBuf>,
    /// The model file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// Writes the average of several models.
pub fn run(args: &EnsembleArgs) -> Result<(), CommandError> {
    extension::check("--out", &args.out, &["safetensors"])?;
    if args.out.exists() {
        return Err(CommandError::Exists { path: args.out.clone() });
    }
    let compute = Compute::new(&args.compute)?;
    let models =
        args.models.iter().map(|path| Ok(read_model(path, &compute)?.0)).collect::<Result<_, CommandError>>()?;
    let model = Model::averaging(models).map_err(|error| match error {
        EnsembleError::Differs { place, what } => {
            let [first, other] = [0, place - 1].map(|index| args.models[index].clone());
            CommandError::NotAveraged { first, other, what }
        }
        EnsembleError::TooFew => CommandError::usage(error),
    })?;
    model.write(&args.out)?;
    let networks = 1 + model.ensemble.len();
    output::note(&format!(
        "wrote {}: the mean of {networks} networks, {}",
        args.out.display(),
        model.card.architectures()
    ));
    output::note(&format!("its thresholds: {}", model.card.threshold_rule));
    let out = shell::path(&args.out);
    output::note(&format!("next, choose its own on the validation split: visage calibrate {out} --data DATA"));
    Ok(())
}
