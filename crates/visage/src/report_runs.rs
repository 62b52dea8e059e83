//! Runs as a report takes them: what their folders hold, read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use visage_data::{Dataset, Split};
use visage_judge::ScoreIntervals;
use visage_report::{Epoch, Judged, MetricIntervals, Picture, Report, Run, Step, pick};
use visage_run::{MetricsFile, PredictionsFile, Recipe, RunFolder, RunStatus};

use crate::commands::compare;
use crate::error::CommandError;
use crate::pictures::thumbnail;
use crate::shell;
use crate::table::{count, counted, duration};

/// Pictures in each part of a run's gallery.
const PICTURES: usize = 24;

/// What a report is asked to be of.
pub struct Asked<'a> {
    /// Folders of runs.
    pub runs: &'a [PathBuf],
    /// The split they were judged on; the first of test, validation and train that any was judged on if absent.
    pub split: Option<Split>,
    /// Whether to show pictures.
    pub gallery: bool,
}

/// What was read.
pub struct Gathered {
    /// For the report.
    pub report: Report,
    /// For a comparison, if every run was judged, on the same data, and they are several.
    pub comparable: Option<Vec<compare::Run>>,
}

/// Reads the runs, called `names`.
///
/// # Errors
///
/// When a folder is no run, or a file of it is damaged or missing.
pub fn gather(asked: &Asked<'_>, names: &[String]) -> Result<Gathered, CommandError> {
    let split = asked.split.or_else(|| {
        let judged = |split: &Split| asked.runs.iter().any(|run| run.join(MetricsFile::name(*split)).is_file());
        compare::SPLITS.into_iter().find(judged)
    });
    let split = match split {
        Some(split) => split,
        None => first_with_images(&asked.runs[0])?,
    };
    let mut remarks = Vec::new();
    let (mut runs, mut judged) = (Vec::new(), Vec::new());
    for (path, name) in asked.runs.iter().zip(names) {
        let folder = RunFolder::open(path)?;
        let file = path.join(MetricsFile::name(split));
        let found = file.is_file().then(|| compare::Run::read(path, &file)).transpose()?;
        let data = folder.record()?.data.path;
        let again = format!("visage evaluate {} --data {} --split {split}", shell::path(path), shell::path(&data));
        match &found {
            None => remarks.push(format!("{name} was not judged on the {split} split: {again}")),
            Some(compare::Run { predictions: None, .. }) => {
                remarks.push(format!("{name} has no predictions beside its metrics, and so no curves: {again}"));
            }
            Some(_) => {}
        }
        let gallery = match &found {
            Some(compare::Run { metrics, predictions: Some(predictions), .. }) if asked.gallery => {
                pictures(metrics, predictions)?
            }
            _ => Vec::new(),
        };
        runs.push(run(&folder, name, found.as_ref(), gallery)?);
        judged.extend(found);
    }
    let data = |found: &compare::Run| found.metrics.dataset_fingerprint.clone();
    let alike = judged.iter().all(|found| data(found) == data(&judged[0]));
    if !alike {
        remarks.push("The runs were judged on different data: their figures do not compare.".to_owned());
    }
    let comparable = (alike && judged.len() == runs.len() && runs.len() > 1).then_some(judged);
    Ok(Gathered { report: Report { runs, made: made(), remarks, comparison: None, findings: Vec::new() }, comparable })
}

/// When and by what a page is made, in words.
pub fn made() -> String {
    format!("made {} by visage {}", Timestamp::now().strftime("%Y-%m-%d %H:%M UTC"), env!("CARGO_PKG_VERSION"))
}

/// The first of the splits that the run's dataset has.
fn first_with_images(run: &Path) -> Result<Split, CommandError> {
    let data = RunFolder::open(run).and_then(|folder| folder.record())?.data;
    Ok(if data.test > 0 { Split::Test } else { Split::Validation })
}

