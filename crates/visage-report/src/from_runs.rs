//! The runs of a report, read from their folders.

use std::collections::HashMap;
use std::path::PathBuf;

use jiff::Timestamp;
use visage_data::Dataset;
use visage_run::comparison::{EvaluatedRun, evaluate_command, judged_split, run_names};
use visage_run::results::{ChosenEvaluations, EvaluationChoice, RunEvaluation};
use visage_run::{MetricsFile, PredictionsFile, Recipe, RunFolder, RunStatus};

use crate::error::ReportError;
use crate::format::{count, counted, duration};
use crate::gallery::{Picture, pick};
use crate::report::Report;
use crate::run::{Judged, Run};
use crate::thumbnail::thumbnail;

/// Pictures in each part of a run's gallery.
const PICTURES: usize = 24;

/// What a report shows.
pub struct ReportSettings<'a> {
    /// The run folders.
    pub runs: &'a [PathBuf],
    /// The evaluations that are shown.
    pub choice: &'a EvaluationChoice,
    /// Whether to show pictures.
    pub gallery: bool,
}

/// The runs of a report.
pub struct ReadRuns {
    /// The report, without a comparison.
    pub report: Report,
    /// The runs to compare: all of them, if they are several and were evaluated on the same data.
    pub comparable: Option<Vec<EvaluatedRun>>,
}

/// Reads the runs of a report.
///
/// # Errors
///
/// If a folder is not a run, or a file of it is damaged or missing.
pub fn read_runs(settings: &ReportSettings<'_>) -> Result<ReadRuns, ReportError> {
    let found = settings.runs.iter().map(|run| {
        RunFolder::open(run)?;
        RunEvaluation::of(run, settings.choice.split)
    });
    let found = found.collect::<Result<Vec<_>, _>>()?;
    let ChosenEvaluations { runs: chosen, others } = settings.choice.choose(found);
    let shown = chosen.iter().flatten().next().map(|found| found.metrics.clone());
    let mut remarks = Vec::new();
    if !others.is_empty() {
        remarks.push(format!("Also evaluated on {}: choose with --dataset.", others.join(", ")));
    }
    let (mut runs, mut evaluated) = (Vec::new(), Vec::new());
    for ((path, name), chosen) in settings.runs.iter().zip(run_names(settings.runs)).zip(chosen) {
        let folder = RunFolder::open(path)?;
        let found = chosen.map(|chosen| EvaluatedRun::read(path, chosen)).transpose()?;
        let own = judged_split(&folder.record()?.data);
        let split = settings.choice.split.or(shown.as_ref().map(|shown| shown.split)).unwrap_or(own);
        let command = evaluate_command(path, Some(split), shown.as_ref())?;
        match &found {
            None => remarks.push(format!("{name} was not evaluated on {}: {command}", split.phrase())),
            Some(EvaluatedRun { predictions: None, .. }) => {
                remarks.push(format!("{name} has no predictions beside its metrics, and so no curves: {command}"));
            }
            Some(_) => {}
        }
        let gallery = match &found {
            Some(EvaluatedRun { metrics, predictions: Some(predictions), .. }) if settings.gallery => {
                pictures(metrics, predictions)?
            }
            _ => Vec::new(),
        };
        runs.push(run(&folder, name, found.as_ref(), gallery)?);
        evaluated.extend(found);
    }
    let data = |found: &EvaluatedRun| found.metrics.dataset_fingerprint.clone();
    let same_data = evaluated.iter().all(|found| data(found) == data(&evaluated[0]));
    if !same_data {
        remarks.push("The runs were evaluated on different data: their figures cannot be compared.".to_owned());
    }
    let comparable = (same_data && evaluated.len() == runs.len() && runs.len() > 1).then_some(evaluated);
    Ok(ReadRuns { report: Report { runs, made: made(), remarks, comparison: None, findings: Vec::new() }, comparable })
}

