//! Whether a model serves groups of images alike.

use serde::{Deserialize, Serialize};

use crate::bootstrap::{Judged, Replicate, resample};
use crate::{
    Error, Evaluation, Interval, Metric, Predictions, Resampling, ScoreIntervals, Scores, Thresholds, evaluate,
};

/// A share of fewer cases than this is too uncertain for a gap to be told from chance, whatever its interval says.
pub const SMALL_GROUP: u64 = 30;

/// A way in which two groups can be served alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// Of those who have an attribute, as many are found: equal recall (Hardt et al., 2016).
    EqualOpportunity,
    /// Of those said to have it, as many have it: equal precision (Chouldechova, 2017).
    PredictiveParity,
    /// As many are said to have it, whether they do or not. Groups in which it is not equally common cannot meet all three.
    DemographicParity,
}

impl Criterion {
    /// The three.
    pub const ALL: [Self; 3] = [Self::EqualOpportunity, Self::PredictiveParity, Self::DemographicParity];

    /// What has to be equal.
    #[must_use]
    pub fn metric(self) -> Metric {
        match self {
            Self::EqualOpportunity => Metric::Recall,
            Self::PredictiveParity => Metric::Precision,
            Self::DemographicParity => Metric::PredictedPositiveRate,
        }
    }

    /// What a reader calls it.
    #[must_use]
    pub fn heading(self) -> &'static str {
        match self {
            Self::EqualOpportunity => "equal opportunity",
            Self::PredictiveParity => "predictive parity",
            Self::DemographicParity => "demographic parity",
        }
    }
}

/// The images that have an attribute, or lack it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The attribute.
    pub attribute: String,
    /// Whether they have it.
    pub present: bool,
    /// How many they are.
    pub images: usize,
    /// Each metric's mean over the attributes where it is defined.
    pub macro_average: Scores,
    /// The intervals of those means.
    #[serde(default)]
    pub intervals: ScoreIntervals,
    /// Whether there are fewer than [`SMALL_GROUP`] images.
    #[serde(default)]
    pub too_small: bool,
}

/// How much better, or more, a metric is on the images that have an attribute than on those that lack it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// The attribute that makes the groups.
    pub group: String,
    /// What ought to be alike.
    pub criterion: Criterion,
    /// The attribute judged; `None` for the mean size of the gap over those with cases enough, whatever its sign.
    pub attribute: Option<String>,
    /// The metric where `group` is present and where it is absent; undefined for the mean.
    pub values: [Option<f64>; 2],
    /// The first less the second.
    pub difference: Option<f64>,
    /// Its bootstrap interval.
    pub interval: Option<Interval>,
    /// How many cases each value is a share of; for the mean, how many attributes have enough, twice.
    pub cases: [u64; 2],
    /// Whether either has fewer than [`SMALL_GROUP`].
    pub too_small: bool,
}

impl Gap {
    /// Whether there are cases enough and the interval holds no 0.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        !self.too_small && self.interval.is_some_and(|interval| !interval.contains(0.0))
    }
}

/// The gaps in how well attributes are found that are more than chance, the widest first. Who is said to have what may well
/// differ between groups; who is served badly should not: demographic parity is left out.
#[must_use]
pub fn widest_gaps(gaps: &[Gap]) -> Vec<&Gap> {
    let counts =
        |gap: &&Gap| gap.attribute.is_some() && gap.criterion != Criterion::DemographicParity && gap.is_clear();
    let mut widest: Vec<&Gap> = gaps.iter().filter(counts).collect();
    let size = |gap: &Gap| gap.difference.unwrap_or(0.0).abs();
    widest.sort_by(|a, b| size(b).total_cmp(&size(a)));
    widest
}

