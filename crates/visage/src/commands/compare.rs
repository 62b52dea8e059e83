//! `visage compare`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use visage_data::Split;
use visage_judge::{
    ComparedRow, Comparison, Evaluation, Flag, Interval, Metric, ORIGINAL_TEST_IMAGES, RunPredictions, Scores, Verdict,
    published_means,
};
use visage_run::{MetricsFile, PredictionsFile, RunFolder};

use crate::cli::CompareArgs;
use crate::error::CommandError;
use crate::output;
use crate::resampling::RESAMPLING;
use crate::table::{Columns, counted, percent, score};

/// What follows the best value of a column.
const BEST: &str = " *";
/// What follows the others, so that figures stay under each other.
const NOT_BEST: &str = "  ";

/// The splits in the order in which they are looked for.
pub const SPLITS: [Split; 3] = [Split::Test, Split::Validation, Split::Train];

/// Sets evaluated runs side by side.
pub fn run(args: &CompareArgs) -> Result<(), CommandError> {
    let compared = compare(read(&args.runs, args.split)?, args.published)?;
    if args.json { output::json(&compared) } else { output::result(&report(&compared, args.attributes)) }
}

/// A run that was judged.
pub struct Run {
    path: PathBuf,
    /// What it is worth.
    pub metrics: MetricsFile,
    /// The answers behind that, where they were kept.
    pub predictions: Option<PredictionsFile>,
}

impl Run {
    /// A run that was judged, or the metrics file `path`.
    pub fn new(path: &Path, metrics: MetricsFile, predictions: Option<PredictionsFile>) -> Self {
        Self { path: path.to_owned(), metrics, predictions }
    }

    /// The run `path`, whose metrics are in `file`.
    ///
    /// # Errors
    ///
    /// When they, or the predictions beside them, cannot be read.
    pub fn read(path: &Path, file: &Path) -> Result<Self, CommandError> {
        let beside = PredictionsFile::beside(file);
        let predictions = beside.is_file().then(|| PredictionsFile::read(&beside)).transpose()?;
        Ok(Self::new(path, MetricsFile::read(file)?, predictions))
    }
}

/// Runs side by side.
#[derive(Debug, Serialize)]
pub struct ComparedRuns {
    /// The split they were judged on.
    pub split: Split,
    /// How many images they were compared on.
    pub images: usize,
    /// What is not in the comparison, and why, in words.
    pub notes: Vec<String>,
    /// What always answering the commoner class of each attribute would score, in the macro and the micro average.
    pub commoner_class_accuracy: [Option<f64>; 2],
    /// The comparison.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// What others published.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<Published>,
}

/// A mean accuracy that somebody published.
#[derive(Debug, Serialize)]
pub struct Published {
    name: String,
    accuracy: f64,
    split: String,
    source: String,
}

/// Compares runs on what all of them answered.
pub fn compare(runs: Vec<Run>, published: bool) -> Result<ComparedRuns, CommandError> {
    let names = names(&runs.iter().map(|run| run.path.clone()).collect::<Vec<_>>());
    let split = runs[0].metrics.split;
    let mut notes = Vec::new();
    let (mut comparison, evaluation) = if runs.iter().all(|run| run.predictions.is_some()) {
        paired(runs, &names, &mut notes)?
    } else {
        unpaired(runs, &names, &mut notes)?
    };
    let mut means = Vec::new();
    if published {
        if comparison.add_published() {
            if evaluation.images != ORIGINAL_TEST_IMAGES {
                notes.push(format!(
                    "the published results are of the {} images of CelebA's test split, and not of these images",
                    ORIGINAL_TEST_IMAGES
                ));
            }
            let mean = |mean: visage_judge::PublishedMean| {
                let visage_judge::PublishedMean { name, accuracy, split, source } = mean;
                Published { name, accuracy, split, source }
            };
            means = published_means().into_iter().map(mean).collect();
        } else {
            notes.push("nothing was published on these attributes: --published knows those of CelebA".to_owned());
        }
    }
    let Evaluation { images, macro_average, micro_average, .. } = evaluation;
    let commoner = |scores: Scores| scores.commoner_class_accuracy;
    Ok(ComparedRuns {
        split,
        images,
        notes,
        commoner_class_accuracy: [commoner(macro_average), commoner(micro_average)],
        comparison,
        published: means,
    })
}

