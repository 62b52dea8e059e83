//! Predictions as rows of text.

use std::io::{self, Write as _};

use serde::Deserialize;
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
use visage_judge::{Rules, is_positive};
use visage_model::Card;

/// A text format with one row per image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFormat {
    /// `path  Attribute 0.93, Another 0.81`, with the attributes predicted as present.
    Table,
    /// `{"image": path, "attributes": {name: {"probability": 0.93, "present": true}}}`
    Json,
    /// A header, then `path,0.93,0.81`.
    Csv,
}

/// Separates the path and the attributes in a row of a table.
const GAP: &str = "  ";

/// Formats predictions as rows.
pub struct Rows<'a> {
    /// The format.
    pub format: RowFormat,
    /// The model's card.
    pub card: &'a Card,
    /// The indices of the attributes in the output.
    pub columns: Vec<usize>,
    /// Only the `top` most probable of them; all, in their order, if `None`.
    pub top: Option<usize>,
    /// Rules that predictions must not break; probabilities alone decide if `None`.
    pub rules: Option<Rules>,
}

impl Rows<'_> {
    /// The header, empty except for CSV.
    pub(super) fn header(&self) -> io::Result<Vec<u8>> {
        match self.format {
            RowFormat::Csv => record(std::iter::once("image").chain(self.names())),
            RowFormat::Table | RowFormat::Json => Ok(Vec::new()),
        }
    }

    /// Names of the attributes in the output.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|&column| self.card.attributes[column].as_str())
    }

    /// Appends the row of an image to `lines`.
    pub(super) fn append(&self, image: &str, probabilities: &[f32], lines: &mut Vec<u8>) -> io::Result<()> {
        match self.format {
            RowFormat::Table => {
                let shown = self.summary(probabilities);
                let shown = if shown.is_empty() { "(none of its attributes)".to_owned() } else { shown.join(", ") };
                writeln!(lines, "{image}{GAP}{shown}")
            }
            RowFormat::Json => {
                let present = &self.decisions(probabilities);
                let columns = &self.shown(probabilities);
                let prediction = Prediction { image, card: self.card, columns, probabilities, present };
                serde_json::to_writer(&mut *lines, &prediction)?;
                lines.push(b'\n');
                Ok(())
            }
            RowFormat::Csv => {
                let cells: Vec<String> = match &self.rules {
                    Some(_) => {
                        let present = self.decisions(probabilities);
                        self.columns.iter().map(|&column| u8::from(present[column]).to_string()).collect()
                    }
                    None => self.columns.iter().map(|&column| probabilities[column].to_string()).collect(),
                };
                lines.extend(record(std::iter::once(image.to_owned()).chain(cells))?);
                Ok(())
            }
        }
    }

    /// The image that a row of a table or of JSON lines is about.
    pub(super) fn image_of(&self, line: &[u8]) -> Option<String> {
        #[derive(Deserialize)]
        struct Named {
            image: String,
        }
        match self.format {
            RowFormat::Table => std::str::from_utf8(line).ok()?.rsplit_once(GAP).map(|(image, _)| image.to_owned()),
            RowFormat::Json => serde_json::from_slice(line).ok().map(|Named { image }| image),
            RowFormat::Csv => None,
        }
    }

    /// For each of the model's attributes, whether it is predicted as present.
    fn decisions(&self, probabilities: &[f32]) -> Vec<bool> {
        let thresholds = &self.card.thresholds;
        match &self.rules {
            Some(rules) => rules.consistent(probabilities, thresholds),
            None => probabilities.iter().zip(thresholds).map(|(&p, &threshold)| is_positive(p, threshold)).collect(),
        }
    }

    /// The indices of the attributes in the row of an image, in order.
    fn shown(&self, probabilities: &[f32]) -> Vec<usize> {
        let mut shown = self.columns.clone();
        if let Some(top) = self.top {
            shown.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
            shown.truncate(top);
        }
        shown
    }

    /// The attributes predicted as present, or the `top` most probable, each with its probability, in descending order.
    #[must_use]
    pub fn summary(&self, probabilities: &[f32]) -> Vec<String> {
        let present = self.decisions(probabilities);
        let mut shown = self.shown(probabilities);
        shown.retain(|&column| self.top.is_some() || present[column]);
        shown.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        shown.iter().map(|&column| format!("{} {:.2}", self.card.attributes[column], probabilities[column])).collect()
    }
}

/// A row of a CSV file.
pub(super) fn record<S: AsRef<[u8]>>(cells: impl IntoIterator<Item = S>) -> io::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(cells)?;
    csv.into_inner().map_err(|error| error.into_error())
}

/// The predictions of one image, as JSON.
struct Prediction<'a> {
    image: &'a str,
    card: &'a Card,
    columns: &'a [usize],
    probabilities: &'a [f32],
    present: &'a [bool],
}

impl Serialize for Prediction<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Prediction", 2)?;
        object.serialize_field("image", self.image)?;
        object.serialize_field("attributes", &Attributes(self))?;
        object.end()
    }
}

/// The prediction of each attribute, by name.
struct Attributes<'a>(&'a Prediction<'a>);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Attribute {
            probability: f32,
            present: bool,
        }

        let Attributes(Prediction { card, columns, probabilities, present, .. }) = self;
        let mut object = serializer.serialize_map(Some(columns.len()))?;
        for &column in *columns {
            let attribute = Attribute { probability: probabilities[column], present: present[column] };
            object.serialize_entry(&card.attributes[column], &attribute)?;
        }
        object.end()
    }
}
