//! `visage runs`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use visage_run::{Monitor, RunFolder, RunRecord, RunStatus};

use crate::error::CommandError;
use crate::output;
use crate::tables::{Table, duration, score};

/// Options of `visage runs`.
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// The folder that holds the runs.
    #[arg(default_value = "runs")]
    pub folder: PathBuf,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// A run.
#[derive(Serialize)]
struct ListedRun {
    run: PathBuf,
    /// The metric that selects the best epoch.
    monitor: Monitor,
    #[serde(flatten)]
    record: RunRecord,
}

/// Lists the runs in a folder.
pub fn run(args: &RunsArgs) -> Result<(), CommandError> {
    let mut runs = Vec::new();
    for run in RunFolder::all_in(&args.folder)? {
        // A damaged run does not hide the others.
        match (run.record(), run.recipe()) {
            (Ok(record), Ok(recipe)) => {
                runs.push(ListedRun { run: run.path().to_owned(), monitor: recipe.training.monitor, record });
            }
            (Err(error), _) | (_, Err(error)) => output::warning(&error.to_string()),
        }
    }
    if args.json {
        return output::json(&runs);
    }
    if runs.is_empty() {
        output::note(&format!("no runs in {}: `visage train` writes runs to the folder runs", args.folder.display()));
        return Ok(());
    }
    output::result(&table(&runs))
}

fn table(runs: &[ListedRun]) -> String {
    let mut table = Table::new(4, &["Run", "Recipe", "Status", "Monitor", "Best", "Epoch", "Epochs", "Time"]);
    for ListedRun { run, monitor, record } in runs {
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
    table.text()
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
