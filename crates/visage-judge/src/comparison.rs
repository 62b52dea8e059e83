//! Evaluations side by side.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::predictions::refuse_duplicates;
use crate::{Change, Error, Evaluation, Interval, Metric, Mismatch, Scores};

/// A predicted-positive rate below this share of the prevalence is a collapse. At one half, at least half of the
/// positives are missed even if every positive decision is right.
pub const COLLAPSE_RATIO: f64 = 0.5;

/// An F1 loss smaller than this (one point) is not held against an accuracy gain: some attributes of any two runs
/// differ by as much from chance.
pub const F1_LOSS_MARGIN: f64 = 0.01;

impl Scores {
    /// The predicted-positive rate and the prevalence, if the first is below [`COLLAPSE_RATIO`] of the second.
    #[must_use]
    pub fn collapse(&self) -> Option<(f64, f64)> {
        self.predicted_positive_rate
            .zip(self.prevalence)
            .filter(|(rate, prevalence)| *rate < COLLAPSE_RATIO * prevalence)
    }
}

/// Two or more evaluations of the same attributes, as data to render.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Names of the evaluations; the first is the one that differences are taken from.
    pub evaluations: Vec<String>,
    /// A row per attribute, in the order of the first evaluation.
    pub attributes: Vec<ComparedRow>,
    /// The means over the attributes where a metric is defined.
    pub macro_average: ComparedRow,
    /// The pooled decisions.
    pub micro_average: ComparedRow,
    /// The means with undefined counted as 0.
    pub original: ComparedRow,
}

/// One attribute, or one kind of average, in every evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedRow {
    /// Name of the attribute, or of the average.
    pub name: String,
    /// Accuracy.
    pub accuracy: Compared,
    /// Precision.
    pub precision: Compared,
    /// Recall.
    pub recall: Compared,
    /// F1.
    pub f1: Compared,
    /// Average precision, which no threshold enters.
    pub average_precision: Compared,
    /// Share of positive decisions.
    pub predicted_positive_rate: Compared,
    /// What a reader should not overlook.
    pub flags: Vec<Flag>,
    /// What the same images say of each later evaluation against the first; empty without predictions image by image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

/// One metric in every evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The value in each evaluation.
    pub values: Vec<Option<f64>>,
    /// Each later evaluation's value minus the first's: one fewer than `values`, `None` where either is undefined.
    pub differences: Vec<Option<f64>>,
    /// The paired bootstrap interval of each difference; empty without predictions image by image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intervals: Vec<Option<Interval>>,
}

/// Something about one evaluation (an index into [`Comparison::evaluations`]) that its accuracy hides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "flag", rename_all = "snake_case")]
pub enum Flag {
    /// The predicted-positive rate is below [`COLLAPSE_RATIO`] of the prevalence: the attribute is rarely called, and
    /// its recall is lost.
    Collapse {
        /// Which evaluation.
        evaluation: usize,
        /// Share of positive decisions.
        predicted_positive_rate: f64,
        /// Share of positive labels.
        prevalence: f64,
    },
    /// Accuracy rose against the first evaluation while F1 fell by at least [`F1_LOSS_MARGIN`].
    AccuracyGainWithF1Loss {
        /// Which evaluation.
        evaluation: usize,
        /// Rise in accuracy, above 0.
        accuracy_gain: f64,
        /// Fall in F1, above 0.
        f1_loss: f64,
    },
    /// The number of labels, or of positives among them, is not the first evaluation's: these are other images.
    DifferentLabels {
        /// Which evaluation.
        evaluation: usize,
    },
}

impl Comparison {
    /// Sets named evaluations side by side, attributes matched by name whatever their order.
    ///
    /// # Errors
    ///
    /// Fewer than two evaluations, or evaluations of different attributes: means over different attributes do not
    /// compare. The error names every attribute without a match.
    pub fn new(evaluations: &[(&str, &Evaluation)]) -> Result<Self, Error> {
        let Some((&(reference_name, reference), others @ [_, ..])) = evaluations.split_first() else {
            return Err(Error::NothingToCompare { found: evaluations.len() });
        };
        for (_, evaluation) in evaluations {
            refuse_duplicates(names(evaluation))?;
        }
        let mismatches: Vec<Mismatch> =
            others.iter().filter_map(|(name, evaluation)| mismatch(reference, name, evaluation)).collect();
        if !mismatches.is_empty() {
            return Err(Error::AttributeMismatch { reference: reference_name.to_owned(), mismatches });
        }

        let standings: Vec<Standing> =
            evaluations.iter().map(|(name, evaluation)| Standing::new(name, evaluation)).collect();
        Ok(Self::of(&standings))
    }

