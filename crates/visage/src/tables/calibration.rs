//! A calibrated model.

use super::{Table, counted, score};
use crate::commands::calibrate::Calibrated;

/// The attributes, and the calibration error before and after.
pub fn text(calibrated: &Calibrated) -> String {
    let mut table = Table::new(1, &["Attribute", "Threshold", "Precision", "Recall", "F1", "ECE before", "ECE after"]);
    for attribute in &calibrated.attributes {
        table.row([
            attribute.attribute.clone(),
            score(Some(f64::from(attribute.threshold))),
            score(attribute.precision),
            score(attribute.recall),
            score(attribute.f1),
            score(attribute.ece_before),
            score(attribute.ece_after),
        ]);
    }
    let mut text = format!(
        "on {} of the {} split; thresholds: {}; calibration: {}\n\n{}\nexpected calibration error, mean over the attributes: \
         {} before, {} after",
        counted(calibrated.images as u64, "image"),
        calibrated.split,
        calibrated.thresholds,
        calibrated.calibration.as_deref().unwrap_or("none"),
        table.text(),
        score(calibrated.ece_before),
        score(calibrated.ece_after),
    );
    text += if calibrated.calibration.is_some() {
        " (a fitted calibration is measured on held-out images, by five-fold cross-fitting)\n"
    } else {
        "\n"
    };
    if !calibrated.unreached.is_empty() {
        text += &format!(
            "no threshold reaches the demanded precision; the most precise one was taken: {}\n",
            calibrated.unreached.join(", ")
        );
    }
    text
}
