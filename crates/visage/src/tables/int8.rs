//! The cost of int8.

use visage_data::Split;
use visage_export::onnx::Int8Cost;
use visage_judge::Metric;

use super::{Table, count, score};

const METRICS: [Metric; 5] =
    [Metric::Accuracy, Metric::Precision, Metric::Recall, Metric::F1, Metric::AveragePrecision];

/// The macro averages in float and in int8.
pub fn text(cost: &Int8Cost, calibration_images: usize, split: Split) -> String {
    let mut table = Table::new(1, &["Macro average", "float", "int8", "Difference"]);
    for metric in METRICS {
        let [float, int8] = [&cost.float, &cost.int8].map(|evaluation| evaluation.macro_average.get(metric));
        let difference = float.zip(int8).map_or_else(|| "-".to_owned(), |(a, b)| format!("{:+.4}", b - a));
        table.row([metric.heading().to_owned(), score(float), score(int8), difference]);
    }
    format!(
        "in int8, calibrated on {} images of the validation split, evaluated on {} of the {split} split: a probability differs by \
         {:.4} on average and by {:.3} at most\n\n{}",
        count(calibration_images as u64),
        count(cost.float.images as u64),
        cost.mean_difference,
        cost.max_difference,
        table.text()
    )
}