    /// Standings of the attributes of the first side by side; at least one.
    pub(crate) fn of(standings: &[Standing]) -> Self {
        let average = |name: &str, scores: fn(&Standing) -> Scores| {
            let scores: Vec<Scores> = standings.iter().map(scores).collect();
            ComparedRow::new(name, &scores)
        };
        Self {
            evaluations: standings.iter().map(|standing| standing.name.clone()).collect(),
            attributes: standings[0].attributes.iter().map(|name| Self::row(name, standings)).collect(),
            macro_average: average("macro average", |standing| standing.macro_average),
            micro_average: average("micro average", |standing| standing.micro_average),
            original: average("mean, undefined as 0", |standing| standing.original),
        }
    }

    /// The row of one attribute.
    fn row(name: &str, standings: &[Standing]) -> ComparedRow {
        let scores: Vec<Scores> =
            standings.iter().map(|standing| standing.scores.get(name).copied().unwrap_or_default()).collect();
        let mut row = ComparedRow::new(name, &scores);
        let labels: Vec<Option<(u64, u64)>> =
            standings.iter().map(|standing| standing.labels.get(name).copied()).collect();
        let differ = (1..labels.len()).filter(|&other| labels[other].is_some() && labels[other] != labels[0]);
        row.flags.extend(differ.map(|evaluation| Flag::DifferentLabels { evaluation }));
        row
    }
}

/// What a comparison needs to know of one evaluation, wherever it comes from.
pub(crate) struct Standing {
    pub name: String,
    pub attributes: Vec<String>,
    pub scores: HashMap<String, Scores>,
    /// Known labels, and positives among them.
    pub labels: HashMap<String, (u64, u64)>,
    pub macro_average: Scores,
    pub micro_average: Scores,
    pub original: Scores,
}

