//! Temperature scaling.

use super::both_classes;

/// The search range of the logarithm of the temperature.
const LOG_TEMPERATURES: [f64; 2] = [-4.0, 4.0];

/// Bisection steps: down to less than the spacing of single precision.
const BISECTIONS: usize = 40;

/// The temperature of the smallest log loss on (logit, label) pairs; 1 where only one class occurs.
pub fn fit(pairs: &[(f32, bool)]) -> f32 {
    if !both_classes(pairs) {
        return 1.0;
    }
    // The derivative of the loss with respect to 1 / T. It rises with 1 / T, because the loss is convex.
    let slope = |log_temperature: f64| -> f64 {
        let scale = (-log_temperature).exp();
        let terms = pairs.iter().map(|&(logit, present)| {
            let logit = f64::from(logit);
            logit * (1.0 / (1.0 + (-scale * logit).exp()) - f64::from(u8::from(present)))
        });
        terms.sum()
    };
    let [mut low, mut high] = LOG_TEMPERATURES;
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(low, high);
        if slope(middle) > 0.0 { low = middle } else { high = middle }
    }
    f64::midpoint(low, high).exp() as f32
}
