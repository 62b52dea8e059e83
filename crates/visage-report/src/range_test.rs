//! The curve of a learning rate range test, as a picture.

use std::path::Path;

use crate::error::ReportError;
use crate::figures;
use crate::write::write_file;
use crate::{png_file, svg};

/// The curve of a learning rate range test.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeTestCurve {
    /// Learning rate, loss and smoothed loss of each step.
    pub points: Vec<[f64; 3]>,
    /// The rate at which the smoothed loss falls fastest, if it ever falls.
    pub suggestion: Option<f64>,
}

impl RangeTestCurve {
    /// Writes the curve to `path`, which is replaced: as PNG if that is its extension, or else as SVG.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ReportError> {
        let figure = figures::range_test(self);
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
            write_file(path, &png_file::file(&figure))
        } else {
            write_file(path, svg::file(&figure).as_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_drawn_in_the_format_of_the_extension() {
        let points = (0..40).map(|step| (10f64.powf(-6.0 + 0.15 * f64::from(step)), f64::from(step)));
        let points = points.map(|(rate, step)| [rate, 1.0 / (1.0 + step), 1.1 / (1.0 + step)]).collect();
        let curve = RangeTestCurve { suggestion: Some(1e-6), points };
        let folder = tempfile::tempdir().unwrap();
        let (svg, png) = (folder.path().join("a.svg"), folder.path().join("a.PNG"));
        curve.write(&svg).unwrap();
        curve.write(&png).unwrap();
        let text = std::fs::read_to_string(svg).unwrap();
        assert!(text.starts_with("<svg") && text.contains("falls fastest") && text.contains("Learning rate"), "{text}");
        assert!(std::fs::read(png).unwrap().starts_with(b"\x89PNG"));
    }
}
