//! How far probabilities are from what happened: Brier score, log loss, expected calibration error.

/// Number of equal-width bins of the expected calibration error, as in Guo et al. 2017, "On Calibration of Modern
/// Neural Networks" (arXiv 1706.04599).
pub const ECE_BINS: usize = 15;

/// Mean squared distance between probability and outcome, 0 to 1.
pub(crate) fn brier(pairs: &[(f32, bool)]) -> Option<f64> {
    mean(pairs, squared_distance)
}

/// What one image adds to the Brier score.
pub(crate) fn squared_distance(probability: f64, present: bool) -> f64 {
    let distance = probability - f64::from(u8::from(present));
    distance * distance
}

/// Mean negative log likelihood, in nats.
///
/// Probabilities are kept [`f64::EPSILON`] away from 0 and 1 (scikit-learn's `log_loss` on doubles), so a certain
/// but wrong answer costs 36 nats rather than infinity.
pub(crate) fn log_loss(pairs: &[(f32, bool)]) -> Option<f64> {
    mean(pairs, log_cost)
}

/// What one image adds to the log loss.
pub(crate) fn log_cost(probability: f64, present: bool) -> f64 {
    let probability = probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    -(if present { probability } else { 1.0 - probability }).ln()
}

/// The calibration bin of a probability, `0..ECE_BINS`.
pub(crate) fn bin(probability: f64) -> usize {
    ((probability * ECE_BINS as f64).ceil() as usize).clamp(1, ECE_BINS) - 1
}

/// Expected calibration error of the probability of presence: the distance between mean probability and frequency
/// of presence in each of [`ECE_BINS`] bins `(low, high]` (the first holds 0 too), weighted by how many fall there.
pub(crate) fn expected_calibration_error(pairs: &[(f32, bool)]) -> Option<f64> {
    // Per bin, the sum over its members of probability minus outcome: |mean - frequency| times their number.
    let mut excess = [0.0; ECE_BINS];
    for &(probability, present) in pairs {
        let probability = f64::from(probability);
        excess[bin(probability)] += probability - f64::from(u8::from(present));
    }
    (!pairs.is_empty()).then(|| excess.iter().map(|sum| sum.abs()).sum::<f64>() / pairs.len() as f64)
}

/// Mean of `cost` over the pairs, undefined where there are none.
fn mean(pairs: &[(f32, bool)], cost: impl Fn(f64, bool) -> f64) -> Option<f64> {
    let total: f64 = pairs.iter().map(|&(probability, present)| cost(f64::from(probability), present)).sum();
    (!pairs.is_empty()).then(|| total / pairs.len() as f64)
}
