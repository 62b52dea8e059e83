//! Which values the tensors of a graph take, on images it is to be calibrated on.

use std::collections::HashMap;

use super::execute::Session;
use super::tensor::Array;
use crate::error::GraphError;

/// Bins of a histogram.
const BINS: usize = 2048;

/// The share of a tensor's values, at each end, that its range leaves out: one in 100,000. Of the ranges tried (all values; all but
/// this share, ten times and a hundred times as many; the least squares of what rounding and clipping lose) it moves
/// probabilities least.
const LEFT_OUT: f64 = 1e-5;

/// The least and the greatest value that a tensor is to hold in 8 bits, by its name; 0 is always among them.
#[derive(Clone, Debug)]
pub(super) struct Ranges(HashMap<String, [f32; 2]>);

/// The values of one tensor.
#[derive(Clone, Debug)]
struct Seen {
    low: f32,
    high: f32,
    /// How many lie in each of equal parts from `low` to `high`; those that are 0, which every range holds exactly, not counted.
    bins: Vec<u64>,
}

impl Ranges {
    /// Computes the graph on `batches` twice: once for the extremes, once for what lies between.
    ///
    /// # Errors
    ///
    /// [`GraphError`] where it cannot be computed.
    pub(super) fn seen(graph: &Session, batches: &[Array]) -> Result<Self, GraphError> {
        let mut seen: HashMap<String, Seen> = HashMap::new();
        for batch in batches {
            graph.run_seen(batch.clone(), |name, array| {
                let Some(values) = array.as_floats() else { return };
                let entry = seen.entry(name.to_owned());
                let entry = entry.or_insert_with(|| Seen { low: 0.0, high: 0.0, bins: Vec::new() });
                // Infinite and undefined values would leave no step for the others.
                for &value in values.iter().filter(|value| value.is_finite()) {
                    (entry.low, entry.high) = (entry.low.min(value), entry.high.max(value));
                }
            })?;
        }
        for batch in batches {
            graph.run_seen(batch.clone(), |name, array| {
                if let (Some(values), Some(seen)) = (array.as_floats(), seen.get_mut(name)) {
                    seen.count(values);
                }
            })?;
        }
        Ok(Self(seen.into_iter().map(|(name, seen)| (name, seen.range())).collect()))
    }

    /// The range of a tensor.
    pub(super) fn of(&self, name: &str) -> Option<[f32; 2]> {
        self.0.get(name).copied()
    }
}

impl Seen {
    fn count(&mut self, values: &[f32]) {
        self.bins.resize(BINS, 0);
        let scale = BINS as f32 / (self.high - self.low).max(f32::MIN_POSITIVE);
        for &value in values.iter().filter(|&&value| value != 0.0 && value.is_finite()) {
            self.bins[(((value - self.low) * scale) as usize).min(BINS - 1)] += 1;
        }
    }

    /// From the least to the greatest but for [`LEFT_OUT`] at each end, 0 among them.
    fn range(&self) -> [f32; 2] {
        let most = (self.bins.iter().sum::<u64>() as f64 * LEFT_OUT) as u64;
        // How many bins at an end may go.
        let cut = |bins: &mut dyn Iterator<Item = &u64>| {
            let mut lost = 0;
            let goes = |count: &&u64| {
                lost += **count;
                lost <= most
            };
            bins.take_while(goes).count() as f32
        };
        let width = (self.high - self.low) / BINS as f32;
        let low = self.low + width * cut(&mut self.bins.iter());
        let high = self.high - width * cut(&mut self.bins.iter().rev());
        [low.min(0.0), high.max(0.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_leaves_out_one_in_a_hundred_thousand_at_each_end() {
        // 100,000 values that are not 0, from -1 to 3, and one far away.
        let mut values: Vec<f32> = (0..100_000).map(|index| (index as f32 + 0.5) / 25_000.0 - 1.0).collect();
        values.extend([0.0; 100_000]);
        let of = |values: &[f32]| {
            let mut seen = Seen { low: 0.0, high: 0.0, bins: Vec::new() };
            for &value in values {
                (seen.low, seen.high) = (seen.low.min(value), seen.high.max(value));
            }
            seen.count(values);
            seen.range()
        };
        let [low, high] = of(&values);
        assert!((low + 1.0).abs() < 0.01 && (high - 3.0).abs() < 0.01, "{low} {high}");
        values.push(1000.0);
        let [low, high] = of(&values);
        assert!((-1.0..=0.0).contains(&low) && (3.0..4.0).contains(&high), "{low} {high}");
        // Behind a ReLU there is nothing below 0, and of a tensor that is always 0 nothing at all.
        assert_eq!(of(&[0.0, 5.0, 5.0])[0], 0.0);
        assert_eq!(of(&[0.0, 0.0]), [0.0, 0.0]);
    }
}
