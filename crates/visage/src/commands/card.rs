//! `visage card`.

use std::io::Write;

use visage_model::Model;
use visage_run::{MetricsFile, RunFolder};
use visage_weights::atomic;

use crate::cli::CardArgs;
use crate::error::CommandError;
use crate::model_card;
use crate::output;

/// What the card is called in a run.
const NAME: &str = "MODEL_CARD.md";

/// Writes the model card of a run.
pub fn run(args: &CardArgs) -> Result<(), CommandError> {
    let folder = RunFolder::open(&args.run)?;
    let record = folder.record()?;
    let metrics = folder.file(&MetricsFile::name(args.split));
    if !metrics.is_file() {
        let runs = vec![(args.run.clone(), record.data.path)];
        return Err(CommandError::NotEvaluated { runs, split: Some(args.split) });
    }
    let metrics = MetricsFile::read(&metrics)?;
    let model = RunFolder::model_file(&args.run);
    if !model.is_file() {
        return Err(CommandError::NoModel { folder: args.run.clone() });
    }
    let card = Model::read_card(&model)?;
    let text = model_card::markdown(&card, Some(&record), &metrics);
    let path = args.out.clone().unwrap_or_else(|| folder.file(NAME));
    atomic::write(&path, |file| file.write_all(text.as_bytes()))
        .map_err(|source| CommandError::Write { path: path.clone(), source })?;
    output::result(&format!("{}\n", path.display()))
}