impl Standing {
    pub fn new(name: &str, evaluation: &Evaluation) -> Self {
        let of = |metrics: &crate::AttributeMetrics| (metrics.support, metrics.positives);
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

impl ComparedRow {
    /// The metrics of a row, in the order of its columns.
    pub const METRICS: [Metric; 6] = [
        Metric::Accuracy,
        Metric::Precision,
        Metric::Recall,
        Metric::F1,
        Metric::AveragePrecision,
        Metric::PredictedPositiveRate,
    ];

    /// The values of one of [`Self::METRICS`]; `None` for any other.
    #[must_use]
    pub fn get(&self, metric: Metric) -> Option<&Compared> {
        match metric {
            Metric::Accuracy => Some(&self.accuracy),
            Metric::Precision => Some(&self.precision),
            Metric::Recall => Some(&self.recall),
            Metric::F1 => Some(&self.f1),
            Metric::AveragePrecision => Some(&self.average_precision),
            Metric::PredictedPositiveRate => Some(&self.predicted_positive_rate),
            _ => None,
        }
    }

    /// Fills in the interval of every difference.
    pub(crate) fn set_intervals(&mut self, interval: impl Fn(usize, Metric) -> Option<Interval>) {
        let slots = [
            &mut self.accuracy,
            &mut self.precision,
            &mut self.recall,
            &mut self.f1,
            &mut self.average_precision,
            &mut self.predicted_positive_rate,
        ];
        for (metric, compared) in Self::METRICS.into_iter().zip(slots) {
            let differences = compared.differences.iter().enumerate();
            // A difference that is undefined has no interval, however often the replicates have one.
            compared.intervals =
                differences.map(|(other, difference)| difference.and_then(|_| interval(other + 1, metric))).collect();
        }
    }

    /// Adds the values and the flags of later evaluations.
    pub(crate) fn append(&mut self, later: &Self) {
        let before = self.accuracy.values.len();
        for (own, later) in [
            (&mut self.accuracy, &later.accuracy),
            (&mut self.precision, &later.precision),
            (&mut self.recall, &later.recall),
            (&mut self.f1, &later.f1),
            (&mut self.average_precision, &later.average_precision),
            (&mut self.predicted_positive_rate, &later.predicted_positive_rate),
        ] {
            let first = own.values.first().copied().flatten();
            own.differences.extend(later.values.iter().map(|value| Some((*value)? - first?)));
            own.values.extend(&later.values);
        }
        self.flags.extend(later.flags.iter().filter_map(|flag| match *flag {
            // Against the first of the later ones, which is not the first of all.
            Flag::AccuracyGainWithF1Loss { .. } | Flag::DifferentLabels { .. } => None,
            Flag::Collapse { evaluation, predicted_positive_rate, prevalence } => {
                Some(Flag::Collapse { evaluation: evaluation + before, predicted_positive_rate, prevalence })
            }
        }));
        self.flags.extend(gains_with_losses(&self.accuracy, &self.f1).filter(|(other, ..)| *other >= before).map(flag));
    }

    /// One entry of `scores` per evaluation.
    fn new(name: &str, scores: &[Scores]) -> Self {
        let compared = |metric| Compared::new(scores.iter().map(|scores| scores.get(metric)).collect());
        let (accuracy, f1) = (compared(Metric::Accuracy), compared(Metric::F1));

        let mut flags = Vec::new();
        for (evaluation, scores) in scores.iter().enumerate() {
            if let Some((predicted_positive_rate, prevalence)) = scores.collapse() {
                flags.push(Flag::Collapse { evaluation, predicted_positive_rate, prevalence });
            }
        }
        flags.extend(gains_with_losses(&accuracy, &f1).map(flag));

        Self {
            name: name.to_owned(),
            precision: compared(Metric::Precision),
            recall: compared(Metric::Recall),
            average_precision: compared(Metric::AveragePrecision),
            predicted_positive_rate: compared(Metric::PredictedPositiveRate),
            changes: Vec::new(),
            accuracy,
            f1,
            flags,
        }
    }
}

impl Compared {
    fn new(values: Vec<Option<f64>>) -> Self {
        let first = values.first().copied().flatten();
        let differences = values.iter().skip(1).map(|value| Some((*value)? - first?)).collect();
        Self { values, differences, intervals: Vec::new() }
    }
}

/// The evaluations whose accuracy is above the first's and whose F1 is well below, with the gain and the loss.
fn gains_with_losses(accuracy: &Compared, f1: &Compared) -> impl Iterator<Item = (usize, f64, f64)> {
    let pairs = accuracy.differences.iter().zip(&f1.differences).enumerate();
    let known = pairs.filter_map(|(other, (accuracy, f1))| Some((other + 1, (*accuracy)?, -(*f1)?)));
    known.filter(|&(_, gain, loss)| gain > 0.0 && loss >= F1_LOSS_MARGIN).collect::<Vec<_>>().into_iter()
}

fn flag((evaluation, accuracy_gain, f1_loss): (usize, f64, f64)) -> Flag {
    Flag::AccuracyGainWithF1Loss { evaluation, accuracy_gain, f1_loss }
}

fn names(evaluation: &Evaluation) -> impl Iterator<Item = &str> {
    evaluation.attributes.iter().map(|metrics| metrics.attribute.as_str())
}

/// How the attributes of `other` differ from those of `reference`, if they do.
fn mismatch(reference: &Evaluation, name: &str, other: &Evaluation) -> Option<Mismatch> {
    let lacking = |of: &Evaluation, from: &Evaluation| -> Vec<String> {
        let there: HashSet<&str> = names(from).collect();
        names(of).filter(|name| !there.contains(name)).map(str::to_owned).collect()
    };
    let (missing, surplus) = (lacking(reference, other), lacking(other, reference));
    let differs = !missing.is_empty() || !surplus.is_empty();
    differs.then(|| Mismatch { evaluation: name.to_owned(), missing, surplus })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Predictions, Thresholds, evaluate};

    /// An evaluation with these counts of (true positives, false positives, true negatives, false negatives).
    fn evaluation(attributes: &[(&str, [usize; 4])]) -> Evaluation {
        let cells = [(0.9, true), (0.9, false), (0.1, false), (0.1, true)];
        let column = |counts: &[usize; 4]| -> Vec<(f32, bool)> {
            cells.iter().zip(counts).flat_map(|(&cell, &count)| std::iter::repeat_n(cell, count)).collect()
        };
        let columns: Vec<Vec<(f32, bool)>> = attributes.iter().map(|(_, counts)| column(counts)).collect();
        let (mut labels, mut probabilities) = (Vec::new(), Vec::new());
        for row in 0..columns[0].len() {
            for column in &columns {
                probabilities.push(column[row].0);
                labels.push(Some(column[row].1));
            }
        }
        let names = attributes.iter().map(|(name, _)| (*name).to_owned()).collect();
        let predictions = Predictions::new(names, labels, probabilities).unwrap();
        evaluate(&predictions, &Thresholds::fixed(0.5, attributes.len())).unwrap()
    }

    #[test]
    fn attributes_are_matched_by_name_and_a_collapse_is_flagged() {
        // Of 100 images 20 have the rare attribute. The second model calls it 5 times: accuracy up, F1 down.
        let first = evaluation(&[("Rare", [12, 10, 70, 8]), ("Common", [50, 10, 30, 10])]);
        let second = evaluation(&[("Common", [55, 5, 35, 5]), ("Rare", [5, 0, 80, 15])]);
        let comparison = Comparison::new(&[("first", &first), ("second", &second)]).unwrap();

        let [rare, common] = comparison.attributes.as_slice() else { panic!("two rows") };
        assert_eq!((rare.name.as_str(), common.name.as_str()), ("Rare", "Common"));
        assert_eq!(rare.recall.values, [Some(0.6), Some(0.25)]);
        assert!((rare.recall.differences[0].unwrap() + 0.35).abs() < 1e-12);
        assert_eq!(rare.flags.len(), 2);
        assert_eq!(rare.flags[0], Flag::Collapse { evaluation: 1, predicted_positive_rate: 0.05, prevalence: 0.2 });
        assert!(matches!(
            rare.flags[1],
            Flag::AccuracyGainWithF1Loss { evaluation: 1, accuracy_gain, f1_loss }
                if (accuracy_gain - 0.03).abs() < 1e-12 && (f1_loss - (24.0 / 42.0 - 0.4)).abs() < 1e-12
        ));
        assert!(common.flags.is_empty());
        assert_eq!(comparison.original.predicted_positive_rate.values, [None, None]);

        let json = serde_json::to_value(&comparison).unwrap();
        assert_eq!(json["attributes"][0]["flags"][0]["flag"], "collapse");
        assert_eq!(serde_json::from_value::<Comparison>(json).unwrap(), comparison);
        for metric in ComparedRow::METRICS {
            assert_eq!(rare.get(metric).unwrap().values[0], first.attributes[0].scores.get(metric));
        }
    }

    #[test]
    fn the_published_runs_are_flagged() {
        // The write-up's two models: accuracy rose from 0.8814 to 0.8892 while F1 fell from 0.6339 to 0.4740.
        let means = |accuracy, precision, recall, f1| Scores {
            accuracy: Some(accuracy),
            precision: Some(precision),
            recall: Some(recall),
            f1: Some(f1),
            ..Scores::default()
        };
        let row =
            ComparedRow::new("mean", &[means(0.8814, 0.6753, 0.6450, 0.6339), means(0.8892, 0.8560, 0.3908, 0.4740)]);
        assert!(matches!(row.flags.as_slice(), [Flag::AccuracyGainWithF1Loss { evaluation: 1, .. }]));
    }

    #[test]
    fn undefined_has_no_difference_and_raises_no_flag() {
        let first = evaluation(&[("Nobody", [0, 0, 10, 0])]);
        let second = evaluation(&[("Nobody", [0, 1, 9, 0])]);
        let comparison = Comparison::new(&[("first", &first), ("second", &second), ("third", &first)]).unwrap();
        let row = &comparison.attributes[0];
        assert_eq!(row.recall.differences, [None, None]);
        assert_eq!(row.precision.values, [None, Some(0.0), None]);
        assert_eq!(row.precision.differences, [None, None]);
        assert!(row.flags.is_empty());
    }

    #[test]
    fn other_images_are_flagged() {
        let first = evaluation(&[("a", [5, 0, 5, 0])]);
        let second = evaluation(&[("a", [6, 0, 4, 0])]);
        let comparison = Comparison::new(&[("first", &first), ("second", &second)]).unwrap();
        assert_eq!(comparison.attributes[0].flags, [Flag::DifferentLabels { evaluation: 1 }]);
    }

    #[test]
    fn attributes_without_a_match_are_refused_by_name() {
        let first = evaluation(&[("a", [1, 0, 1, 0]), ("b", [1, 0, 1, 0])]);
        let second = evaluation(&[("b", [1, 0, 1, 0]), ("c", [1, 0, 1, 0])]);
        let error = Comparison::new(&[("first", &first), ("second", &second)]).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("against \"first\": \"second\" lacks a and adds c"), "{message}");
        assert_eq!(Comparison::new(&[("first", &first)]), Err(Error::NothingToCompare { found: 1 }));
        assert_eq!(Comparison::new(&[]), Err(Error::NothingToCompare { found: 0 }));
    }
}
