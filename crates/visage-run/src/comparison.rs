//! Comparing evaluated runs on the images and attributes that all of them were evaluated on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde::Serialize;
use visage_data::Split;
use visage_judge::{
    Comparison, Evaluation, ORIGINAL_TEST_IMAGES, PublishedMean, RunPredictions, Scores, published_means,
};

use crate::bootstrap::BOOTSTRAP;
use crate::{MetricsFile, PredictionsFile, RunError, RunFolder, shell};

/// The splits in order of preference.
pub const SPLITS: [Split; 3] = [Split::Test, Split::Validation, Split::Train];

/// Why runs cannot be compared.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum CompareError {
    /// Runs without metrics.
    #[error("not evaluated yet: {} no metrics{}", listing(runs), on(*split))]
    #[diagnostic(help("{}", evaluate_commands(runs, *split)))]
    NotEvaluated {
        /// The runs, and the path of the data each was trained on.
        runs: Vec<(PathBuf, PathBuf)>,
        /// The split, if one was named.
        split: Option<Split>,
    },
    /// Metrics of different splits.
    #[error("{} holds metrics of the {found} split, {} of the {expected} split: compare runs on the same images",
        other.display(), first.display())]
    OtherSplit {
        /// The first file.
        first: PathBuf,
        /// Its split.
        expected: Split,
        /// The other file.
        other: PathBuf,
        /// Its split.
        found: Split,
    },
    /// Metrics on different data, without the predictions that tell what both share.
    #[error("{} and {} were evaluated on different data, and not both have their predictions beside the metrics: evaluate both \
        again, on the same data", first.display(), other.display())]
    OtherData {
        /// The first run.
        first: PathBuf,
        /// The other run.
        other: PathBuf,
    },
    /// A run folder, or a file of it.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Evaluations that cannot be compared.
    #[error(transparent)]
    Judge(#[from] visage_judge::Error),
}

fn listing(runs: &[(PathBuf, PathBuf)]) -> String {
    let names: Vec<String> = runs.iter().map(|(run, _)| run.display().to_string()).collect();
    format!("{} {}", names.join(", "), if runs.len() == 1 { "has" } else { "have" })
}

fn on(split: Option<Split>) -> String {
    split.map(|split| format!(" on the {split} split")).unwrap_or_default()
}

fn evaluate_commands(runs: &[(PathBuf, PathBuf)], split: Option<Split>) -> String {
    let commands: Vec<String> = runs.iter().map(|(run, data)| evaluate_command(run, data, split)).collect();
    commands.join("\n")
}

/// The command that evaluates a run.
#[must_use]
pub fn evaluate_command(run: &Path, data: &Path, split: Option<Split>) -> String {
    let split = split.map(|split| format!(" --split {split}")).unwrap_or_default();
    format!("visage evaluate {} --data {}{split}", shell::path(run), shell::path(data))
}

/// An evaluated run.
pub struct EvaluatedRun {
    /// The run folder, or the metrics file.
    pub path: PathBuf,
    /// Its metrics.
    pub metrics: MetricsFile,
    /// The predictions behind the metrics, if they were kept.
    pub predictions: Option<PredictionsFile>,
}

impl EvaluatedRun {
    /// Reads the metrics file `file` of the run `path`, and the predictions beside it if there are any.
    ///
    /// # Errors
    ///
    /// If a file cannot be read.
    pub fn read(path: &Path, file: &Path) -> Result<Self, CompareError> {
        let beside = PredictionsFile::beside(file);
        let predictions = beside.is_file().then(|| PredictionsFile::read(&beside)).transpose()?;
        Ok(Self { path: path.to_owned(), metrics: MetricsFile::read(file)?, predictions })
    }

    /// Reads run folders and metrics files, all of one split: `split`, or else the first of [`SPLITS`] that every run folder has
    /// metrics of.
    ///
    /// # Errors
    ///
    /// [`CompareError::NotEvaluated`], [`CompareError::OtherSplit`], or if a file cannot be read.
    pub fn read_all(runs: &[PathBuf], split: Option<Split>) -> Result<Vec<Self>, CompareError> {
        let folders: Vec<&PathBuf> = runs.iter().filter(|run| run.is_dir()).collect();
        let lacking = |split: Split| -> Vec<&PathBuf> {
            folders.iter().copied().filter(|run| !run.join(MetricsFile::name(split)).is_file()).collect()
        };
        let common = split.or_else(|| SPLITS.into_iter().find(|&split| lacking(split).is_empty()));
        let missing = lacking(common.unwrap_or(Split::Test));
        if !missing.is_empty() {
            let with_data = |run: &&PathBuf| Ok(((*run).clone(), trained_on(run)?));
            let runs = missing.iter().map(with_data).collect::<Result<_, CompareError>>()?;
            return Err(CompareError::NotEvaluated { runs, split });
        }
        let name = MetricsFile::name(common.unwrap_or(Split::Test));
        let read = |run: &PathBuf| Self::read(run, &if run.is_dir() { run.join(&name) } else { run.clone() });
        let evaluated = runs.iter().map(read).collect::<Result<Vec<_>, CompareError>>()?;
        let expected = evaluated[0].metrics.split;
        if let Some(other) = evaluated.iter().find(|run| run.metrics.split != expected) {
            let (first, found) = (evaluated[0].path.clone(), other.metrics.split);
            return Err(CompareError::OtherSplit { first, expected, other: other.path.clone(), found });
        }
        Ok(evaluated)
    }
}

/// The path of the data that a run was trained on.
fn trained_on(run: &Path) -> Result<PathBuf, CompareError> {
    Ok(RunFolder::open(run)?.record()?.data.path)
}

