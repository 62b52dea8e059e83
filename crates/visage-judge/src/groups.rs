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

/// Images parted to be judged apart: those that have an attribute and those that lack it, or those of each value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// The attribute or column.
    pub name: String,
    /// The names of its groups.
    pub values: Vec<String>,
    /// The number of each image's group, where it is known.
    pub members: Vec<Option<usize>>,
}

impl Grouping {
    /// Those that have an attribute, called `present`, and those that lack it, called `absent`.
    #[must_use]
    pub fn by_attribute(name: &str, labels: impl Iterator<Item = Option<bool>>) -> Self {
        Self {
            name: name.to_owned(),
            values: ["present", "absent"].map(str::to_owned).to_vec(),
            members: labels.map(|label| label.map(|present| usize::from(!present))).collect(),
        }
    }

    /// Those of each value, in the order of the values' names.
    #[must_use]
    pub fn by_value<'a>(name: &str, values: impl Iterator<Item = Option<&'a str>>) -> Self {
        let of: Vec<Option<&str>> = values.collect();
        let mut names: Vec<&str> = of.iter().copied().flatten().collect();
        names.sort_unstable();
        names.dedup();
        Self {
            name: name.to_owned(),
            members: of.iter().map(|value| names.binary_search(&(*value)?).ok()).collect(),
            values: names.into_iter().map(str::to_owned).collect(),
        }
    }

    /// The pairs to compare: the two groups there are, or each with all others.
    fn pairs(&self) -> Vec<[Part; 2]> {
        match self.values.len() {
            0 | 1 => Vec::new(),
            2 => vec![[Part::Of(0), Part::Of(1)]],
            several => (0..several).map(|value| [Part::Of(value), Part::NotOf(value)]).collect(),
        }
    }

    fn holds(&self, part: Part, image: usize) -> bool {
        let member = self.members.get(image).copied().flatten();
        match part {
            Part::Of(value) => member == Some(value),
            Part::NotOf(value) => member.is_some_and(|member| member != value),
        }
    }

    fn part_name(&self, part: Part) -> String {
        match part {
            Part::Of(value) => self.values[value].clone(),
            Part::NotOf(_) => "the others".to_owned(),
        }
    }
}

/// One group, or all others of known group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Of(usize),
    NotOf(usize),
}

/// The images of one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The attribute or column that makes the groups.
    pub group: String,
    /// Which of its groups: `present` or `absent` for an attribute.
    pub value: String,
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

