//! Answers as lines of text.

use std::io::{self, Write as _};
use std::path::Path;

use serde::Deserialize;
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
use visage_judge::{Rules, is_positive};
use visage_model::Card;

/// A form of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `path  Attribute 0.93, Another 0.81`, of the attributes an image has.
    Table,
    /// `{"image": path, "attributes": {name: {"probability": 0.93, "present": true}}}`
    Json,
    /// A header, then `path,0.93,0.81`.
    Csv,
}

/// Between the path and the answers of a table's line.
const GAP: &str = "  ";

/// Turns answers into lines.
pub struct Rows<'a> {
    /// How.
    pub form: Form,
    /// The model's card.
    pub card: &'a Card,
    /// The attributes to answer about, by number.
    pub columns: Vec<usize>,
    /// How many of them, the most probable first; all of them in their order if `None`.
    pub top: Option<usize>,
    /// What answers must not break.
    pub rules: Option<Rules>,
}

impl Rows<'_> {
    /// What stands above the rows: of a CSV its header, of others nothing.
    ///
    /// # Errors
    ///
    /// None that memory knows.
    pub fn header(&self) -> io::Result<Vec<u8>> {
        match self.form {
            Form::Csv => record(std::iter::once("image").chain(self.names())),
            Form::Table | Form::Json => Ok(Vec::new()),
        }
    }

    /// Names of the attributes to answer about, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|&column| self.card.attributes[column].as_str())
    }

    /// Adds the answers about one image to `lines`.
    ///
    /// # Errors
    ///
    /// None that memory knows.
    pub fn add(&self, image: &Path, probabilities: &[f32], lines: &mut Vec<u8>) -> io::Result<()> {
        match self.form {
            Form::Table => {
                let shown = self.summary(probabilities);
                let shown = if shown.is_empty() { "(none of its attributes)".to_owned() } else { shown.join(", ") };
                writeln!(lines, "{}{GAP}{shown}", image.display())
            }
            Form::Json => {
                let answers = self.answers(probabilities);
                let columns = &self.shown(probabilities);
                let prediction = Prediction { image, card: self.card, columns, probabilities, answers: &answers };
                serde_json::to_writer(&mut *lines, &prediction)?;
                lines.push(b'\n');
                Ok(())
            }
            Form::Csv => {
                let cells: Vec<String> = match &self.rules {
                    Some(_) => {
                        let answers = self.answers(probabilities);
                        self.columns.iter().map(|&column| u8::from(answers[column]).to_string()).collect()
                    }
                    None => self.columns.iter().map(|&column| probabilities[column].to_string()).collect(),
                };
                lines.extend(record(std::iter::once(image.display().to_string()).chain(cells))?);
                Ok(())
            }
        }
    }

    /// The image that a whole line of a table or of JSON lines is about.
    pub fn image_of(&self, line: &[u8]) -> Option<String> {
        #[derive(Deserialize)]
        struct Named {
            image: String,
        }
        match self.form {
            Form::Table => std::str::from_utf8(line).ok()?.rsplit_once(GAP).map(|(image, _)| image.to_owned()),
            Form::Json => serde_json::from_slice(line).ok().map(|Named { image }| image),
            Form::Csv => None,
        }
    }

    /// Which attributes an image has.
    fn answers(&self, probabilities: &[f32]) -> Vec<bool> {
        let thresholds = &self.card.thresholds;
        match &self.rules {
            Some(rules) => rules.consistent(probabilities, thresholds),
            None => probabilities.iter().zip(thresholds).map(|(&p, &threshold)| is_positive(p, threshold)).collect(),
        }
    }

    /// The attributes to answer about, in the order of the answer.
    fn shown(&self, probabilities: &[f32]) -> Vec<usize> {
        let mut shown = self.columns.clone();
        if let Some(top) = self.top {
            shown.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
            shown.truncate(top);
        }
        shown
    }

    /// The attributes an image has, or as many as were asked for, the surest first, each with its probability.
    pub fn summary(&self, probabilities: &[f32]) -> Vec<String> {
        let answers = self.answers(probabilities);
        let mut shown = self.shown(probabilities);
        shown.retain(|&column| self.top.is_some() || answers[column]);
        shown.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        shown.iter().map(|&column| format!("{} {:.2}", self.card.attributes[column], probabilities[column])).collect()
    }
}

/// A line of a CSV.
pub fn record<S: AsRef<[u8]>>(cells: impl IntoIterator<Item = S>) -> io::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(cells)?;
    csv.into_inner().map_err(|error| error.into_error())
}

/// The answers about one image, as JSON.
struct Prediction<'a> {
    image: &'a Path,
    card: &'a Card,
    columns: &'a [usize],
    probabilities: &'a [f32],
    answers: &'a [bool],
}

impl Serialize for Prediction<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Prediction", 2)?;
        object.serialize_field("image", &self.image.display().to_string())?;
        object.serialize_field("attributes", &Answers(self))?;
        object.end()
    }
}

/// Each attribute's answer, by name.
struct Answers<'a>(&'a Prediction<'a>);

impl Serialize for Answers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Answer {
            probability: f32,
            present: bool,
        }

        let Answers(Prediction { card, columns, probabilities, answers, .. }) = self;
        let mut object = serializer.serialize_map(Some(columns.len()))?;
        for &column in *columns {
            let answer = Answer { probability: probabilities[column], present: answers[column] };
            object.serialize_entry(&card.attributes[column], &answer)?;
        }
        object.end()
    }
}
