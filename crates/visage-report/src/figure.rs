//! A figure: a drawing with title and reading.

use crate::drawing::Drawing;
use crate::sheet::Sheet;
use visage_run::file_name::file_part;

#[derive(Clone, Debug)]
pub struct Figure {
    /// Name of its files, without extension.
    pub file: String,
    pub title: String,
    /// Its main result in a sentence, computed from the data drawn.
    pub reading: String,
    pub drawing: Drawing,
}

impl Figure {
    pub fn new(file: impl Into<String>, title: impl Into<String>, reading: String, sheet: Sheet) -> Self {
        Self { file: file.into(), title: title.into(), reading, drawing: sheet.finish() }
    }

    /// A figure of one run, named after it if the report shows several.
    pub fn of_run(file: &str, title: &str, run: Option<&str>, reading: String, sheet: Sheet) -> Self {
        match run {
            Some(run) => Self::new(format!("{file}-{}", file_part(run)), format!("{title}: {run}"), reading, sheet),
            None => Self::new(file, title, reading, sheet),
        }
    }

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