/// Compares image by image; also the evaluation of the first run on the images compared.
fn paired(runs: Vec<Run>, names: &[String], notes: &mut Vec<String>) -> Result<(Comparison, Evaluation), CommandError> {
    let answers = runs.into_iter().zip(names).filter_map(|(run, name)| Some(run.predictions?.answers(name)));
    let aligned = RunPredictions::align(answers.collect())?;
    for (name, unmatched) in names.iter().zip(&aligned.unmatched) {
        let mut without = Vec::new();
        if unmatched.images > 0 {
            without.push(counted(unmatched.images as u64, "image"));
        }
        if !unmatched.attributes.is_empty() {
            without.push(format!("the attributes {}", unmatched.attributes.join(", ")));
        }
        if !without.is_empty() {
            notes.push(format!("{name} without {}: not every run was judged on them", without.join(" and ")));
        }
    }
    let (comparison, mut evaluations) = Comparison::paired(&aligned.runs, &RESAMPLING)?;
    Ok((comparison, evaluations.swap_remove(0)))
}

/// Compares the metrics alone, of runs without predictions beside them.
fn unpaired(
    runs: Vec<Run>,
    names: &[String],
    notes: &mut Vec<String>,
) -> Result<(Comparison, Evaluation), CommandError> {
    let data = |run: &Run| run.metrics.dataset_fingerprint.clone();
    if let Some(other) = runs.iter().find(|run| data(run) != data(&runs[0])) {
        return Err(CommandError::OtherData { first: runs[0].path.clone(), other: other.path.clone() });
    }
    let without = runs.iter().zip(names).filter(|(run, _)| run.predictions.is_none());
    notes.push(format!(
        "no intervals and no tests, because there are no predictions beside the metrics of {}: evaluate again to have them",
        without.map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(", ")
    ));
    let named: Vec<(&str, &Evaluation)> =
        names.iter().map(String::as_str).zip(runs.iter().map(|run| &run.metrics.evaluation)).collect();
    let comparison = Comparison::new(&named)?;
    Ok((comparison, runs.into_iter().next().map(|run| run.metrics.evaluation).expect("compared two")))
}

/// The metrics of each run on one split, and the predictions behind them where they were kept.
fn read(runs: &[PathBuf], asked: Option<Split>) -> Result<Vec<Run>, CommandError> {
    let folders: Vec<&PathBuf> = runs.iter().filter(|run| run.is_dir()).collect();
    let lacking = |split: Split| -> Vec<&PathBuf> {
        folders.iter().copied().filter(|run| !run.join(MetricsFile::name(split)).is_file()).collect()
    };
    let split = asked.or_else(|| SPLITS.into_iter().find(|&split| lacking(split).is_empty()));
    let missing = lacking(split.unwrap_or(Split::Test));
    if !missing.is_empty() {
        let with_data = |run: &&PathBuf| Ok(((*run).clone(), trained_on(run)?));
        let runs = missing.iter().map(with_data).collect::<Result<_, CommandError>>()?;
        return Err(CommandError::NotEvaluated { runs, split: asked });
    }
    let name = MetricsFile::name(split.unwrap_or(Split::Test));
    let read = |run: &PathBuf| Run::read(run, &if run.is_dir() { run.join(&name) } else { run.clone() });
    let judged = runs.iter().map(read).collect::<Result<Vec<_>, CommandError>>()?;
    let expected = judged[0].metrics.split;
    if let Some(other) = judged.iter().find(|run| run.metrics.split != expected) {
        let (first, found) = (judged[0].path.clone(), other.metrics.split);
        return Err(CommandError::OtherSplit { first, expected, other: other.path.clone(), found });
    }
    Ok(judged)
}

/// Where the data of a run was.
fn trained_on(run: &Path) -> Result<PathBuf, CommandError> {
    let record = RunFolder::open(run).and_then(|run| run.record())?;
    Ok(record.data.path)
}

/// The last part of each path, or the whole of it where two would be called alike.
pub fn names(runs: &[PathBuf]) -> Vec<String> {
    let short =
        |run: &Path| run.file_name().map_or_else(|| run.display().to_string(), |n| n.to_string_lossy().into_owned());
    let mut seen = BTreeMap::new();
    for run in runs {
        *seen.entry(short(run)).or_insert(0) += 1;
    }
    let unique = |run: &PathBuf| if seen[&short(run)] == 1 { short(run) } else { run.display().to_string() };
    runs.iter().map(unique).collect()
}

