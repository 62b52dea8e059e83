//! `visage runs`.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;
use visage_data::{Split, SplitOrAll};
use visage_judge::Metric;
use visage_run::results::{EvaluationChoice, RunEvaluation};
use visage_run::{EpochRow, Monitor, RunError, RunFolder, RunRecord, RunStatus};

use crate::error::CommandError;
use crate::output;
use crate::tables::{Table, duration, score};

/// Options of `visage runs`.
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// The folder that holds the runs.
    #[arg(default_value = "runs")]
    pub folder: PathBuf,
    /// Sort by a column, the best or the newest first. Metrics are those of the validation split.
    #[arg(long, value_enum, value_name = "COLUMN", default_value_t = Column::Name)]
    pub sort: Column,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// A column to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Column {
    /// The name of the run.
    Name,
    /// The time at which it began.
    Started,
    /// Mean accuracy.
    Accuracy,
    /// Macro F1.
    F1,
    /// Mean average precision.
    AveragePrecision,
}

/// Means over the attributes.
#[derive(Clone, Copy, Debug, Serialize)]
struct Means {
    accuracy: Option<f64>,
    f1: Option<f64>,
    average_precision: Option<f64>,
}

/// A run.
#[derive(Serialize)]
struct ListedRun {
    run: PathBuf,
    /// The metric that selects the best epoch.
    monitor: Monitor,
    #[serde(flatten)]
    record: RunRecord,
    /// On the validation split, in the best epoch.
    validation: Option<Means>,
    /// On the test split of its own data, if it was evaluated there.
    test: Option<Means>,
}

impl ListedRun {
    fn read(run: &RunFolder) -> Result<Self, RunError> {
        let (record, recipe) = (run.record()?, run.recipe()?);
        let best = record.result.as_ref().map(|result| u64::from(result.best_epoch));
        let epochs = run.read_epochs()?;
        // A run that is being trained has no result yet: the best so far.
        let shown = epochs.iter().rev().find(|row| best.map_or(row.best, |best| row.epoch == best));
        let of_row =
            |row: &EpochRow| Means { accuracy: row.accuracy, f1: row.f1, average_precision: row.average_precision };
        Ok(Self {
            run: run.path().to_owned(),
            monitor: recipe.training.monitor,
            validation: shown.map(of_row),
            // Damaged results do not hide the run.
            test: test(run.path(), &record.data.fingerprint).unwrap_or_else(|error| {
                output::warning(&error.to_string());
                None
            }),
            record,
        })
    }

    fn name(&self) -> String {
        self.run.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    fn dataset(&self) -> String {
        self.record.data.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Which of two runs is listed first.
    fn order(&self, other: &Self, column: Column) -> Ordering {
        let mean = |run: &Self, mean: fn(&Means) -> Option<f64>| run.validation.as_ref().and_then(mean);
        let by = |of: fn(&Means) -> Option<f64>| {
            // No value comes last.
            let [ours, theirs] = [self, other].map(|run| mean(run, of).unwrap_or(f64::NEG_INFINITY));
            theirs.total_cmp(&ours)
        };
        let order = match column {
            Column::Name => Ordering::Equal,
            Column::Started => other.record.started.cmp(&self.record.started),
            Column::Accuracy => by(|means| means.accuracy),
            Column::F1 => by(|means| means.f1),
            Column::AveragePrecision => by(|means| means.average_precision),
        };
        order.then_with(|| self.run.cmp(&other.run))
    }
}

/// The means of a run on the test split of the data with this fingerprint.
fn test(run: &Path, fingerprint: &str) -> Result<Option<Means>, RunError> {
    let choice =
        EvaluationChoice { split: Some(SplitOrAll::Split(Split::Test)), dataset: Some(fingerprint.to_owned()) };
    let chosen = choice.choose(vec![RunEvaluation::of(run, choice.split)?]).runs.into_iter().flatten().next();
    Ok(chosen.map(|found| {
        let means = found.metrics.evaluation.macro_average;
        Means {
            accuracy: means.get(Metric::Accuracy),
            f1: means.get(Metric::F1),
            average_precision: means.get(Metric::AveragePrecision),
        }
    }))
}

/// Lists the runs in a folder.
pub fn run(args: &RunsArgs) -> Result<(), CommandError> {
    let mut runs = Vec::new();
    for run in RunFolder::all_in(&args.folder)? {
        // A damaged run does not hide the others.
        match ListedRun::read(&run) {
            Ok(listed) => runs.push(listed),
            Err(error) => output::warning(&error.to_string()),
        }
    }
    runs.sort_by(|first, second| first.order(second, args.sort));
    if args.json {
        return output::json(&runs);
    }
    if runs.is_empty() {
        output::note(&format!("no runs in {}: `visage train` writes runs to the folder runs", args.folder.display()));
        return Ok(());
    }
    output::result(&format!(
        "{}\nmeans over the attributes, F1 and AP (average precision) as macro averages; validation: in the epoch that the monitored metric \
         selected\n",
        table(&runs)
    ))
}

fn table(runs: &[ListedRun]) -> String {
    let headings = [
        "Run",
        "Recipe",
        "Data",
        "Status",
        "Monitor",
        "Epochs",
        "Best",
        "Time",
        "Validation: accuracy",
        "F1",
        "AP",
        "Test: accuracy",
        "F1",
        "AP",
    ];
    let mut table = Table::new(5, &headings);
    for run in runs {
        let result = run.record.result.as_ref();
        let cell = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
        let means = |means: Option<Means>| {
            let value = |value: fn(&Means) -> Option<f64>| score(means.as_ref().and_then(value));
            [value(|means| means.accuracy), value(|means| means.f1), value(|means| means.average_precision)]
        };
        let first = [
            run.name(),
            run.record.recipe.clone(),
            run.dataset(),
            status(run.record.status).to_owned(),
            run.monitor.name().to_owned(),
            cell(result.map(|result| result.epochs.to_string())),
            cell(result.filter(|result| result.best_epoch > 0).map(|result| result.best_epoch.to_string())),
            cell(result.map(|result| duration(result.seconds))),
        ];
        table.row(first.into_iter().chain(means(run.validation)).chain(means(run.test)));
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
