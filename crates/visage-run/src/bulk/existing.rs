//! The rows that an output file already holds.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use super::rows::{RowFormat, Rows, record};
use crate::spreadsheet::name;

/// Image names, as 128-bit hashes: a million take 32 MiB, however long they are.
#[derive(Default)]
pub struct Names(HashSet<[u64; 2]>);

impl Names {
    fn key(name: &str) -> [u64; 2] {
        [0_u8, 1].map(|salt| {
            let mut hasher = DefaultHasher::new();
            (salt, name).hash(&mut hasher);
            hasher.finish()
        })
    }

    /// Whether `name` is among them.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(&Self::key(name))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// The rows of a file.
#[derive(Default)]
pub struct Existing {
    /// Their images.
    pub images: Names,
    /// The first row, and its image.
    pub first: Option<(String, Vec<u8>)>,
    /// Where the last complete row ends, in bytes.
    pub end: u64,
    /// The image of the last row, and where its rows begin.
    last: Option<(String, u64)>,
}

impl Existing {
    /// Adds a row that ends at `end`.
    fn add(&mut self, image: &str, end: u64, row: impl FnOnce() -> Vec<u8>) {
        if self.first.is_none() {
            self.first = Some((image.to_owned(), row()));
        }
        if self.last.as_ref().is_none_or(|(last, _)| last != image) {
            self.last = Some((image.to_owned(), self.end));
        }
        self.images.0.insert(Names::key(image));
        self.end = end;
    }

    /// Without the rows of the last photograph, of which more may have been meant to come.
    fn without_last(mut self) -> Self {
        if let Some((image, start)) = self.last.take() {
            self.images.0.remove(&Names::key(&image));
            self.first = self.first.filter(|(first, _)| *first != image);
            self.end = start;
        }
        self
    }
}

/// Why rows cannot be added to a file.
pub enum ReadError {
    /// It cannot be read.
    Io(io::Error),
    /// It has another header.
    Columns,
    /// This line, from 1, is not a row.
    Line(u64),
}

/// Reads the rows of a file.
///
/// # Errors
///
/// [`ReadError`].
pub fn read(file: &File, rows: &Rows<'_>) -> Result<Existing, ReadError> {
    let existing = match rows.format {
        RowFormat::Csv => read_csv(file, rows),
        RowFormat::Table | RowFormat::Json => read_lines(file, rows),
    }?;
    Ok(if rows.has_faces { existing.without_last() } else { existing })
}

fn read_lines(file: &File, rows: &Rows<'_>) -> Result<Existing, ReadError> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let (mut existing, mut line) = (Existing::default(), Vec::new());
    for number in 1.. {
        line.clear();
        let length = reader.read_until(b'\n', &mut line).map_err(ReadError::Io)?;
        if line.last() != Some(&b'\n') {
            // The end, or an incomplete row. A file without a complete row may hold anything.
            if length > 0 && existing.first.is_none() {
                return Err(ReadError::Line(number));
            }
            break;
        }
        let image = rows.image_of(&line[..length - 1]).ok_or(ReadError::Line(number))?;
        existing.add(&image, existing.end + length as u64, || line.clone());
    }
    Ok(existing)
}

fn read_csv(mut file: &File, rows: &Rows<'_>) -> Result<Existing, ReadError> {
    let length = file.metadata().map_err(ReadError::Io)?.len();
    let ends_a_line = |mut file: &File| -> io::Result<bool> {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        Ok(last == *b"\n")
    };
    let is_whole = length > 0 && ends_a_line(file).map_err(ReadError::Io)?;
    file.seek(SeekFrom::Start(0)).map_err(ReadError::Io)?;
    let reader = BufReader::with_capacity(1 << 16, file);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(reader);
    let (mut existing, mut row) = (Existing::default(), csv::StringRecord::new());
    let broken = |error: csv::Error| {
        let line = error.position().map_or(0, csv::Position::line);
        match error.into_kind() {
            csv::ErrorKind::Io(error) => ReadError::Io(error),
            _ => ReadError::Line(line),
        }
    };
    let mut is_header = true;
    while reader.read_record(&mut row).map_err(broken)? {
        let line = row.position().map_or(0, csv::Position::line);
        let is_last = reader.position().byte() >= length;
        let is_row = row.len() == rows.csv_columns().count();
        // An incomplete row. If it is the header, the file may hold anything.
        if is_last && !(is_row && is_whole) && !is_header {
            break;
        }
        if std::mem::take(&mut is_header) {
            if !is_whole && is_last || !row.iter().map(name).eq(rows.csv_columns()) {
                return Err(ReadError::Columns);
            }
            existing.end = reader.position().byte();
        } else if is_row {
            // As written by this program, so that rows can be compared byte by byte.
            existing.add(name(&row[0]), reader.position().byte(), || record(&row).unwrap_or_default());
        } else {
            return Err(ReadError::Line(line));
        }
    }
    Ok(existing)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use visage_data::{Landmarks, Preparation, Size};
    use visage_faces::{Face, FaceBox};
    use visage_model::{Architecture, Card, NetworkConfig};

    use super::*;

    fn card() -> Card {
        let network = NetworkConfig::new(Architecture::EfficientNetLite0, 2);
        Card::new(network, vec!["A".into(), "B".into()], Preparation::exact(Size::square(32)))
    }

    #[test]
    fn the_last_photograph_is_predicted_again_because_faces_may_be_missing() {
        let card = card();
        let face = |x: f64| Face {
            face_box: FaceBox { x, y: 2.0, width: 30.25, height: 31.0 },
            score: 0.875,
            landmarks: Landmarks { left_eye: [x; 2], right_eye: [x; 2], left_mouth: [x; 2], right_mouth: [x; 2] },
        };
        for format in [RowFormat::Table, RowFormat::Json, RowFormat::Csv] {
            let rows = Rows { format, card: &card, columns: vec![0, 1], top: None, rules: None, has_faces: true };
            let mut lines = rows.header().unwrap();
            let mut starts = Vec::new();
            for (image, number) in [("a  b.jpg", 0), ("a  b.jpg", 1), ("c.jpg", 0), ("d.jpg", 0), ("d.jpg", 1)] {
                starts.push(lines.len());
                rows.append(image, Some((number, &face(number as f64))), &[0.75, 0.25], &mut lines).unwrap();
            }
            for (length, images, end) in [
                (lines.len(), &["a  b.jpg", "c.jpg"][..], starts[3]),
                (lines.len() - 1, &["a  b.jpg", "c.jpg"], starts[3]),
                (starts[3], &["a  b.jpg"], starts[2]),
                (starts[1], &[], starts[0]),
            ] {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(&lines[..length]).unwrap();
                file.seek(SeekFrom::Start(0)).unwrap();
                let Ok(found) = read(&file, &rows) else { panic!("{format:?}: not rows") };
                assert_eq!(found.end, end as u64, "{format:?}");
                assert_eq!(found.images.len(), images.len(), "{format:?}");
                assert!(images.iter().all(|image| found.images.contains(image)), "{format:?}");
                assert_eq!(found.first.is_some(), !images.is_empty(), "{format:?}");
            }
        }
    }
}
