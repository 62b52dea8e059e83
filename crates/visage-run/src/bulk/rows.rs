//! Predictions as rows of text.

use std::io::{self, Write as _};

use serde::Deserialize;
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
use visage_faces::{Face, FaceBox};
use visage_judge::{Rules, is_positive};
use visage_model::Card;

use crate::spreadsheet::cell;

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

/// Separates the path, the face and the attributes in a row of a table.
const GAP: &str = "  ";
/// Columns about a face: its number, from 0 for the largest, the detector's score, and its box in pixels.
pub(super) const FACE: [&str; 6] = ["face", "face_score", "face_x", "face_y", "face_width", "face_height"];

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
    /// Whether a row is about a face of a photograph instead of an image.
    pub has_faces: bool,
}

impl Rows<'_> {
    /// The header, empty except for CSV.
    pub(super) fn header(&self) -> io::Result<Vec<u8>> {
        match self.format {
            RowFormat::Csv => record(self.csv_columns().map(|name| cell(name).into_owned())),
            RowFormat::Table | RowFormat::Json => Ok(Vec::new()),
        }
    }

    /// The columns of CSV.
    pub(super) fn csv_columns(&self) -> impl Iterator<Item = &str> {
        let face = if self.has_faces { &FACE[..] } else { &[] };
        std::iter::once("image").chain(face.iter().copied()).chain(self.names())
    }

    /// Names of the attributes in the output.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|&column| self.card.attributes[column].as_str())
    }

    /// Appends the row of an image, or of a face and its number, to `lines`.
    pub(super) fn append(
        &self,
        image: &str,
        face: Option<(usize, &Face)>,
        probabilities: &[f32],
        lines: &mut Vec<u8>,
    ) -> io::Result<()> {
        match self.format {
            RowFormat::Table => {
                let shown = self.summary(probabilities);
                let shown = if shown.is_empty() { "(none of its attributes)".to_owned() } else { shown.join(", ") };
                let face = face.map_or_else(String::new, |(number, face)| {
                    let FaceBox { x, y, width, height } = face.face_box;
                    format!("{GAP}face {} at {x:.0},{y:.0} of {width:.0}x{height:.0}", number + 1)
                });
                writeln!(lines, "{image}{face}{GAP}{shown}")
            }
            RowFormat::Json => {
                let present = &self.decisions(probabilities);
                let columns = &self.shown(probabilities);
                let prediction = Prediction { image, face, card: self.card, columns, probabilities, present };
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
                let face = face.map(|(number, Face { face_box, score, .. })| {
                    let FaceBox { x, y, width, height } = face_box;
                    let numbers = [(score, 4), (x, 1), (y, 1), (width, 1), (height, 1)];
                    let numbers = numbers.map(|(number, decimals)| format!("{number:.decimals$}"));
                    std::iter::once(number.to_string()).chain(numbers)
                });
                let image = std::iter::once(cell(image).into_owned());
                lines.extend(record(image.chain(face.into_iter().flatten()).chain(cells))?);
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
            RowFormat::Table => {
                let (image, _) = std::str::from_utf8(line).ok()?.rsplit_once(GAP)?;
                let image = if self.has_faces { image.rsplit_once(GAP)?.0 } else { image };
                Some(image.to_owned())
            }
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
    face: Option<(usize, &'a Face)>,
    card: &'a Card,
    columns: &'a [usize],
    probabilities: &'a [f32],
    present: &'a [bool],
}

impl Serialize for Prediction<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Numbered<'a> {
            number: usize,
            #[serde(flatten)]
            face: &'a Face,
        }

        let mut object = serializer.serialize_struct("Prediction", 3)?;
        object.serialize_field("image", self.image)?;
        if let Some((number, face)) = self.face {
            object.serialize_field("face", &Numbered { number, face })?;
        }
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
