//! Fairness gaps between two groups.

use serde::{Deserialize, Serialize};

use crate::bootstrap::{Interval, Replicate};
use crate::evaluation::{AttributeMetrics, Evaluation};
use crate::scores::Metric;

/// The smallest number of cases on either side for which a gap can be significant, whatever its interval.
pub const SMALL_GROUP: u64 = 30;

/// A fairness criterion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// Equal recall: the same share of the images with the attribute is predicted positive (Hardt et al., 2016).
    EqualOpportunity,
    /// Equal precision: the same share of the positive predictions is right (Chouldechova, 2017).
    PredictiveParity,
    /// Equal predicted-positive rate, whatever the labels. Groups of different prevalence cannot meet all three criteria.
    DemographicParity,
}

impl Criterion {
    /// All criteria.
    pub const ALL: [Self; 3] = [Self::EqualOpportunity, Self::PredictiveParity, Self::DemographicParity];

    /// The metric that has to be equal.
    pub fn metric(self) -> Metric {
        match self {
            Self::EqualOpportunity => Metric::Recall,
            Self::PredictiveParity => Metric::Precision,
            Self::DemographicParity => Metric::PredictedPositiveRate,
        }
    }

    /// Its name in a table.
    pub fn heading(self) -> &'static str {
        match self {
            Self::EqualOpportunity => "equal opportunity",
            Self::PredictiveParity => "predictive parity",
            Self::DemographicParity => "demographic parity",
        }
    }

    /// The number of labels or decisions that the metric is a share of.
    fn cases(self, metrics: &AttributeMetrics) -> u64 {
        match self {
            Self::EqualOpportunity => metrics.positives,
            Self::PredictiveParity => metrics.confusion.predicted_positives(),
            Self::DemographicParity => metrics.support,
        }
    }
}

/// The difference of a metric between two groups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Name of the attribute or column that defines the groups.
    pub group: String,
    /// The first group.
    pub value: String,
    /// The second group; all others together where there are more than two.
    pub other: String,
    /// The criterion.
    pub criterion: Criterion,
    /// The attribute; `None` for the mean absolute gap over the attributes with enough cases.
    pub attribute: Option<String>,
    /// The metric in both groups; undefined for the mean.
    pub values: [Option<f64>; 2],
    /// The first value minus the second.
    pub difference: Option<f64>,
    /// Its bootstrap interval.
    pub interval: Option<Interval>,
    /// The number of cases that each value is a share of; for the mean, the number of attributes with enough cases, twice.
    pub cases: [u64; 2],
    /// Whether either number of cases is below [`SMALL_GROUP`].
    pub too_small: bool,
}

impl Gap {
    /// Whether there are enough cases and the interval excludes 0.
    pub fn is_significant(&self) -> bool {
        !self.too_small && self.interval.is_some_and(|interval| !interval.contains(0.0))
    }

    /// Names of both groups: `Male: present`, `absent`.
    pub fn sides(&self) -> [String; 2] {
        [format!("{}: {}", self.group, self.value), self.other.clone()]
    }
}

/// The significant gaps in recall and precision of attributes, the widest first. Demographic parity is left out, because groups
/// may truly differ in prevalence.
pub fn widest_gaps(gaps: &[Gap]) -> Vec<&Gap> {
    let included =
        |gap: &&Gap| gap.attribute.is_some() && gap.criterion != Criterion::DemographicParity && gap.is_significant();
    let mut widest: Vec<&Gap> = gaps.iter().filter(included).collect();
    let size = |gap: &Gap| gap.difference.unwrap_or(0.0).abs();
    widest.sort_by(|a, b| size(b).total_cmp(&size(a)));
    widest
}

pub(super) struct Side {
    pub name: String,
    pub evaluation: Evaluation,
    pub replicates: Vec<Replicate>,
}

/// The mean gap between two sides, then the gap of each attribute except the one that defines the groups.
pub(super) fn gaps_between(grouping: &str, criterion: Criterion, sides: [&Side; 2]) -> Vec<Gap> {
    let metric = criterion.metric();
    let template = Gap {
        group: grouping.to_owned(),
        value: sides[0].name.clone(),
        other: sides[1].name.clone(),
        criterion,
        attribute: None,
        values: [None; 2],
        difference: None,
        interval: None,
        cases: [0; 2],
        too_small: false,
    };
    let difference = |column: usize, [one, other]: [&Replicate; 2]| {
        Some(one.attributes[column].get(metric)? - other.attributes[column].get(metric)?)
    };
    let pairs = || sides[0].replicates.iter().zip(&sides[1].replicates).map(|(one, other)| [one, other]);
    let columns = sides[0].evaluation.attributes.iter().map(|metrics| metrics.attribute.as_str()).enumerate();
    let gaps: Vec<(usize, Gap)> = columns
        .filter(|(_, name)| *name != grouping)
        .map(|(column, name)| {
            let metrics = sides.map(|side| &side.evaluation.attributes[column]);
            let values = metrics.map(|metrics| metrics.scores.get(metric));
            let cases = metrics.map(|metrics| criterion.cases(metrics));
            let estimate = values[0].zip(values[1]).map(|(one, other)| one - other);
            let gap = Gap {
                attribute: Some(name.to_owned()),
                values,
                difference: estimate,
                interval: estimate.and_then(|_| Interval::percentile(pairs().map(|pair| difference(column, pair)))),
                cases,
                too_small: cases.iter().any(|&cases| cases < SMALL_GROUP),
                ..template.clone()
            };
            (column, gap)
        })
        .collect();

    let enough: Vec<&(usize, Gap)> = gaps.iter().filter(|(_, gap)| !gap.too_small).collect();
    let estimate = mean_size(enough.iter().map(|(_, gap)| gap.difference));
    let of_replicates = |pair| mean_size(enough.iter().map(|(column, _)| difference(*column, pair)));
    let mean = Gap {
        difference: estimate,
        interval: estimate.and_then(|_| Interval::percentile(pairs().map(of_replicates))),
        cases: [enough.len() as u64; 2],
        too_small: enough.is_empty(),
        ..template
    };
    std::iter::once(mean).chain(gaps.into_iter().map(|(_, gap)| gap)).collect()
}

/// The mean absolute value of the defined differences.
fn mean_size(differences: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) = differences.flatten().fold((0.0, 0), |(sum, count), size| (sum + size.abs(), count + 1));
    (count > 0).then(|| sum / f64::from(count))
}
