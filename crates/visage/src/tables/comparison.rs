//! Runs side by side.

use visage_judge::{ComparedRow, Comparison, Flag, Interval, Metric, Verdict};
use visage_run::comparison::{ComparedRuns, Published};

use super::{Table, counted, percent, score};

/// Marks the best value of a column.
const BEST: &str = " *";
/// Follows the other values, so that digits stay aligned.
const NOT_BEST: &str = "  ";

/// The tables, and paragraphs on what they do not show. `attributes` adds a table of the attributes.
pub fn text(compared: &ComparedRuns, attributes: bool) -> String {
    let ComparedRuns { datasets, split, images, notes, comparison, published, .. } = compared;
    let mut text = format!(
        "on {}; the best value of each column is marked{BEST}\n\n{}",
        split.counted(&counted(*images as u64, "image"), &datasets.join(" and ")),
        averages(compared)
    );
    if attributes {
        let mut table = scores_table("Attribute");
        comparison.attributes.iter().for_each(|row| add_rows(&mut table, row, &comparison.evaluations));
        text += &format!("\n{}", table.text());
    }
    let paragraphs =
        [published_lines(published), differences(comparison), verdicts(comparison), flags(comparison, attributes)];
    for lines in paragraphs.iter().chain([notes]).filter(|lines| !lines.is_empty()) {
        text += &format!("\n{}\n", lines.join("\n"));
    }
    text
}

/// Which attributes differ, and what the means hide, a paragraph each.
pub fn findings(compared: &ComparedRuns) -> Vec<String> {
    let ComparedRuns { comparison, notes, .. } = compared;
    [verdicts(comparison), flags(comparison, false), notes.clone()].concat()
}

fn averages(compared: &ComparedRuns) -> String {
    let ComparedRuns { commoner_class_accuracy, comparison, .. } = compared;
    let averages = [&comparison.macro_average, &comparison.micro_average, &comparison.original];
    let baselines = commoner_class_accuracy.iter().copied().map(Some).chain([None]);
    let mut table = scores_table("Average");
    for (row, baseline) in averages.into_iter().zip(baselines) {
        add_rows(&mut table, row, &comparison.evaluations);
        if let Some(accuracy) = baseline {
            let mut cells = vec![String::new(), "(majority class)".to_owned()];
            cells.extend(ComparedRow::METRICS.map(|metric| match metric {
                Metric::Accuracy => score(accuracy) + NOT_BEST,
                _ => String::new(),
            }));
            table.row(cells);
        }
    }
    table.text()
}

fn scores_table(first: &'static str) -> Table {
    let headings =
        ["Accuracy", "Precision", "Recall", "F1", "AP", "Predicted positive"].map(|name| format!("{name}{NOT_BEST}"));
    let headings: Vec<&str> = [first, "Run"].into_iter().chain(headings.iter().map(String::as_str)).collect();
    Table::new(2, &headings)
}

