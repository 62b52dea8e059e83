//! A figure: a drawing with title and reading.

use crate::drawing::Drawing;

/// A drawing with its texts.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Name of its files, without extension.
    pub file: String,
    /// Its title.
    pub title: String,
    /// Its main result in a sentence, computed from the data drawn.
    pub reading: String,
    /// The drawing.
    pub drawing: Drawing,
}

impl Figure {
    /// The alternative text for screen readers.
    pub fn alt(&self) -> String {
        let axes = self.drawing.plots.first().map(|plot| {
            let named =
                [&plot.y.label, &plot.x.label].map(|label| label.split(" (").next().unwrap_or_default().to_lowercase());
            format!(": {} against {}", named[0], named[1])
        });
        format!("{}{}. {}", self.title, axes.unwrap_or_default(), self.reading)
    }
}
