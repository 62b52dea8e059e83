//! Comparing evaluated runs on the images and attributes that all of them were evaluated on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde::Serialize;
use visage_data::{Split, SplitOrAll};
use visage_judge::{
    Comparison, Evaluation, ORIGINAL_TEST_IMAGES, PublishedMean, RunPredictions, Scores, published_means,
};

use crate::bootstrap::BOOTSTRAP;
use crate::results::{ChosenEvaluations, EvaluationChoice, RunEvaluation};
use crate::{DataRecord, MetricsFile, PredictionsFile, RunError, RunFolder, shell};

/// Why runs cannot be compared.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum CompareError {
    /// Runs without metrics.
    #[error("not evaluated yet: {} no metrics{wanted}", listing(runs))]
    #[diagnostic(help("{}", commands.join("\n")))]
    NotEvaluated {
        /// The runs.
        runs: Vec<PathBuf>,
        /// What was asked for, such as ` on the test split`.
        wanted: String,
        /// The commands that evaluate them.
        commands: Vec<String>,
    },
    /// Runs that have metrics, but of different splits.
    #[error("the runs were evaluated on different splits: {}", found.join("; "))]
    #[diagnostic(help("evaluate them on the same images\n{}", commands.join("\n")))]
    OtherSplits {
        /// What each run was evaluated on, in words.
        found: Vec<String>,
        /// The commands that evaluate the others on what the first was.
        commands: Vec<String>,
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

fn listing(runs: &[PathBuf]) -> String {
    let names: Vec<String> = runs.iter().map(|run| run.display().to_string()).collect();
    format!("{} {}", names.join(", "), if runs.len() == 1 { "has" } else { "have" })
}

/// The command that evaluates a run: on the images of the evaluation `like` if its model answers for them, or else on the data that it
/// was trained on, on `split` or the split that a model is judged on.
///
/// # Errors
///
/// If `run` is no run.
pub fn evaluate_command(run: &Path, split: Option<SplitOrAll>, like: Option<&MetricsFile>) -> Result<String, RunError> {
    let own = RunFolder::open(run)?.record()?.data;
    let answers = |metrics: &&MetricsFile| {
        let judged = || metrics.evaluation.attributes.iter();
        own.attributes.iter().all(|name| judged().any(|each| each.attribute == *name))
    };
    let (data, split, options) = match like.filter(answers) {
        Some(metrics) => (&metrics.data, split.unwrap_or(metrics.split), String::new()),
        None => {
            let given = [(own.skip_bad_images, " --skip-bad-images"), (own.allow_truncated, " --allow-truncated")];
            let options = given.into_iter().filter_map(|(is_given, option)| is_given.then_some(option)).collect();
            (&own.path, split.unwrap_or_else(|| judged_split(&own)), options)
        }
    };
    let split = if split == Split::Test.into() { String::new() } else { format!(" --split {split}") };
    Ok(format!("visage evaluate {} --data {}{split}{options}", shell::path(run), shell::path(data)))
}

/// The split of a run's data that its model is judged on: the test split if there is one.
#[must_use]
pub fn judged_split(data: &DataRecord) -> SplitOrAll {
    if data.test > 0 || data.validation == 0 { Split::Test.into() } else { Split::Validation.into() }
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
    /// An evaluation of the run `path` with the predictions beside its metrics, if there are any.
    ///
    /// # Errors
    ///
    /// If the predictions cannot be read.
    pub fn read(path: &Path, evaluation: RunEvaluation) -> Result<Self, CompareError> {
        let RunEvaluation { file, metrics } = evaluation;
        let beside = PredictionsFile::beside(&file);
        let predictions = beside.is_file().then(|| PredictionsFile::read(&beside)).transpose()?;
        Ok(Self { path: path.to_owned(), metrics, predictions })
    }

    /// Reads the evaluations of run folders and metrics files that `choice` chooses, all of one split. Also returns remarks on the choice.
    ///
    /// # Errors
    ///
    /// [`CompareError::NotEvaluated`], [`CompareError::OtherSplits`], or if a file cannot be read.
    pub fn read_all(runs: &[PathBuf], choice: &EvaluationChoice) -> Result<(Vec<Self>, Vec<String>), CompareError> {
        let found = runs.iter().map(|run| RunEvaluation::of(run, choice.split));
        let found = found.collect::<Result<Vec<_>, _>>()?;
        let splits = |evaluations: &Vec<RunEvaluation>| {
            let on: Vec<String> = evaluations.iter().map(|each| each.metrics.images()).collect();
            if on.is_empty() { "nothing".to_owned() } else { on.join(", ") }
        };
        let on: Vec<String> = found.iter().map(splits).collect();
        let are_evaluated = found.iter().all(|evaluations| !evaluations.is_empty());
        let of_file = runs.iter().zip(&found).find(|(run, _)| !run.is_dir());
        let of_file = of_file.and_then(|(_, evaluations)| Some(evaluations.first()?.metrics.clone()));
        let ChosenEvaluations { runs: chosen, others } = choice.choose(found);
        let missing: Vec<&PathBuf> =
            runs.iter().zip(&chosen).filter_map(|(run, found)| found.is_none().then_some(run)).collect();
        if !missing.is_empty() {
            let like = chosen.iter().flatten().next().map(|found| &found.metrics);
            // A metrics file cannot be evaluated again: then the folders, on what it was evaluated on.
            let (again, like): (Vec<&PathBuf>, _) = match of_file.as_ref() {
                Some(metrics) if missing.iter().any(|run| !run.is_dir()) => (runs.iter().collect(), Some(metrics)),
                _ => (missing.clone(), like),
            };
            let folders = again.into_iter().filter(|run| run.is_dir());
            let commands = folders.map(|run| evaluate_command(run, choice.split, like)).collect::<Result<_, _>>()?;
            if are_evaluated && *choice == EvaluationChoice::default() {
                let found = runs.iter().zip(on).map(|(run, on)| format!("{} on {on}", run.display())).collect();
                return Err(CompareError::OtherSplits { found, commands });
            }
            let runs = missing.into_iter().cloned().collect();
            return Err(CompareError::NotEvaluated { runs, wanted: choice.phrase(), commands });
        }
        let read = |(run, found): (&PathBuf, RunEvaluation)| Self::read(run, found);
        let evaluated = runs.iter().zip(chosen.into_iter().flatten()).map(read).collect::<Result<Vec<_>, _>>()?;
        let remarks = match others.as_slice() {
            [] => Vec::new(),
            others => vec![format!("also evaluated on {}: choose with --dataset", others.join(", "))],
        };
        Ok((evaluated, remarks))
    }
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
    /// The dataset they were evaluated on; several, where they are compared on the images that those share.
    pub datasets: Vec<String>,
    /// The split.
    pub split: SplitOrAll,
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
    let mut datasets: Vec<String> = runs.iter().map(|run| run.metrics.dataset.clone()).collect();
    datasets.sort();
    datasets.dedup();
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
        datasets,
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