/// Adds a row for each run.
fn add_rows(table: &mut Table, row: &ComparedRow, runs: &[String]) {
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

fn published_lines(published: &[Published]) -> Vec<String> {
    let line = |Published { name, accuracy, split, source }: &Published| {
        format!("published: {name}, mean accuracy {} on CelebA's {split} split ({source})", score(Some(*accuracy)))
    };
    published.iter().map(line).collect()
}

/// The differences of the macro average with their intervals, a table for each run after the first.
fn differences(comparison: &Comparison) -> Vec<String> {
    let row = &comparison.macro_average;
    let runs = &comparison.evaluations;
    let table = |other: usize| {
        let heading = format!("{} minus {}", runs[other + 1], runs[0]);
        let mut table = Table::new(1, &[&heading, "Macro average", "95 % interval"]);
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

/// Which attributes are better and worse, a paragraph for each run after the first.
fn verdicts(comparison: &Comparison) -> Vec<String> {
    let runs = &comparison.evaluations;
    let mut lines = Vec::new();
    for (other, name) in runs.iter().enumerate().skip(1) {
        let with = |verdict: Verdict| -> Vec<&str> {
            let rows = comparison.attributes.iter();
            rows.filter(|row| row.changes.iter().any(|change| (change.evaluation, change.verdict) == (other, verdict)))
                .map(|row| row.name.as_str())
                .collect()
        };
        let kinds = [
            (Verdict::Better, "is better than"),
            (Verdict::Worse, "is worse than"),
            (Verdict::Mixed, "is better in one of accuracy and F1 and worse in the other than"),
            (Verdict::Undecided, "shows no significant difference to"),
        ];
        for (verdict, words) in kinds {
            let names = with(verdict);
            if !names.is_empty() {
                let all = comparison.attributes.len();
                lines.push(format!(
                    "{name} {words} {} on {} of {all} attributes: {}",
                    runs[0],
                    names.len(),
                    names.join(", ")
                ));
            }
        }
    }
    if !lines.is_empty() {
        lines.push(
            "by accuracy (McNemar's exact test) and F1 (paired bootstrap), each with Holm's correction: in 95 % of such \
             comparisons, no attribute is called better or worse by chance"
                .to_owned(),
        );
    }
    lines
}

/// Findings that a mean hides; for each attribute if `each`, else by run.
fn flags(comparison: &Comparison, each: bool) -> Vec<String> {
    let runs = &comparison.evaluations;
    let of_row = |row: &ComparedRow| -> Vec<String> {
        row.flags.iter().map(|flag| format!("{}: {}", row.name, in_words(flag, runs))).collect()
    };
    let averages = [&comparison.macro_average, &comparison.micro_average, &comparison.original];
    let mut lines: Vec<String> = averages.into_iter().flat_map(of_row).collect();
    if each {
        lines.extend(comparison.attributes.iter().flat_map(of_row));
    } else {
        lines.extend(flags_by_run(comparison));
    }
    lines
}

fn flags_by_run(comparison: &Comparison) -> Vec<String> {
    type OfRun = fn(&Flag) -> Option<usize>;
    let kinds: [(&str, OfRun); 3] = [
        ("attributes predicted less than half as often as they occur", |flag| match flag {
            Flag::Collapse { evaluation, .. } => Some(*evaluation),
            _ => None,
        }),
        ("attributes whose accuracy is higher and whose F1 is lower than the first run's", |flag| match flag {
            Flag::AccuracyGainWithF1Loss { evaluation, .. } => Some(*evaluation),
            _ => None,
        }),
        ("attributes evaluated on other labels than the first run's", |flag| match flag {
            Flag::DifferentLabels { evaluation } => Some(*evaluation),
            _ => None,
        }),
    ];
    let mut lines = Vec::new();
    for (run, name) in comparison.evaluations.iter().enumerate() {
        for (kind, evaluation) in kinds {
            let with =
                comparison.attributes.iter().filter(|row| row.flags.iter().any(|flag| evaluation(flag) == Some(run)));
            let names: Vec<&str> = with.map(|row| row.name.as_str()).collect();
            if !names.is_empty() {
                let all = comparison.attributes.len();
                lines.push(format!("{name}, {kind} ({} of {all}): {}", names.len(), names.join(", ")));
            }
        }
    }
    lines
}

fn in_words(flag: &Flag, runs: &[String]) -> String {
    match flag {
        Flag::Collapse { evaluation, predicted_positive_rate, prevalence } => format!(
            "{} collapses: it predicts {} as present, where {} are",
            runs[*evaluation],
            percent(Some(*predicted_positive_rate)),
            percent(Some(*prevalence))
        ),
        Flag::AccuracyGainWithF1Loss { evaluation, accuracy_gain, f1_loss } => format!(
            "the accuracy of {} is {accuracy_gain:.4} higher than that of {}, but its F1 is {f1_loss:.4} lower",
            runs[*evaluation], runs[0]
        ),
        Flag::DifferentLabels { evaluation } => {
            format!("{} was evaluated on other labels than {}", runs[*evaluation], runs[0])
        }
    }
}
