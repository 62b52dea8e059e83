//! Several rows of one image as one sample.

use std::collections::BTreeMap;

use crate::label::Label;
use crate::sample::Sample;
use crate::table_options::Combine;

/// The rows of images that have more than one.
pub(super) struct Combination {
    combine: Combine,
    /// For each sample with several rows, the labels of all of them.
    rows: BTreeMap<usize, Vec<Sample>>,
}

impl Combination {
    pub(super) fn new(combine: Combine) -> Self {
        Combination { combine, rows: BTreeMap::new() }
    }

    /// Adds another row of the sample with the index `index`.
    pub(super) fn add(&mut self, index: usize, first: &mut Sample, other: Sample) {
        for (known, category) in first.categories.iter_mut().zip(&other.categories) {
            *known = known.take().or_else(|| category.clone());
        }
        first.identity = first.identity.take().or_else(|| other.identity.clone());
        self.rows.entry(index).or_insert_with(|| vec![first.clone()]).push(other);
    }

    /// Combines the labels of every image, and describes the result.
    pub(super) fn finish(self, samples: &mut [Sample]) -> String {
        let (mut judged, mut disputed, mut rows) = (0u64, 0u64, 0);
        let images = self.rows.len();
        for (index, group) in self.rows {
            rows += group.len();
            let sample = &mut samples[index];
            for attribute in 0..sample.labels.len() {
                let count = |wanted| group.iter().filter(|row| row.labels[attribute] == wanted).count();
                let (present, absent) = (count(Label::Present), count(Label::Absent));
                judged += u64::from(present + absent > 1);
                disputed += u64::from(present > 0 && absent > 0);
                sample.labels[attribute] = combined(self.combine, present, absent);
            }
            if group.iter().any(|row| row.soft.is_some()) {
                combine_probabilities(self.combine, sample, &group);
            }
        }
        if images == 0 {
            return String::new();
        }
        let share = 100.0 * disputed as f64 / judged.max(1) as f64;
        format!(
            "; {rows} rows of {images} images combined ({}), which disagree in {disputed} of {judged} labels ({share:.1} %)",
            match self.combine {
                Combine::Any => "present where any says so",
                Combine::Majority => "by majority",
                Combine::Unknown => "unknown where they disagree",
            }
        )
    }
}

fn combined(combine: Combine, present: usize, absent: usize) -> Label {
    match combine {
        _ if present + absent == 0 => Label::Unknown,
        Combine::Any => Label::from(present > 0),
        Combine::Majority if present == absent => Label::Unknown,
        Combine::Majority => Label::from(present > absent),
        Combine::Unknown if present > 0 && absent > 0 => Label::Unknown,
        Combine::Unknown => Label::from(present > 0),
    }
}

/// Combines probabilities: the greatest, or the mean where the label is known.
fn combine_probabilities(combine: Combine, sample: &mut Sample, rows: &[Sample]) {
    let combined = |attribute: usize| {
        let known = rows.iter().map(|row| row.probability(attribute)).filter(|probability| !probability.is_nan());
        let known: Vec<f32> = known.collect();
        match combine {
            _ if known.is_empty() => f32::NAN,
            Combine::Any => known.into_iter().fold(0.0, f32::max),
            Combine::Unknown if sample.labels[attribute] == Label::Unknown => f32::NAN,
            Combine::Majority | Combine::Unknown => known.iter().sum::<f32>() / known.len() as f32,
        }
    };
    let soft: Box<[f32]> = (0..sample.labels.len()).map(combined).collect();
    let label =
        |probability: &f32| if probability.is_nan() { Label::Unknown } else { Label::from(*probability >= 0.5) };
    sample.labels = soft.iter().map(label).collect();
    sample.soft = Some(soft);
}
