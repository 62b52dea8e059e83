//! The runs of a report, read from their folders.

use std::collections::HashMap;
use std::path::PathBuf;

use jiff::Timestamp;
use visage_data::{Dataset, Split};
use visage_run::comparison::{EvaluatedRun, SPLITS, evaluate_command, run_names};
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
    /// The split whose metrics are shown; by default the first of test, validation and train that a run was evaluated on.
    pub split: Option<Split>,
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
    let split = split(settings)?;
    let mut remarks = Vec::new();
    let (mut runs, mut evaluated) = (Vec::new(), Vec::new());
    for (path, name) in settings.runs.iter().zip(run_names(settings.runs)) {
        let folder = RunFolder::open(path)?;
        let file = path.join(MetricsFile::name(split));
        let found = file.is_file().then(|| EvaluatedRun::read(path, &file)).transpose()?;
        let command = evaluate_command(path, &folder.record()?.data.path, Some(split));
        match &found {
            None => remarks.push(format!("{name} was not evaluated on the {split} split: {command}")),
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

/// The split that the report shows.
fn split(settings: &ReportSettings<'_>) -> Result<Split, ReportError> {
    let evaluated = |split: &Split| settings.runs.iter().any(|run| run.join(MetricsFile::name(*split)).is_file());
    if let Some(split) = settings.split.or_else(|| SPLITS.into_iter().find(evaluated)) {
        return Ok(split);
    }
    let first = settings.runs.first().ok_or(ReportError::NoRuns)?;
    let data = RunFolder::open(first)?.record()?.data;
    Ok(if data.test > 0 { Split::Test } else { Split::Validation })
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
        on: format!(
            "{} of the {} split of {}",
            counted(metrics.evaluation.images as u64, "image"),
            metrics.split,
            metrics.dataset
        ),
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
