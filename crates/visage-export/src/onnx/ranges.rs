//! The ranges of a graph's activations on calibration images.

use std::collections::HashMap;

use super::execute::Session;
use super::tensor::Array;
use crate::error::GraphError;

const BINS: usize = 2048;

/// The fraction of a tensor's values that are clipped at each end: one in 100,000. Of the rules that were tried (no clipping; this
/// fraction, ten times and a hundred times as much; the least squared error of rounding and clipping) it changes probabilities least.
const CLIPPED: f64 = 1e-5;

/// The smallest and the largest value that a tensor represents in 8 bits, by the tensor's name. Every range contains 0.
#[derive(Clone, Debug)]
pub(super) struct Ranges(HashMap<String, [f32; 2]>);

#[derive(Clone, Debug)]
struct Histogram {
    low: f32,
    high: f32,
    /// The number of values in each of equal intervals from `low` to `high`. Zeros are not counted: every range represents them
    /// exactly.
    bins: Vec<u64>,
}

impl Ranges {
    /// Runs the graph on `batches` twice: first for the extremes, then for the histograms between them.
    pub(super) fn observe(graph: &Session, batches: &[Array]) -> Result<Self, GraphError> {
        let mut histograms: HashMap<String, Histogram> = HashMap::new();
        for batch in batches {
            graph.run_observed(batch.clone(), |name, array| {
                let Some(values) = array.as_floats() else { return };
                let entry = histograms.entry(name.to_owned());
                let entry = entry.or_insert_with(|| Histogram { low: 0.0, high: 0.0, bins: Vec::new() });
                // Infinity and NaN would leave no steps for the other values.
                for &value in values.iter().filter(|value| value.is_finite()) {
                    (entry.low, entry.high) = (entry.low.min(value), entry.high.max(value));
                }
            })?;
        }
        for batch in batches {
            graph.run_observed(batch.clone(), |name, array| {
                if let (Some(values), Some(histogram)) = (array.as_floats(), histograms.get_mut(name)) {
                    histogram.count(values);
                }
            })?;
        }
        Ok(Self(histograms.into_iter().map(|(name, histogram)| (name, histogram.range())).collect()))
    }

    pub(super) fn of(&self, name: &str) -> Option<[f32; 2]> {
        self.0.get(name).copied()
    }
}

impl Histogram {
    fn count(&mut self, values: &[f32]) {
        self.bins.resize(BINS, 0);
        let scale = BINS as f32 / (self.high - self.low).max(f32::MIN_POSITIVE);
        for &value in values.iter().filter(|&&value| value != 0.0 && value.is_finite()) {
            self.bins[(((value - self.low) * scale) as usize).min(BINS - 1)] += 1;
        }
    }

    /// The range without the fraction [`CLIPPED`] at each end. It contains 0.
    fn range(&self) -> [f32; 2] {
        let max_clipped = (self.bins.iter().sum::<u64>() as f64 * CLIPPED) as u64;
        // The number of bins that are clipped at an end.
        let clipped_bins = |bins: &mut dyn Iterator<Item = &u64>| {
            let mut clipped = 0;
            let fits = |count: &&u64| {
                clipped += **count;
                clipped <= max_clipped
            };
            bins.take_while(fits).count() as f32
        };
        let width = (self.high - self.low) / BINS as f32;
        let low = self.low + width * clipped_bins(&mut self.bins.iter());
        let high = self.high - width * clipped_bins(&mut self.bins.iter().rev());
        [low.min(0.0), high.max(0.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_in_a_hundred_thousand_is_clipped_at_each_end() {
        // 100,000 values other than 0, from -1 to 3, and then an outlier.
        let mut values: Vec<f32> = (0..100_000).map(|index| (index as f32 + 0.5) / 25_000.0 - 1.0).collect();
        values.extend([0.0; 100_000]);
        let of = |values: &[f32]| {
            let mut histogram = Histogram { low: 0.0, high: 0.0, bins: Vec::new() };
            for &value in values {
                (histogram.low, histogram.high) = (histogram.low.min(value), histogram.high.max(value));
            }
            histogram.count(values);
            histogram.range()
        };
        let [low, high] = of(&values);
        assert!((low + 1.0).abs() < 0.01 && (high - 3.0).abs() < 0.01, "{low} {high}");
        values.push(1000.0);
        let [low, high] = of(&values);
        assert!((-1.0..=0.0).contains(&low) && (3.0..4.0).contains(&high), "{low} {high}");
        // After a ReLU no value is negative. A tensor may be constant 0.
        assert_eq!(of(&[0.0, 5.0, 5.0])[0], 0.0);
        assert_eq!(of(&[0.0, 0.0]), [0.0, 0.0]);
    }
}