/// How much better, or more, a metric is on one group than on another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// The attribute or column that makes the groups.
    pub group: String,
    /// The one group.
    pub value: String,
    /// The other; all others together where there are more than two.
    pub other: String,
    /// What ought to be alike.
    pub criterion: Criterion,
    /// The attribute judged; `None` for the mean size of the gap over those with cases enough, whatever its sign.
    pub attribute: Option<String>,
    /// The metric in the one group and in the other; undefined for the mean.
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

    /// The two groups, as a reader calls them: `Male: present`, `absent`.
    #[must_use]
    pub fn sides(&self) -> [String; 2] {
        [format!("{}: {}", self.group, self.value), self.other.clone()]
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

/// One part of the images, judged.
struct Member {
    part: Part,
    evaluation: Evaluation,
    replicates: Vec<Replicate>,
}

/// Judges apart the groups of each of `by`.
///
/// # Errors
///
/// As [`evaluate`] and [`Judged::new`].
pub fn judge_groups(
    predictions: &Predictions,
    thresholds: &Thresholds,
    by: &[Grouping],
    resampling: &Resampling<'_>,
) -> Result<(Vec<Group>, Vec<Gap>), Error> {
    let (mut groups, mut gaps) = (Vec::new(), Vec::new());
    for grouping in by {
        let mut parts: Vec<Part> = (0..grouping.values.len()).map(Part::Of).collect();
        parts
            .extend(grouping.pairs().into_iter().map(|[_, other]| other).filter(|part| matches!(part, Part::NotOf(_))));
        let judged =
            parts.iter().map(|&part| Judged::new(predictions, thresholds, |image| grouping.holds(part, image)));
        let replicates = resample(&judged.collect::<Result<Vec<_>, _>>()?, resampling)?;
        let members = parts.into_iter().zip(replicates).map(|(part, replicates)| {
            let evaluation = evaluate(&predictions.rows(|image| grouping.holds(part, image)), thresholds)?;
            Ok(Member { part, evaluation, replicates })
        });
        let members = members.collect::<Result<Vec<_>, Error>>()?;

        groups.extend(members.iter().take(grouping.values.len()).map(|member| {
            let Evaluation { images, macro_average, .. } = &member.evaluation;
            let interval = |metric| {
                let drawn = member.replicates.iter().map(|replicate| replicate.macro_average.get(metric));
                Interval::of_metric(metric, macro_average.get(metric), drawn)
            };
            Group {
                group: grouping.name.clone(),
                value: grouping.part_name(member.part),
                images: *images,
                macro_average: *macro_average,
                intervals: Metric::ALL.into_iter().filter_map(|metric| Some((metric, interval(metric)?))).collect(),
                too_small: (*images as u64) < SMALL_GROUP,
            }
        }));
        let member = |part: Part| members.iter().find(|member| member.part == part);
        for [one, other] in grouping.pairs() {
            if let (Some(one), Some(other)) = (member(one), member(other)) {
                for criterion in Criterion::ALL {
                    gaps.extend(gaps_of(grouping, criterion, [one, other]));
                }
            }
        }
    }
    Ok((groups, gaps))
}

/// The mean gap, then the gap of each attribute but the one that makes the groups.
fn gaps_of(grouping: &Grouping, criterion: Criterion, sides: [&Member; 2]) -> Vec<Gap> {
    let metric = criterion.metric();
    let [value, other] = sides.map(|side| grouping.part_name(side.part));
    let gap = |attribute| Gap {
        group: grouping.name.clone(),
        value: value.clone(),
        other: other.clone(),
        criterion,
        attribute,
        values: [None; 2],
        difference: None,
        interval: None,
        cases: [0; 2],
        too_small: false,
    };
    let [one_drawn, other_drawn] = sides.map(|side| side.replicates.as_slice());
    let drawn = |column: usize| {
        let pairs = one_drawn.iter().zip(other_drawn);
        pairs.map(move |(one, other)| Some(one.attributes[column].get(metric)? - other.attributes[column].get(metric)?))
    };
    let names = sides[0].evaluation.attributes.iter().map(|metrics| metrics.attribute.as_str()).enumerate();
    let gaps: Vec<(usize, Gap)> = names
        .filter(|(_, name)| *name != grouping.name)
        .map(|(column, name)| {
            let metrics = sides.map(|side| &side.evaluation.attributes[column]);
            let values = metrics.map(|metrics| metrics.scores.get(metric));
            let cases = metrics.map(|metrics| match criterion {
                Criterion::EqualOpportunity => metrics.positives,
                Criterion::PredictiveParity => metrics.confusion.predicted_positives(),
                Criterion::DemographicParity => metrics.support,
            });
            let difference = values[0].zip(values[1]).map(|(one, other)| one - other);
            let gap = Gap {
                values,
                difference,
                interval: difference.and_then(|_| Interval::of(drawn(column))),
                cases,
                too_small: cases.iter().any(|&cases| cases < SMALL_GROUP),
                ..gap(Some(name.to_owned()))
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
    let of_replicate = |(one, other): (&Replicate, &Replicate)| {
        mean(
            &mut enough
                .iter()
                .map(|&column| Some(one.attributes[column].get(metric)? - other.attributes[column].get(metric)?)),
        )
    };
    let overall = Gap {
        difference,
        interval: difference.and_then(|_| Interval::of(one_drawn.iter().zip(other_drawn).map(of_replicate))),
        cases: [enough.len() as u64; 2],
        too_small: enough.is_empty(),
        ..gap(None)
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
        let by = [Grouping::by_attribute("group", (0..200).map(|image| (image != 7).then_some(image < 100)))];
        let draw = |number: u64, weights: &mut [u16]| {
            let mut state = (number + 1) * 16_807 % 2_147_483_647;
            for _ in 0..weights.len() {
                state = state * 16_807 % 2_147_483_647;
                weights[state as usize % weights.len()] += 1;
            }
        };
        let resampling = Resampling { replicates: 200, draw: &draw };
        let (groups, gaps) = judge_groups(&predictions, &Thresholds::fixed(0.5, 3), &by, &resampling).unwrap();
        assert_eq!(
            groups.iter().map(|group| (group.value.as_str(), group.images)).collect::<Vec<_>>(),
            [("present", 99), ("absent", 100)]
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

    #[test]
    fn each_of_several_groups_is_compared_with_the_others() {
        // 50 images are of the young, 50 of the old, 50 of nobody knows whom, 30 of those between. All have the attribute, and
        // it is found but on every second of the old.
        let ages = |image: usize| [Some("young"), Some("old"), None, Some("middle")][image / 50];
        let grouping = Grouping::by_value("age", (0..180).map(ages));
        assert_eq!(grouping.values, ["middle", "old", "young"]);
        let says = |image: usize| if ages(image) == Some("old") && image.is_multiple_of(2) { 0.1 } else { 0.9 };
        let predictions =
            Predictions::new(vec!["a".into()], vec![Some(true); 180], (0..180).map(says).collect()).unwrap();
        let draw = |_: u64, weights: &mut [u16]| weights.fill(1);
        let resampling = Resampling { replicates: 4, draw: &draw };
        let (groups, gaps) = judge_groups(&predictions, &Thresholds::fixed(0.5, 1), &[grouping], &resampling).unwrap();
        assert_eq!(groups.iter().map(|group| group.images).collect::<Vec<_>>(), [30, 50, 50]);
        let recalls: Vec<_> = gaps
            .iter()
            .filter(|gap| gap.criterion == Criterion::EqualOpportunity && gap.attribute.is_some())
            .map(|gap| (gap.sides(), gap.cases, gap.difference.unwrap()))
            .collect();
        let sides = |value: &str| [format!("age: {value}"), "the others".to_owned()];
        assert_eq!(recalls[0], (sides("middle"), [30, 100], 1.0 - 0.75));
        assert_eq!(recalls[1], (sides("old"), [50, 80], -0.5));
        assert_eq!(recalls[2], (sides("young"), [50, 80], 1.0 - 55.0 / 80.0));
    }
}
