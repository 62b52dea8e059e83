//! Co-occurrence and correlation of attributes.

use serde::Serialize;

use crate::dataset::Dataset;
use crate::label::Label;

/// How often attributes occur together, over all images of a dataset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Associations {
    /// For each pair of attributes, in the dataset's order, the number of images that have both. Symmetric, with the number
    /// of images that have an attribute on the diagonal.
    pub co_occurrence: Vec<Vec<u64>>,
    /// Every pair of attributes with a defined correlation, the strongest first.
    pub pairs: Vec<AttributePair>,
}

/// The correlation of two attributes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttributePair {
    /// The attribute that comes first in the dataset.
    pub first: String,
    /// The other attribute.
    pub second: String,
    /// Their Pearson correlation (phi coefficient), from -1 to 1, over the images where both are known.
    pub correlation: f64,
    /// The number of images that have both.
    pub both: u64,
}

/// A set of images, one bit each.
type Bits = Vec<u64>;

impl Associations {
    /// The most attributes whose pairs are counted: time and memory grow with their square.
    pub const MAX_ATTRIBUTES: usize = 1_000;

    /// Counts a whole dataset. `None` for one of more than [`Associations::MAX_ATTRIBUTES`].
    #[must_use]
    pub fn of(dataset: &Dataset) -> Option<Self> {
        let names = dataset.attributes();
        if names.len() > Self::MAX_ATTRIBUTES {
            return None;
        }
        let images = dataset.samples().len();
        let bits = |attribute: usize, wanted: fn(Label) -> bool| -> Bits {
            let mut bits = vec![0; images.div_ceil(64)];
            for (index, sample) in dataset.samples().iter().enumerate() {
                bits[index / 64] |= u64::from(wanted(sample.labels[attribute])) << (index % 64);
            }
            bits
        };
        let present: Vec<Bits> = (0..names.len()).map(|a| bits(a, |label| label == Label::Present)).collect();
        let known: Vec<Bits> = (0..names.len()).map(|a| bits(a, |label| label != Label::Unknown)).collect();
        let co_occurrence =
            present.iter().map(|first| present.iter().map(|second| common(first, second)).collect()).collect();
        let mut pairs = Vec::new();
        for first in 0..names.len() {
            for second in first + 1..names.len() {
                let both = common(&present[first], &present[second]);
                let correlation = phi(
                    common(&known[first], &known[second]),
                    both,
                    common(&present[first], &known[second]),
                    common(&known[first], &present[second]),
                );
                if let Some(correlation) = correlation {
                    let (first, second) = (names[first].clone(), names[second].clone());
                    pairs.push(AttributePair { first, second, correlation, both });
                }
            }
        }
        // Stable: pairs of equal strength stay in the order of the attributes.
        pairs.sort_by(|a, b| b.correlation.abs().total_cmp(&a.correlation.abs()));
        Some(Associations { co_occurrence, pairs })
    }
}

fn common(first: &Bits, second: &Bits) -> u64 {
    first.iter().zip(second).map(|(a, b)| u64::from((a & b).count_ones())).sum()
}

/// The phi coefficient of two attributes in `total` images: `both` images have both, `first` the first and `second` the
/// second. `None` where one of them is in all images or in none.
fn phi(total: u64, both: u64, first: u64, second: u64) -> Option<f64> {
    let [n, both, first, second] = [total, both, first, second].map(|count| count as f64);
    let spread = (first * (n - first) * second * (n - second)).sqrt();
    (spread > 0.0).then(|| (n * both - first * second) / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phi_is_pearsons_correlation() {
        // numpy.corrcoef([1,1,0,0,1,0,1,0], [1,0,0,0,1,0,1,1])[0, 1] and of its complement.
        assert!((phi(8, 3, 4, 4).unwrap() - 0.5).abs() < 1e-12);
        assert!((phi(8, 1, 4, 4).unwrap() + 0.5).abs() < 1e-12);
        // numpy.corrcoef([1,0,0,0,0,1], [1,1,0,1,0,0])[0, 1]
        assert!((phi(6, 1, 2, 3).unwrap() - 0.0).abs() < 1e-12);
        assert_eq!(phi(8, 4, 8, 4), None);
        assert_eq!(phi(0, 0, 0, 0), None);
    }
}
