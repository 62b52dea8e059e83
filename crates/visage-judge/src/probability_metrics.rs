//! Terms of the metrics of probabilities: Brier score, log loss, expected calibration error.

/// Number of equal-width bins of the expected calibration error, as in Guo et al. 2017, "On Calibration of Modern
/// Neural Networks" (arXiv 1706.04599).
pub(crate) const ECE_BINS: usize = 15;

/// What one image adds to the Brier score: the squared distance between probability and outcome, 0 to 1.
pub(crate) fn squared_error(probability: f64, present: bool) -> f64 {
    let distance = excess(probability, present);
    distance * distance
}

/// What one image adds to the log loss, in nats: the cross-entropy of its probability with `target`, the probability that the label
/// is present.
///
/// Probabilities are kept [`f64::EPSILON`] away from 0 and 1 (scikit-learn's `log_loss` on doubles), so a certain
/// but wrong answer costs 36 nats rather than infinity.
pub(crate) fn log_loss(probability: f64, target: f64) -> f64 {
    let probability = probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    let term = |share: f64, probability: f64| if share == 0.0 { 0.0 } else { -share * probability.ln() };
    term(target, probability) + term(1.0 - target, 1.0 - probability)
}

/// Probability minus outcome. The expected calibration error sums it per bin: the absolute sum of a bin is the distance
/// between mean probability and frequency of presence there, times the number of its images.
pub(crate) fn excess(probability: f64, present: bool) -> f64 {
    probability - f64::from(u8::from(present))
}

/// The calibration bin of a probability, `0..ECE_BINS`. Bins are `(low, high]`; the first holds 0 too.
pub(crate) fn calibration_bin(probability: f64) -> usize {
    ((probability * ECE_BINS as f64).ceil() as usize).clamp(1, ECE_BINS) - 1
}

/// One point of a reliability diagram: the images whose probabilities fall in one calibration bin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReliabilityBin {
    /// Number of images, at least 1.
    pub images: u64,
    /// Mean predicted probability.
    pub probability: f64,
    /// Share of the images that have the attribute.
    pub frequency: f64,
}

/// The non-empty bins of a reliability diagram of (probability, label) pairs, from the lowest probability up. The bins
/// are those of [`crate::Scores::ece`]: 15 of equal width.
pub fn reliability_bins(pairs: &[(f32, bool)]) -> Vec<ReliabilityBin> {
    let mut sums = [(0_u64, 0.0, 0_u64); ECE_BINS];
    for &(probability, present) in pairs {
        let probability = f64::from(probability);
        let (images, total, positives) = &mut sums[calibration_bin(probability)];
        *images += 1;
        *total += probability;
        *positives += u64::from(present);
    }
    let filled = sums.into_iter().filter(|(images, ..)| *images > 0);
    let bin = |(images, total, positives)| ReliabilityBin {
        images,
        probability: total / images as f64,
        frequency: positives as f64 / images as f64,
    };
    filled.map(bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_bins_are_left_out() {
        let found = reliability_bins(&[(0.0, false), (0.06, true), (1.0, true)]);
        assert_eq!(found.iter().map(|bin| bin.images).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(found[0].frequency, 0.5);
    }
}