/// Judges apart the images that have, and that lack, each attribute of `by`: its name, and whether each image has it,
/// which may be unknown.
///
/// # Errors
///
/// As [`evaluate`] and [`Judged::new`].
pub fn judge_groups(
    predictions: &Predictions,
    thresholds: &Thresholds,
    by: &[(String, Vec<Option<bool>>)],
    resampling: &Resampling<'_>,
) -> Result<(Vec<Group>, Vec<Gap>), Error> {
    let parts: Vec<(&str, bool, &[Option<bool>])> = by
        .iter()
        .flat_map(|(name, membership)| [true, false].map(|present| (name.as_str(), present, membership.as_slice())))
        .collect();
    let is_in = |membership: &[Option<bool>], image: usize, present| membership.get(image) == Some(&Some(present));
    let judged = parts.iter().map(|&(_, present, membership)| {
        Judged::new(predictions, thresholds, |image| is_in(membership, image, present))
    });
    let replicates = resample(&judged.collect::<Result<Vec<_>, _>>()?, resampling)?;
    let evaluations = parts.iter().map(|&(_, present, membership)| {
        evaluate(&predictions.rows(|image| is_in(membership, image, present)), thresholds)
    });
    let evaluations = evaluations.collect::<Result<Vec<_>, _>>()?;

    let groups = parts.iter().zip(&evaluations).zip(&replicates).map(|((&(name, present, _), evaluation), drawn)| {
        let interval = |metric| Interval::of(drawn.iter().map(|replicate| replicate.macro_average.get(metric)));
        Group {
            attribute: name.to_owned(),
            present,
            images: evaluation.images,
            macro_average: evaluation.macro_average,
            intervals: Metric::ALL.into_iter().filter_map(|metric| Some((metric, interval(metric)?))).collect(),
            too_small: (evaluation.images as u64) < SMALL_GROUP,
        }
    });
    let groups = groups.collect();
    let mut gaps = Vec::new();
    for (number, (name, _)) in by.iter().enumerate() {
        let pair = [2 * number, 2 * number + 1];
        for criterion in Criterion::ALL {
            let (evaluations, replicates) =
                (pair.map(|part| &evaluations[part]), pair.map(|part| &replicates[part][..]));
            gaps.extend(gaps_of(name, criterion, evaluations, replicates));
        }
    }
    Ok((groups, gaps))
}