/// The last component of each path, or the whole path if two would have the same name.
#[must_use]
pub fn run_names(runs: &[PathBuf]) -> Vec<String> {
    let short =
        |run: &Path| run.file_name().map_or_else(|| run.display().to_string(), |n| n.to_string_lossy().into_owned());
    let mut seen = BTreeMap::new();
    for run in runs {
        *seen.entry(short(run)).or_insert(0) += 1;
    }
    let unique = |run: &PathBuf| if seen[&short(run)] == 1 { short(run) } else { run.display().to_string() };
    runs.iter().map(unique).collect()
}

/// Runs side by side.
#[derive(Debug, Serialize)]
pub struct ComparedRuns {
    /// The split they were evaluated on.
    pub split: Split,
    /// Number of images they are compared on.
    pub images: usize,
    /// What the comparison leaves out, and why; a sentence each.
    pub notes: Vec<String>,
    /// Accuracy of always predicting the majority class of each attribute, in the macro and the micro average.
    pub commoner_class_accuracy: [Option<f64>; 2],
    /// The comparison.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// Published mean accuracies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<Published>,
}

/// A published mean accuracy.
#[derive(Debug, Serialize)]
pub struct Published {
    /// Name of the model.
    pub name: String,
    /// Its mean accuracy.
    pub accuracy: f64,
    /// The split of CelebA.
    pub split: String,
    /// Where it was published.
    pub source: String,
}

/// Compares runs on the images and attributes that all were evaluated on; with `published` also with published results.
///
/// # Errors
///
/// [`CompareError::OtherData`], or if the runs share nothing to compare.
pub fn compare(runs: Vec<EvaluatedRun>, published: bool) -> Result<ComparedRuns, CompareError> {
    let names = run_names(&runs.iter().map(|run| run.path.clone()).collect::<Vec<_>>());
    let split = runs[0].metrics.split;
    let mut notes = Vec::new();
    let (mut comparison, evaluation) = if runs.iter().all(|run| run.predictions.is_some()) {
        paired(runs, &names, &mut notes)?
    } else {
        unpaired(runs, &names, &mut notes)?
    };
    let published = if published { add_published(&mut comparison, &evaluation, &mut notes) } else { Vec::new() };
    let Evaluation { images, macro_average, micro_average, .. } = evaluation;
    let commoner = |scores: Scores| scores.commoner_class_accuracy;
    Ok(ComparedRuns {
        split,
        images,
        notes,
        commoner_class_accuracy: [commoner(macro_average), commoner(micro_average)],
        comparison,
        published,
    })
}

/// Adds the published results of single attributes to the comparison, and returns the published means.
fn add_published(comparison: &mut Comparison, evaluation: &Evaluation, notes: &mut Vec<String>) -> Vec<Published> {
    if !comparison.add_published() {
        notes.push("there are no published results for these attributes: --published knows those of CelebA".to_owned());
        return Vec::new();
    }
    if evaluation.images != ORIGINAL_TEST_IMAGES {
        notes.push(format!(
            "the published results are for the {ORIGINAL_TEST_IMAGES} images of CelebA's test split, not for these images"
        ));
    }
    let published = |PublishedMean { name, accuracy, split, source }| Published { name, accuracy, split, source };
    published_means().into_iter().map(published).collect()
}

/// Compares image by image. Also returns the evaluation of the first run on the common images.
fn paired(
    runs: Vec<EvaluatedRun>,
    names: &[String],
    notes: &mut Vec<String>,
) -> Result<(Comparison, Evaluation), CompareError> {
    let predictions = runs.into_iter().zip(names).filter_map(|(run, name)| Some(run.predictions?.answers(name)));
    let aligned = RunPredictions::align(predictions.collect())?;
    for (name, unmatched) in names.iter().zip(&aligned.unmatched) {
        let mut without = Vec::new();
        match unmatched.images {
            0 => {}
            1 => without.push("1 image".to_owned()),
            images => without.push(format!("{images} images")),
        }
        if !unmatched.attributes.is_empty() {
            without.push(format!("the attributes {}", unmatched.attributes.join(", ")));
        }
        if !without.is_empty() {
            notes.push(format!("{name} without {}: not every run was evaluated on them", without.join(" and ")));
        }
    }
    let (comparison, mut evaluations) = Comparison::paired(&aligned.runs, &BOOTSTRAP)?;
    Ok((comparison, evaluations.swap_remove(0)))
}

/// Compares the metrics alone, because some run has no predictions.
fn unpaired(
    runs: Vec<EvaluatedRun>,
    names: &[String],
    notes: &mut Vec<String>,
) -> Result<(Comparison, Evaluation), CompareError> {
    let data = |run: &EvaluatedRun| run.metrics.dataset_fingerprint.clone();
    if let Some(other) = runs.iter().find(|run| data(run) != data(&runs[0])) {
        return Err(CompareError::OtherData { first: runs[0].path.clone(), other: other.path.clone() });
    }
    let without = runs.iter().zip(names).filter(|(run, _)| run.predictions.is_none());
    notes.push(format!(
        "no intervals and no tests: there are no predictions beside the metrics of {}; evaluate again to write them",
        without.map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(", ")
    ));
    let named: Vec<(&str, &Evaluation)> =
        names.iter().map(String::as_str).zip(runs.iter().map(|run| &run.metrics.evaluation)).collect();
    let comparison = Comparison::new(&named)?;
    Ok((comparison, runs.into_iter().next().map(|run| run.metrics.evaluation).expect("at least two runs")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_named_by_their_last_component_unless_two_share_it() {
        let paths = ["a/x", "b/y", "c/y"].map(PathBuf::from);
        assert_eq!(run_names(&paths), ["x", "b/y", "c/y"]);
    }
}
