//! Logits to probabilities, inside the graph.

use visage_judge::Calibration;

use super::builder::{Builder, int};
use super::schema::DataType;

/// Adds the nodes that make `output`, `[batch, attributes]`, of the logits.
pub(super) fn add(builder: &mut Builder, calibration: Option<&Calibration>, logits: &str, output: &str) {
    match calibration {
        None => {
            builder.node("Sigmoid", &[logits], output, Vec::new());
        }
        Some(Calibration::Temperature { temperatures }) => {
            let by = builder.floats("calibration.temperatures", &[1, temperatures.len()], temperatures);
            let cooled = builder.node("Div", &[logits, &by], "calibration.cooled", Vec::new());
            builder.node("Sigmoid", &[&cooled], output, Vec::new());
        }
        Some(Calibration::Isotonic { curves }) => {
            // A curve through points is its first height plus, for each line between two of them, the height it gains times
            // how much of it the logit has passed: 0 before it, 1 beyond.
            let lines = curves.iter().map(|curve| curve.logits.len().saturating_sub(1)).max().unwrap_or(0).max(1);
            let count = curves.len();
            // A line that is not there has no height.
            let (mut starts, mut lengths, mut gains) =
                (vec![0.0; count * lines], vec![1.0; count * lines], vec![0.0; count * lines]);
            let mut firsts = vec![0.0; count];
            let mut fitted = vec![0; count];
            for (attribute, curve) in curves.iter().enumerate() {
                if let Some(&first) = curve.probabilities.first() {
                    (firsts[attribute], fitted[attribute]) = (first, 1);
                }
                for (line, (at, height)) in curve.logits.windows(2).zip(curve.probabilities.windows(2)).enumerate() {
                    let cell = attribute * lines + line;
                    (starts[cell], lengths[cell], gains[cell]) = (at[0], at[1] - at[0], height[1] - height[0]);
                }
            }
            let shape = [1, count, lines];
            let starts = builder.floats("calibration.starts", &shape, &starts);
            let lengths = builder.floats("calibration.lengths", &shape, &lengths);
            let gains = builder.floats("calibration.gains", &shape, &gains);
            let firsts = builder.floats("calibration.firsts", &[1, count], &firsts);
            let (zero, one) = (builder.floats("zero", &[], &[0.0]), builder.floats("one", &[], &[1.0]));
            let last = builder.integers("calibration.last_axis", &[1], &[2]);

            let spread = builder.node("Unsqueeze", &[logits, &last], "calibration.spread", Vec::new());
            let past = builder.node("Sub", &[&spread, &starts], "calibration.past", Vec::new());
            let part = builder.node("Div", &[&past, &lengths], "calibration.part", Vec::new());
            let part = builder.node("Clip", &[&part, &zero, &one], "calibration.passed", Vec::new());
            let gained = builder.node("Mul", &[&part, &gains], "calibration.gained", Vec::new());
            let keep = vec![int("keepdims", 0)];
            let gained = builder.node("ReduceSum", &[&gained, &last], "calibration.height", keep);
            let height = builder.node("Add", &[&gained, &firsts], "calibration.curve", Vec::new());
            // Rounding of the sum must not leave 0 to 1.
            let curve = builder.node("Clip", &[&height, &zero, &one], "calibration.probability", Vec::new());
            // An attribute without points keeps the sigmoid.
            let plain = builder.node("Sigmoid", &[logits], "calibration.sigmoid", Vec::new());
            let fitted = builder.constant("calibration.fitted".to_owned(), DataType::Bool, &[1, count], fitted);
            builder.node("Where", &[&fitted, &curve, &plain], output, Vec::new());
        }
    }
}
