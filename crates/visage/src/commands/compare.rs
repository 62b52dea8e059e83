//! `visage compare`.

use std::path::PathBuf;

use clap::Args;
use visage_run::comparison::{EvaluatedRun, compare};

use crate::error::CommandError;
use crate::evaluation_choice::EvaluationChoiceArgs;
use crate::{output, tables};

/// Options of `visage compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Folders of evaluated runs, or metrics files. Differences are relative to the first.
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    #[command(flatten)]
    pub choice: EvaluationChoiceArgs,
    /// Show every attribute.
    #[arg(long)]
    pub attributes: bool,
    /// Also show results published on CelebA's test split: those of the original project's two models attribute by attribute, and
    /// mean accuracies.
    #[arg(long)]
    pub published: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// Compares evaluated runs.
pub fn run(args: &CompareArgs) -> Result<(), CommandError> {
    let (runs, remarks) = EvaluatedRun::read_all(&args.runs, &args.choice.choice())?;
    remarks.iter().for_each(|remark| output::note(remark));
    let compared = compare(runs, args.published)?;
    output::json_or(args.json, &compared, |compared| tables::comparison::text(compared, args.attributes))
}
