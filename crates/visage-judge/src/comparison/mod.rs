//! Evaluations side by side.

mod alignment;
mod flags;
mod paired;
mod published;
mod row;
mod significance;

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

pub use self::alignment::{Aligned, RunPredictions, Unmatched};
pub use self::flags::Flag;
pub use self::paired::{Change, Verdict};
pub use self::published::{ORIGINAL_TEST_IMAGES, PublishedMean, published_means};
pub use self::row::{Compared, ComparedRow};
use crate::error::{AttributeMismatch, Error};
use crate::evaluation::{AttributeMetrics, Evaluation};
use crate::predictions::refuse_duplicates;
use crate::scores::Scores;

/// Two or more evaluations of the same attributes, as data to render.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Names of the evaluations; differences are taken from the first.
    pub evaluations: Vec<String>,
    /// A row per attribute, in the order of the first evaluation.
    pub attributes: Vec<ComparedRow>,
    /// The means over the attributes where a metric is defined.
    pub macro_average: ComparedRow,
    /// The metrics of all labels pooled.
    pub micro_average: ComparedRow,
    /// The means with undefined metrics counted as 0.
    pub original: ComparedRow,
}

impl Comparison {
    /// Sets named evaluations side by side, attributes matched by name whatever their order.
    ///
    /// # Errors
    ///
    /// Fewer than two evaluations, or evaluations of different attributes, whose means do not compare. The error names every
    /// attribute without a match.
    pub fn new(evaluations: &[(&str, &Evaluation)]) -> Result<Self, Error> {
        let Some((&(reference_name, reference), others @ [_, ..])) = evaluations.split_first() else {
            return Err(Error::NothingToCompare { found: evaluations.len() });
        };
        for (_, evaluation) in evaluations {
            refuse_duplicates(names(evaluation))?;
        }
        let mismatches: Vec<AttributeMismatch> =
            others.iter().filter_map(|(name, evaluation)| mismatch(reference, name, evaluation)).collect();
        if !mismatches.is_empty() {
            return Err(Error::DifferentAttributes { reference: reference_name.to_owned(), mismatches });
        }

        let columns: Vec<EvaluationColumn> =
            evaluations.iter().map(|(name, evaluation)| EvaluationColumn::new(name, evaluation)).collect();
        Ok(Self::of(&columns))
    }

    /// Sets at least one column side by side; the rows are the attributes of the first.
    fn of(columns: &[EvaluationColumn]) -> Self {
        let average = |name: &str, scores: fn(&EvaluationColumn) -> Scores| {
            let scores: Vec<Scores> = columns.iter().map(scores).collect();
            ComparedRow::new(name, &scores)
        };
        Self {
            evaluations: columns.iter().map(|column| column.name.clone()).collect(),
            attributes: columns[0].attributes.iter().map(|name| Self::row(name, columns)).collect(),
            macro_average: average("macro average", |column| column.macro_average),
            micro_average: average("micro average", |column| column.micro_average),
            original: average("mean, undefined as 0", |column| column.original),
        }
    }

    /// The row of one attribute.
    fn row(name: &str, columns: &[EvaluationColumn]) -> ComparedRow {
        let scores: Vec<Scores> =
            columns.iter().map(|column| column.scores.get(name).copied().unwrap_or_default()).collect();
        let mut row = ComparedRow::new(name, &scores);
        let labels: Vec<Option<(u64, u64)>> = columns.iter().map(|column| column.labels.get(name).copied()).collect();
        let differ = (1..labels.len()).filter(|&other| labels[other].is_some() && labels[other] != labels[0]);
        row.flags.extend(differ.map(|evaluation| Flag::DifferentLabels { evaluation }));
        row
    }
}

/// One evaluation of a comparison, measured or published.
struct EvaluationColumn {
    name: String,
    attributes: Vec<String>,
    scores: HashMap<String, Scores>,
    /// Numbers of known labels and of positives.
    labels: HashMap<String, (u64, u64)>,
    macro_average: Scores,
    micro_average: Scores,
    original: Scores,
}

impl EvaluationColumn {
    fn new(name: &str, evaluation: &Evaluation) -> Self {
        let of = |metrics: &AttributeMetrics| (metrics.support, metrics.positives);
        let attributes = &evaluation.attributes;
        Self {
            name: name.to_owned(),
            attributes: names(evaluation).map(str::to_owned).collect(),
            scores: attributes.iter().map(|metrics| (metrics.attribute.clone(), metrics.scores)).collect(),
            labels: attributes.iter().map(|metrics| (metrics.attribute.clone(), of(metrics))).collect(),
            macro_average: evaluation.macro_average,
            micro_average: evaluation.micro_average,
            original: evaluation.original.scores(),
        }
    }
}

fn names(evaluation: &Evaluation) -> impl Iterator<Item = &str> {
    evaluation.attributes.iter().map(|metrics| metrics.attribute.as_str())
}

/// How the attributes of `other` differ from those of `reference`, if they do.
fn mismatch(reference: &Evaluation, name: &str, other: &Evaluation) -> Option<AttributeMismatch> {
    let lacking = |of: &Evaluation, from: &Evaluation| -> Vec<String> {
        let present: HashSet<&str> = names(from).collect();
        names(of).filter(|name| !present.contains(name)).map(str::to_owned).collect()
    };
    let (missing, surplus) = (lacking(reference, other), lacking(other, reference));
    let differs = !missing.is_empty() || !surplus.is_empty();
    differs.then(|| AttributeMismatch { evaluation: name.to_owned(), missing, surplus })
}

#[cfg(test)]
mod tests;