/// The findings of a comparison in words, without its tables.
pub fn findings(compared: &ComparedRuns) -> Vec<String> {
    let ComparedRuns { comparison, notes, .. } = compared;
    [verdicts(comparison), flags(comparison, false), notes.clone()].concat()
}

/// The tables, and in words what they hide.
pub fn report(compared: &ComparedRuns, attributes: bool) -> String {
    let ComparedRuns { split, images, notes, commoner_class_accuracy, comparison, published } = compared;
    let averages = [&comparison.macro_average, &comparison.micro_average, &comparison.original];
    let commoner = commoner_class_accuracy.iter().copied().map(Some).chain([None]);
    let mut table = table("Average");
    for (row, commoner) in averages.into_iter().zip(commoner) {
        add(&mut table, row, &comparison.evaluations);
        if let Some(accuracy) = commoner {
            let mut cells = vec![String::new(), "(always the commoner class)".to_owned()];
            cells.extend(ComparedRow::METRICS.map(|metric| match metric {
                Metric::Accuracy => score(accuracy) + NOT_BEST,
                _ => String::new(),
            }));
            table.row(cells);
        }
    }
    let mut text = format!(
        "on {} of the {split} split; the best of each column is marked{BEST}\n\n{}",
        counted(*images as u64, "image"),
        table.text()
    );
    if attributes {
        let mut table = self::table("Attribute");
        comparison.attributes.iter().for_each(|row| add(&mut table, row, &comparison.evaluations));
        text += &format!("\n{}", table.text());
    }
    let paragraphs =
        [published_lines(published), differences(comparison), verdicts(comparison), flags(comparison, attributes)];
    for lines in paragraphs.iter().chain([notes]).filter(|lines| !lines.is_empty()) {
        text += &format!("\n{}\n", lines.join("\n"));
    }
    text
}

fn published_lines(published: &[Published]) -> Vec<String> {
    let line = |Published { name, accuracy, split, source }: &Published| {
        format!("published: {name}, mean accuracy {} on CelebA's {split} split ({source})", score(Some(*accuracy)))
    };
    published.iter().map(line).collect()
}

/// The differences of the macro average with their intervals, a table a later run.
fn differences(comparison: &Comparison) -> Vec<String> {
    let row = &comparison.macro_average;
    let runs = &comparison.evaluations;
    let table = |other: usize| {
        let heading = format!("{} less {}", runs[other + 1], runs[0]);
        let mut table = Columns::new(1, &[&heading, "Macro average", "95 % interval"]);
        for metric in ComparedRow::METRICS {
            let Some(compared) = row.get(metric) else { continue };
            if let (Some(difference), Some(Interval { low, high })) =
                (compared.differences[other], compared.intervals[other])
            {
                let heading = metric.heading().to_owned();
                table.row([heading, format!("{difference:+.4}"), format!("{low:+.4} to {high:+.4}")]);
            }
        }
        table.text().trim_end().to_owned()
    };
    (0..row.accuracy.intervals.len()).map(table).collect()
}

/// Which attributes became better and worse, a paragraph a later run.
fn verdicts(comparison: &Comparison) -> Vec<String> {
    let runs = &comparison.evaluations;
    let mut told = Vec::new();
    for (other, name) in runs.iter().enumerate().skip(1) {
        let with = |verdict: Verdict| -> Vec<&str> {
            let rows = comparison.attributes.iter();
            rows.filter(|row| row.changes.iter().any(|change| (change.evaluation, change.verdict) == (other, verdict)))
                .map(|row| row.name.as_str())
                .collect()
        };
        let kinds = [
            (Verdict::Better, "better than"),
            (Verdict::Worse, "worse than"),
            (Verdict::Mixed, "better in one of accuracy and F1 and worse in the other than"),
            (Verdict::Undecided, "not to be told apart from"),
        ];
        for (verdict, words) in kinds {
            let names = with(verdict);
            if !names.is_empty() {
                let all = comparison.attributes.len();
                told.push(format!("{name} is {words} {} ({} of {all}): {}", runs[0], names.len(), names.join(", ")));
            }
        }
    }
    if !told.is_empty() {
        told.push(
            "by accuracy (McNemar's exact test) and F1 (paired bootstrap), corrected by Holm so that in 95 % of such \
             comparisons no attribute is called better or worse by chance, for each of the two"
                .to_owned(),
        );
    }
    told
}

