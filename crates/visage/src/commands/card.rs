//! `visage card`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use visage_data::Split;
use visage_model::Model;
use visage_report::model_card;
use visage_run::comparison::CompareError;
use visage_run::{MetricsFile, RunFolder};
use visage_weights::atomic;

use super::model_file;
use crate::error::CommandError;
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
    /// The split whose metrics the card shows.
    #[arg(long, default_value_t = Split::Test)]
    pub split: Split,
    /// The file to write [default: MODEL_CARD.md in the run folder].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub overwrite: OverwriteArgs,
}

/// Writes the model card of a run.
pub fn run(args: &CardArgs) -> Result<(), CommandError> {
    args.out.iter().try_for_each(|path| extension::check("--out", path, &["md", "markdown", "txt"]))?;
    let folder = RunFolder::open(&args.run)?;
    let path = args.out.clone().unwrap_or_else(|| folder.file(NAME));
    args.overwrite.check(&path)?;
    let record = folder.record()?;
    let metrics = folder.file(&MetricsFile::name(args.split));
    if !metrics.is_file() {
        let runs = vec![(args.run.clone(), record.data.path)];
        return Err(CompareError::NotEvaluated { runs, split: Some(args.split) }.into());
    }
    let metrics = MetricsFile::read(&metrics)?;
    let file = model_file(&args.run)?;
    let card = Model::read_card(&file).map_err(|error| CommandError::model(&file, error))?;
    let text = model_card(&card, Some(&record), &metrics);
    atomic::write(&path, |file| file.write_all(text.as_bytes())).map_err(CommandError::write(&path))?;
    output::result(&format!("{}\n", path.display()))
}