fn run(
    folder: &RunFolder,
    name: &str,
    found: Option<&compare::Run>,
    gallery: Vec<Picture>,
) -> Result<Run, CommandError> {
    let recipe = folder.recipe()?;
    let epochs = folder.read_epochs()?;
    let steps = folder.read_steps()?;
    Ok(Run {
        name: name.to_owned(),
        facts: facts(folder, &recipe)?,
        loss: format!("{:?}", recipe.loss),
        epochs: epochs
            .iter()
            .map(|row| Epoch {
                epoch: row.epoch,
                train_loss: row.train_loss,
                validation_loss: row.validation_loss,
                seconds: row.seconds,
                images_per_second: row.images_per_second,
                best: row.best,
            })
            .collect(),
        steps: steps
            .iter()
            .map(|row| Step {
                step: row.step,
                epoch: row.epoch,
                loss: row.loss,
                learning_rate: row.learning_rate,
                gradient_norm: row.gradient_norm,
            })
            .collect(),
        judged: found.map(judged),
        gallery,
    })
}

fn facts(folder: &RunFolder, recipe: &Recipe) -> Result<Vec<(String, String)>, CommandError> {
    let record = folder.record()?;
    let status = match record.status {
        RunStatus::Running => "training, or killed while it was",
        RunStatus::Interrupted => "interrupted",
        RunStatus::StoppedEarly => "ended by its patience",
        RunStatus::Finished => "finished",
        RunStatus::Failed => "failed",
    };
    let data = record.data.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut facts = vec![
        ("Recipe", record.recipe.clone()),
        ("Network", format!("{}, {} trained values", record.architecture, count(record.parameters))),
        ("Input", format!("{} pixels", recipe.input.size)),
        (
            "Data",
            format!(
                "{data}: {} to train, {} to validate, {} to test",
                count(record.data.train),
                count(record.data.validation),
                count(record.data.test)
            ),
        ),
        ("State", status.to_owned()),
    ];
    if let Some(result) = &record.result {
        facts.push(("Epochs", format!("{}, the best number {}", result.epochs, result.best_epoch)));
        facts.push(("Time", duration(result.seconds)));
        facts.extend(result.error.clone().map(|error| ("Error", error)));
    }
    facts.push(("Computed on", format!("{}, {}", record.device, counted(record.threads as u64, "thread"))));
    facts.push(("Started", record.started.strftime("%Y-%m-%d %H:%M UTC").to_string()));
    Ok(facts.into_iter().map(|(heading, value)| (heading.to_owned(), value)).collect())
}

fn judged(found: &compare::Run) -> Judged {
    let compare::Run { metrics, predictions, .. } = found;
    let intervals = |intervals: &ScoreIntervals| -> MetricIntervals {
        intervals.iter().map(|(metric, interval)| (*metric, [interval.low, interval.high])).collect()
    };
    let (macro_intervals, attribute_intervals) = match &metrics.intervals {
        Some(all) => (intervals(&all.macro_average), all.attributes.iter().map(intervals).collect()),
        None => (HashMap::new(), Vec::new()),
    };
    Judged {
        on: format!(
            "{} of the {} split of {}",
            counted(metrics.evaluation.images as u64, "image"),
            metrics.split,
            metrics.dataset
        ),
        thresholds: metrics.thresholds.clone(),
        evaluation: metrics.evaluation.clone(),
        macro_intervals,
        attribute_intervals,
        predictions: predictions.as_ref().map(|file| file.predictions.clone()),
        uncalibrated: predictions.as_ref().and_then(|file| file.uncalibrated.clone()),
        groups: metrics.groups.clone(),
        gaps: metrics.gaps.clone(),
        consistency: metrics.consistency.clone(),
        consistent: metrics.consistent.clone(),
    }
}

/// The pictures of a gallery, from where the dataset was when the run was judged.
fn pictures(metrics: &MetricsFile, file: &PredictionsFile) -> Result<Vec<Picture>, CommandError> {
    let dataset = Dataset::open(&metrics.data)?;
    let rows: HashMap<&str, usize> =
        dataset.samples().iter().enumerate().map(|(row, sample)| (sample.image.as_str(), row)).collect();
    let mut pictures = Vec::new();
    for pick in pick(&metrics.evaluation, &file.predictions, PICTURES) {
        let name = &file.origin.images[pick.row];
        let gone = || CommandError::PictureGone { data: metrics.data.clone(), image: name.clone() };
        let row = *rows.get(name.as_str()).ok_or_else(gone)?;
        let jpeg = thumbnail(&dataset, row)?;
        pictures.push(Picture { name: name.clone(), pick, jpeg });
    }
    Ok(pictures)
}
