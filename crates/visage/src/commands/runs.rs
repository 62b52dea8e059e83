//! `visage runs`.

use std::path::PathBuf;

use serde::Serialize;
use visage_run::{Monitor, RunFolder, RunRecord, RunStatus};

use crate::cli::RunsArgs;
use crate::error::CommandError;
use crate::output;
use crate::table::{Columns, duration, score};

/// A run as it is listed.
#[derive(Serialize)]
struct Listed {
    run: PathBuf,
    /// What decides which epoch is best.
    monitor: Monitor,
    #[serde(flatten)]
    record: RunRecord,
}

/// Lists the runs of a folder.
pub fn run(args: &RunsArgs) -> Result<(), CommandError> {
    let mut listed = Vec::new();
    for run in RunFolder::all_in(&args.folder)? {
        // One damaged run does not hide the others.
        match (run.record(), run.recipe()) {
            (Ok(record), Ok(recipe)) => {
                listed.push(Listed { run: run.path().to_owned(), monitor: recipe.training.monitor, record });
            }
            (Err(error), _) | (_, Err(error)) => output::warning(&error.to_string()),
        }
    }
    if args.json {
        return output::json(&listed);
    }
    if listed.is_empty() {
        output::note(&format!("no runs in {}: `visage train` puts them into runs", args.folder.display()));
        return Ok(());
    }
    let mut table = Columns::new(4, &["Run", "Recipe", "Status", "Monitor", "Best", "Epoch", "Epochs", "Time"]);
    for Listed { run, monitor, record } in &listed {
        let result = record.result.as_ref();
        let cell = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
        table.row([
            run.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            record.recipe.clone(),
            status(record.status).to_owned(),
            monitor.name().to_owned(),
            score(result.and_then(|result| result.best_value)),
            cell(result.map(|result| result.best_epoch.to_string())),
            cell(result.map(|result| result.epochs.to_string())),
            cell(result.map(|result| duration(result.seconds))),
        ]);
    }
    output::result(&table.text())
}

fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "running or killed",
        RunStatus::Interrupted => "interrupted",
        RunStatus::StoppedEarly => "stopped early",
        RunStatus::Finished => "finished",
        RunStatus::Failed => "failed",
    }
}