/// When and by which version a page is made, in words.
pub fn made() -> String {
    format!("made {} by visage {}", Timestamp::now().strftime("%Y-%m-%d %H:%M UTC"), env!("CARGO_PKG_VERSION"))
}

fn run(
    folder: &RunFolder,
    name: String,
    found: Option<&EvaluatedRun>,
    gallery: Vec<Picture>,
) -> Result<Run, ReportError> {
    let recipe = folder.recipe()?;
    Ok(Run {
        name,
        facts: facts(folder, &recipe)?,
        loss: format!("{:?}", recipe.loss),
        epochs: folder.read_epochs()?,
        steps: folder.read_steps()?,
        judged: found.map(judged),
        gallery,
    })
}

fn facts(folder: &RunFolder, recipe: &Recipe) -> Result<Vec<(String, String)>, ReportError> {
    let record = folder.record()?;
    let status = match record.status {
        RunStatus::Running => "running, or killed while it was",
        RunStatus::Interrupted => "interrupted",
        RunStatus::StoppedEarly => "stopped early",
        RunStatus::Finished => "finished",
        RunStatus::Failed => "failed",
    };
    let data = record.data.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut facts = vec![
        ("Recipe", record.recipe.clone()),
        ("Network", format!("{}, {} trainable parameters", record.architecture, count(record.parameters))),
        ("Input", format!("{} pixels", recipe.input.size)),
        (
            "Data",
            format!(
                "{data}: {} training, {} validation and {} test images",
                count(record.data.train),
                count(record.data.validation),
                count(record.data.test)
            ),
        ),
        ("Status", status.to_owned()),
    ];
    if let Some(result) = &record.result {
        facts.push(("Epochs", format!("{}, the best was epoch {}", result.epochs, result.best_epoch)));
        facts.push(("Time", duration(result.seconds)));
        facts.extend(result.error.clone().map(|error| ("Error", error)));
    }
    facts.push(("Device", format!("{}, {}", record.device, counted(record.threads as u64, "thread"))));
    facts.push(("Started", record.started.strftime("%Y-%m-%d %H:%M UTC").to_string()));
    Ok(facts.into_iter().map(|(heading, value)| (heading.to_owned(), value)).collect())
}

fn judged(found: &EvaluatedRun) -> Judged {
    let EvaluatedRun { metrics, predictions, .. } = found;
    Judged {
        on: metrics.split.counted(&counted(metrics.evaluation.images as u64, "image"), &metrics.dataset),
        thresholds: metrics.thresholds.clone(),
        evaluation: metrics.evaluation.clone(),
        intervals: metrics.intervals.clone(),
        predictions: predictions.as_ref().map(|file| file.predictions.clone()),
        uncalibrated: predictions.as_ref().and_then(|file| file.uncalibrated.clone()),
        groups: metrics.groups.clone(),
        gaps: metrics.gaps.clone(),
        consistency: metrics.consistency.clone(),
        consistent: metrics.consistent.clone(),
    }
}

/// The pictures of a gallery, from where the dataset was at the evaluation.
fn pictures(metrics: &MetricsFile, file: &PredictionsFile) -> Result<Vec<Picture>, ReportError> {
    let dataset = Dataset::open_with(&metrics.data, &metrics.table)?;
    let rows: HashMap<&str, usize> =
        dataset.samples().iter().enumerate().map(|(row, sample)| (sample.image.as_str(), row)).collect();
    let mut pictures = Vec::new();
    for pick in pick(&metrics.evaluation, &file.predictions, PICTURES) {
        let name = &file.origin.images[pick.row];
        let missing = || ReportError::MissingImage { data: metrics.data.clone(), image: name.clone() };
        let row = *rows.get(name.as_str()).ok_or_else(missing)?;
        pictures.push(Picture { name: name.clone(), pick, jpeg: thumbnail(&dataset, row)? });
    }
    Ok(pictures)
}
