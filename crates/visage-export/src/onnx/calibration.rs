//! Calibration in the graph: from logits to probabilities.

use visage_judge::{Calibration, Curve};

use super::builder::{Builder, int};
use super::schema::DataType;

/// Adds the nodes that compute `output`, `[batch, attributes]`, from the logits.
pub(super) fn add(builder: &mut Builder, calibration: Option<&Calibration>, logits: &str, output: &str) {
    match calibration {
        None => {
            builder.node("Sigmoid", &[logits], output);
        }
        Some(Calibration::Temperature { temperatures }) => {
            let temperatures = builder.floats("calibration.temperatures", &[1, temperatures.len()], temperatures);
            let cooled = builder.node("Div", &[logits, &temperatures], "calibration.cooled");
            builder.node("Sigmoid", &[&cooled], output);
        }
        Some(Calibration::Isotonic { curves }) => add_isotonic(builder, curves, logits, output),
    }
}

/// Adds isotonic calibration: a piecewise linear curve for each attribute.
///
/// The value of a curve is its first probability plus, for each segment, the segment's gain times the part of the segment that lies
/// below the logit, between 0 and 1.
fn add_isotonic(builder: &mut Builder, curves: &[Curve], logits: &str, output: &str) {
    let segments = curves.iter().map(|curve| curve.logits.len().saturating_sub(1)).max().unwrap_or(0).max(1);
    let count = curves.len();
    // A missing segment has no gain.
    let (mut starts, mut lengths, mut gains) =
        (vec![0.0; count * segments], vec![1.0; count * segments], vec![0.0; count * segments]);
    let mut firsts = vec![0.0; count];
    let mut fitted = vec![0; count];
    for (attribute, curve) in curves.iter().enumerate() {
        if let Some(&first) = curve.probabilities.first() {
            (firsts[attribute], fitted[attribute]) = (first, 1);
        }
        for (segment, (at, height)) in curve.logits.windows(2).zip(curve.probabilities.windows(2)).enumerate() {
            let cell = attribute * segments + segment;
            (starts[cell], lengths[cell], gains[cell]) = (at[0], at[1] - at[0], height[1] - height[0]);
        }
    }
    let shape = [1, count, segments];
    let starts = builder.floats("calibration.starts", &shape, &starts);
    let lengths = builder.floats("calibration.lengths", &shape, &lengths);
    let gains = builder.floats("calibration.gains", &shape, &gains);
    let firsts = builder.floats("calibration.firsts", &[1, count], &firsts);
    let (zero, one) = (builder.floats("zero", &[], &[0.0]), builder.floats("one", &[], &[1.0]));
    let last = builder.integers("calibration.last_axis", &[1], &[2]);

    let spread = builder.node("Unsqueeze", &[logits, &last], "calibration.spread");
    let past = builder.node("Sub", &[&spread, &starts], "calibration.past");
    let part = builder.node("Div", &[&past, &lengths], "calibration.part");
    let part = builder.node("Clip", &[&part, &zero, &one], "calibration.passed");
    let gained = builder.node("Mul", &[&part, &gains], "calibration.gained");
    let keep = vec![int("keepdims", 0)];
    let gained = builder.node_with("ReduceSum", &[&gained, &last], "calibration.height", keep);
    let height = builder.node("Add", &[&gained, &firsts], "calibration.curve");
    // Rounding must not move the sum out of [0, 1].
    let curve = builder.node("Clip", &[&height, &zero, &one], "calibration.probability");
    // An attribute without a curve has the sigmoid.
    let plain = builder.node("Sigmoid", &[logits], "calibration.sigmoid");
    let fitted = builder.constant("calibration.fitted".to_owned(), DataType::Bool, &[1, count], fitted);
    builder.node("Where", &[&fitted, &curve, &plain], output);
}