fn table(first: &'static str) -> Columns {
    let headings =
        ["Accuracy", "Precision", "Recall", "F1", "AP", "Predicted positive"].map(|name| format!("{name}{NOT_BEST}"));
    let headings: Vec<&str> = [first, "Run"].into_iter().chain(headings.iter().map(String::as_str)).collect();
    Columns::new(2, &headings)
}

/// Adds a row for each run.
fn add(table: &mut Columns, row: &ComparedRow, runs: &[String]) {
    for (run, name) in runs.iter().enumerate() {
        let label = if run == 0 { row.name.clone() } else { String::new() };
        let cells = ComparedRow::METRICS.map(|metric| {
            let values = row.get(metric).map(|compared| compared.values.as_slice()).unwrap_or_default();
            let value = values.get(run).copied().flatten();
            let best = metric.higher_is_better() == Some(true)
                && value.is_some()
                && values.iter().flatten().all(|&other| value >= Some(other));
            score(value) + if best { BEST } else { NOT_BEST }
        });
        table.row([label, name.clone()].into_iter().chain(cells));
    }
}

/// What a reader should not overlook, in words; attribute by attribute if `each`, else gathered by run.
fn flags(comparison: &Comparison, each: bool) -> Vec<String> {
    let runs = &comparison.evaluations;
    let mut told: Vec<String> = [&comparison.macro_average, &comparison.micro_average, &comparison.original]
        .iter()
        .flat_map(|row| row.flags.iter().map(|flag| format!("{}: {}", row.name, in_words(flag, runs))))
        .collect();
    if each {
        let rows = comparison.attributes.iter();
        told.extend(
            rows.flat_map(|row| row.flags.iter().map(|flag| format!("{}: {}", row.name, in_words(flag, runs)))),
        );
        return told;
    }
    type OfRun = fn(&Flag) -> Option<usize>;
    let gathered: [(&str, OfRun); 3] = [
        ("attributes called less than half as often as they occur", |flag| match flag {
            Flag::Collapse { evaluation, .. } => Some(*evaluation),
            _ => None,
        }),
        ("attributes whose accuracy is above the first run's and F1 below", |flag| match flag {
            Flag::AccuracyGainWithF1Loss { evaluation, .. } => Some(*evaluation),
            _ => None,
        }),
        ("attributes judged on other labels than the first run's", |flag| match flag {
            Flag::DifferentLabels { evaluation } => Some(*evaluation),
            _ => None,
        }),
    ];
    for (run, name) in runs.iter().enumerate() {
        for (what, evaluation) in gathered {
            let with =
                comparison.attributes.iter().filter(|row| row.flags.iter().any(|flag| evaluation(flag) == Some(run)));
            let names: Vec<&str> = with.map(|row| row.name.as_str()).collect();
            if !names.is_empty() {
                told.push(format!(
                    "{name}, {what} ({} of {}): {}",
                    names.len(),
                    comparison.attributes.len(),
                    names.join(", ")
                ));
            }
        }
    }
    told
}

fn in_words(flag: &Flag, runs: &[String]) -> String {
    match flag {
        Flag::Collapse { evaluation, predicted_positive_rate, prevalence } => format!(
            "{} collapses: it says present for {} where {} are",
            runs[*evaluation],
            percent(Some(*predicted_positive_rate)),
            percent(Some(*prevalence))
        ),
        Flag::AccuracyGainWithF1Loss { evaluation, accuracy_gain, f1_loss } => format!(
            "the accuracy of {} is {:.4} higher than {}'s while its F1 is {:.4} lower",
            runs[*evaluation], accuracy_gain, runs[0], f1_loss
        ),
        Flag::DifferentLabels { evaluation } => {
            format!("{} was judged on other labels than {}", runs[*evaluation], runs[0])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_called_by_their_last_part_unless_two_share_it() {
        let paths = ["a/x", "b/y", "c/y"].map(PathBuf::from);
        assert_eq!(names(&paths), ["x", "b/y", "c/y"]);
    }
}