/// The mean gap, then the gap of each attribute but the one that makes the groups.
fn gaps_of(
    group: &str,
    criterion: Criterion,
    evaluations: [&Evaluation; 2],
    replicates: [&[Replicate]; 2],
) -> Vec<Gap> {
    let metric = criterion.metric();
    let drawn = |column: usize| {
        let pairs = replicates[0].iter().zip(replicates[1]);
        pairs.map(move |(present, absent)| {
            Some(present.attributes[column].get(metric)? - absent.attributes[column].get(metric)?)
        })
    };
    let names = evaluations[0].attributes.iter().map(|metrics| metrics.attribute.as_str()).enumerate();
    let gaps: Vec<(usize, Gap)> = names
        .filter(|(_, name)| *name != group)
        .map(|(column, name)| {
            let metrics = evaluations.map(|evaluation| &evaluation.attributes[column]);
            let values = metrics.map(|metrics| metrics.scores.get(metric));
            let cases = metrics.map(|metrics| match criterion {
                Criterion::EqualOpportunity => metrics.positives,
                Criterion::PredictiveParity => metrics.confusion.predicted_positives(),
                Criterion::DemographicParity => metrics.support,
            });
            let difference = values[0].zip(values[1]).map(|(present, absent)| present - absent);
            let gap = Gap {
                group: group.to_owned(),
                criterion,
                attribute: Some(name.to_owned()),
                values,
                difference,
                interval: difference.and_then(|_| Interval::of(drawn(column))),
                cases,
                too_small: cases.iter().any(|&cases| cases < SMALL_GROUP),
            };
            (column, gap)
        })
        .collect();

    let enough: Vec<usize> = gaps.iter().filter(|(_, gap)| !gap.too_small).map(|(column, _)| *column).collect();
    let mean = |sizes: &mut dyn Iterator<Item = Option<f64>>| -> Option<f64> {
        let (sum, count) = sizes.flatten().fold((0.0, 0), |(sum, count), size: f64| (sum + size.abs(), count + 1));
        (count > 0).then(|| sum / f64::from(count))
    };
    let difference = mean(&mut gaps.iter().filter(|(_, gap)| !gap.too_small).map(|(_, gap)| gap.difference));
    let of_replicate = |replicate: usize| {
        let [present, absent] = replicates.map(|drawn| &drawn[replicate]);
        mean(
            &mut enough
                .iter()
                .map(|&column| Some(present.attributes[column].get(metric)? - absent.attributes[column].get(metric)?)),
        )
    };
    let overall = Gap {
        group: group.to_owned(),
        criterion,
        attribute: None,
        values: [None; 2],
        difference,
        interval: difference.and_then(|_| Interval::of((0..replicates[0].len()).map(of_replicate))),
        cases: [enough.len() as u64; 2],
        too_small: enough.is_empty(),
    };
    std::iter::once(overall).chain(gaps.into_iter().map(|(_, gap)| gap)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_differences_between_those_who_have_it_and_those_who_do_not() {
        // 200 images, the first half of the group. Of `a`, 50 in each half are present; 40 of the one and 20 of the other
        // are found, and nothing false. `b` is rare.
        let labels = |image: usize| [Some(image < 100), Some(image.is_multiple_of(2)), Some(image.is_multiple_of(50))];
        let found = |image: usize| image.is_multiple_of(2) && image % 100 < if image < 100 { 80 } else { 40 };
        let says = |image: usize| [0.9, if found(image) { 0.9 } else { 0.1 }, 0.9];
        let predictions = Predictions::new(
            ["group", "a", "b"].map(str::to_owned).to_vec(),
            (0..200).flat_map(labels).collect(),
            (0..200).flat_map(says).collect(),
        )
        .unwrap();
        let membership = (0..200).map(|image| (image != 7).then_some(image < 100)).collect();
        let draw = |number: u64, weights: &mut [u16]| {
            let mut state = (number + 1) * 16_807 % 2_147_483_647;
            for _ in 0..weights.len() {
                state = state * 16_807 % 2_147_483_647;
                weights[state as usize % weights.len()] += 1;
            }
        };
        let by = [("group".to_owned(), membership)];
        let resampling = Resampling { replicates: 200, draw: &draw };
        let (groups, gaps) = judge_groups(&predictions, &Thresholds::fixed(0.5, 3), &by, &resampling).unwrap();
        assert_eq!(
            groups.iter().map(|group| (group.present, group.images)).collect::<Vec<_>>(),
            [(true, 99), (false, 100)]
        );
        let gap = |criterion: Criterion, attribute: Option<&str>| {
            gaps.iter().find(|gap| (gap.criterion, gap.attribute.as_deref()) == (criterion, attribute)).unwrap()
        };
        let recall = gap(Criterion::EqualOpportunity, Some("a"));
        assert_eq!((recall.values, recall.cases), ([Some(0.8), Some(0.4)], [50, 50]));
        assert!((recall.difference.unwrap() - 0.4).abs() < 1e-12 && recall.is_clear(), "{recall:?}");
        let interval = recall.interval.unwrap();
        assert!(interval.contains(0.4) && interval.low > 0.15 && interval.high < 0.65, "{interval:?}");
        let rare = gap(Criterion::EqualOpportunity, Some("b"));
        assert!(rare.too_small && !rare.is_clear() && rare.cases == [2, 2], "{rare:?}");
        let mean = gap(Criterion::EqualOpportunity, None);
        assert_eq!((mean.cases, mean.difference), ([1, 1], recall.difference));
        assert!(
            gaps.iter().all(|gap| gap.attribute.as_deref() != Some("group")),
            "the group itself differs by definition"
        );
        assert_eq!(gap(Criterion::PredictiveParity, Some("a")).difference, Some(0.0));
    }
}
