//! `visage compare`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use visage_data::Split;
use visage_judge::{ComparedRow, Comparison, Evaluation, Flag, Metric};
use visage_train::{RunFolder, TrainError};

use crate::cli::CompareArgs;
use crate::error::CommandError;
use crate::metrics_file::MetricsFile;
use crate::output;
use crate::table::{Columns, counted, percent, score};

/// What follows the best value of a column.
const BEST: &str = " *";
/// What follows the others, so that figures stay under each other.
const NOT_BEST: &str = "  ";

/// The splits in the order in which they are looked for.
const SPLITS: [Split; 3] = [Split::Test, Split::Validation, Split::Train];

/// Sets the metrics of evaluated runs side by side.
pub fn run(args: &CompareArgs) -> Result<(), CommandError> {
    let (split, files) = read(&args.runs, args.split)?;
    let compared = compare(&args.runs, split, &files)?;
    if args.json { output::json(&compared) } else { output::result(&report(&compared, &files, args.attributes)) }
}

/// Runs side by side.
#[derive(Debug, Serialize)]
pub struct ComparedRuns {
    /// The split they were judged on.
    pub split: Split,
    /// The comparison.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// Compares metrics files, named after `runs`.
pub fn compare(runs: &[PathBuf], split: Split, files: &[MetricsFile]) -> Result<ComparedRuns, CommandError> {
    let names = names(runs);
    let named: Vec<(&str, &Evaluation)> =
        names.iter().map(String::as_str).zip(files.iter().map(|file| &file.evaluation)).collect();
    Ok(ComparedRuns { split, comparison: Comparison::new(&named)? })
}

/// The metrics of each run on one split.
fn read(runs: &[PathBuf], asked: Option<Split>) -> Result<(Split, Vec<MetricsFile>), CommandError> {
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
    let paths: Vec<PathBuf> = runs.iter().map(|run| if run.is_dir() { run.join(&name) } else { run.clone() }).collect();
    let files = paths.iter().map(|path| MetricsFile::read(path)).collect::<Result<Vec<_>, _>>()?;
    let expected = files[0].split;
    if let Some(other) = files.iter().position(|file| file.split != expected) {
        let (first, other_path) = (paths[0].clone(), paths[other].clone());
        return Err(CommandError::OtherSplit { first, expected, other: other_path, found: files[other].split });
    }
    Ok((expected, files))
}

/// Where the data of a run was.
fn trained_on(run: &Path) -> Result<PathBuf, CommandError> {
    let record = RunFolder::open(run).and_then(|run| run.record()).map_err(TrainError::from)?;
    Ok(record.data.path)
}

/// The last part of each path, or the whole of it where two would be called alike.
fn names(runs: &[PathBuf]) -> Vec<String> {
    let short =
        |run: &Path| run.file_name().map_or_else(|| run.display().to_string(), |n| n.to_string_lossy().into_owned());
    let mut seen = BTreeMap::new();
    for run in runs {
        *seen.entry(short(run)).or_insert(0) += 1;
    }
    let unique = |run: &PathBuf| if seen[&short(run)] == 1 { short(run) } else { run.display().to_string() };
    runs.iter().map(unique).collect()
}

/// The tables, and in words what they hide.
pub fn report(compared: &ComparedRuns, files: &[MetricsFile], attributes: bool) -> String {
    let ComparedRuns { split, comparison } = compared;
    let averages = [&comparison.macro_average, &comparison.micro_average, &comparison.original];
    let mut table = table("Average");
    for row in averages {
        add(&mut table, row, &comparison.evaluations);
        let reference = match row.name.as_str() {
            "macro average" => Some(files[0].evaluation.macro_average),
            "micro average" => Some(files[0].evaluation.micro_average),
            _ => None,
        };
        if let Some(scores) = reference {
            let mut cells = vec![String::new(), "(always the commoner class)".to_owned()];
            cells.extend(ComparedRow::METRICS.map(|metric| match metric {
                Metric::Accuracy => score(scores.commoner_class_accuracy) + NOT_BEST,
                _ => String::new(),
            }));
            table.row(cells);
        }
    }
    let mut text = format!(
        "on {} of the {split} split; the best of each column is marked{BEST}\n\n{}",
        counted(files[0].evaluation.images as u64, "image"),
        table.text()
    );
    if attributes {
        let mut table = self::table("Attribute");
        comparison.attributes.iter().for_each(|row| add(&mut table, row, &comparison.evaluations));
        text += &format!("\n{}", table.text());
    }
    let flags = flags(comparison, attributes);
    if !flags.is_empty() {
        text += &format!("\n{}\n", flags.join("\n"));
    }
    text
}

fn table(first: &'static str) -> Columns {
    let headings =
        ["Accuracy", "Precision", "Recall", "F1", "Predicted positive"].map(|name| format!("{name}{NOT_BEST}"));
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
