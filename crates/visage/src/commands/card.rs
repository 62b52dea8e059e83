//! `visage card`.

use std::io::Write;
use std::path::PathBuf;
use std::slice;

use clap::Args;
use serde::Serialize;
use visage_model::{Card, Model};
use visage_report::model_card;
use visage_run::comparison::EvaluatedRun;
use visage_run::{MetricsFile, RunFolder, RunRecord};
use visage_weights::atomic;

use super::model_file;
use crate::error::CommandError;
use crate::evaluation_choice::EvaluationChoiceArgs;
use crate::extension;
use crate::output;
use crate::overwrite::OverwriteArgs;

/// Name of the card in a run folder.
const NAME: &str = "MODEL_CARD.md";

/// Options of `visage card`.
#[derive(Debug, Args)]
pub struct CardArgs {
    /// The folder of an evaluated run. The card includes the groups of `visage evaluate --group-by`.
    pub run: PathBuf,
    #[command(flatten)]
    pub choice: EvaluationChoiceArgs,
    /// The file to write [default: MODEL_CARD.md in the run folder].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print what the card says as JSON, and write no file.
    #[arg(long, conflicts_with = "out")]
    pub json: bool,
    #[command(flatten)]
    pub overwrite: OverwriteArgs,
}

/// What a card says.
#[derive(Serialize)]
struct Summary<'a> {
    /// The model: its network, attributes, preparation, thresholds and origin.
    model: &'a Card,
    run: &'a RunRecord,
    evaluation: &'a MetricsFile,
}

/// Writes the model card of a run.
pub fn run(args: &CardArgs) -> Result<(), CommandError> {
    args.out.iter().try_for_each(|path| extension::check("--out", path, &["md", "markdown", "txt"]))?;
    let folder = RunFolder::open(&args.run)?;
    let path = args.out.clone().unwrap_or_else(|| folder.file(NAME));
    if !args.json {
        args.overwrite.check(&path)?;
    }
    let record = folder.record()?;
    let (mut evaluated, remarks) = EvaluatedRun::read_all(slice::from_ref(&args.run), &args.choice.choice())?;
    remarks.iter().for_each(|remark| output::note(remark));
    // One for each run.
    let EvaluatedRun { metrics, .. } = evaluated.swap_remove(0);
    let file = model_file(&args.run)?;
    let card = Model::read_card(&file).map_err(|error| CommandError::model(&file, error))?;
    output::note(&format!("shows the evaluation on {}", metrics.images()));
    if !metrics.thresholds.ends_with(&card.threshold_rule) {
        output::warning(&format!(
            "it was evaluated with other thresholds ({}) than the model has now ({}): evaluate it again",
            metrics.thresholds, card.threshold_rule
        ));
    }
    if args.json {
        return output::json(&Summary { model: &card, run: &record, evaluation: &metrics });
    }
    let text = model_card(&card, Some(&record), &metrics);
    atomic::write(&path, |file| file.write_all(text.as_bytes())).map_err(CommandError::write(&path))?;
    output::result(&format!("{}\n", path.display()))
}
