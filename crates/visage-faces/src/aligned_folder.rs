//! A folder of aligned faces with a table of them, written photograph by photograph, so that an interrupted one is resumed.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Cursor, Write};
use std::path::{Component, Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::{ImageError as EncodeError, RgbImage};

use crate::error::FacesError;
use crate::finder::Face;

/// The name of the table.
const TABLE: &str = "faces.csv";
/// JPEG quality of aligned faces, of 100: training reads them.
const QUALITY: u8 = 95;
const HEADER: [&str; 16] = [
    "photograph",
    "image",
    "face",
    "score",
    "box_x",
    "box_y",
    "box_width",
    "box_height",
    "left_eye_x",
    "left_eye_y",
    "right_eye_x",
    "right_eye_y",
    "left_mouth_x",
    "left_mouth_y",
    "right_mouth_x",
    "right_mouth_y",
];

/// A folder of aligned faces.
#[derive(Debug)]
pub struct AlignedFolder {
    path: PathBuf,
    table: File,
    /// The photographs that are in the table.
    photographs: HashSet<String>,
    /// The images that are in the table.
    images: HashSet<String>,
}

impl AlignedFolder {
    /// Opens or makes the folder `path`. Of a table that another process left, the rows of the last photograph are removed: they
    /// may not be all.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read or written, or its table is not one of these.
    pub fn open(path: &Path) -> Result<Self, FacesError> {
        let table_path = path.join(TABLE);
        let read = |source| FacesError::Read { path: table_path.clone(), source };
        let write = |source| FacesError::Write { path: table_path.clone(), source };
        fs::create_dir_all(path).map_err(write)?;
        let text = match fs::read_to_string(&table_path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(read(source)),
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let other = || read(io::Error::new(io::ErrorKind::InvalidData, "it is not a table of aligned faces"));
        if !text.is_empty() && whole.lines().next() != Some(&HEADER.join(",")) {
            return Err(other());
        }
        let mut rows = Vec::new();
        let mut reader = csv::Reader::from_reader(whole.as_bytes());
        for record in reader.records() {
            let record = record.map_err(|_| other())?;
            let start = record.position().map_or(0, |position| position.byte() as usize);
            rows.push((start, record[0].to_owned(), record[1].to_owned()));
        }
        let last = rows.last().map(|(_, photograph, _)| photograph.clone());
        let kept = rows.iter().take_while(|(_, photograph, _)| Some(photograph) != last.as_ref()).count();
        let end = rows.get(kept).map_or(whole.len(), |(start, ..)| *start);
        let mut table = OpenOptions::new().create(true).append(true).open(&table_path).map_err(write)?;
        table.set_len(end as u64).map_err(write)?;
        if end == 0 {
            table.write_all(format!("{}\n", HEADER.join(",")).as_bytes()).map_err(write)?;
        }
        rows.truncate(kept);
        let photographs = rows.iter().map(|(_, photograph, _)| photograph.clone()).collect();
        let images = rows.into_iter().map(|(.., image)| image).collect();
        Ok(AlignedFolder { path: path.to_owned(), table, photographs, images })
    }

    /// Whether the table has this photograph.
    #[must_use]
    pub fn has(&self, photograph: &str) -> bool {
        self.photographs.contains(photograph)
    }

    /// Writes the aligned faces of a photograph below the folder, at the path `place` and numbered, and then their rows. A
    /// photograph without a face has a row without an image.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn add(&mut self, photograph: &str, place: &Path, faces: &[(Face, RgbImage)]) -> Result<(), FacesError> {
        let mut rows = csv::Writer::from_writer(Vec::new());
        let table_path = self.path.join(TABLE);
        let failed = |error: csv::Error| FacesError::Write { path: table_path.clone(), source: error.into() };
        if faces.is_empty() {
            let blank = std::iter::once(photograph).chain(std::iter::repeat_n("", HEADER.len() - 1));
            rows.write_record(blank).map_err(failed)?;
        }
        for (number, (face, aligned)) in faces.iter().enumerate() {
            let image = self.free_name(place, number);
            self.write_image(&image, aligned)?;
            rows.write_record(row(photograph, &image, number, face)).map_err(failed)?;
            self.images.insert(image);
        }
        let bytes = rows.into_inner().map_err(|error| failed(error.into_error().into()))?;
        // In one piece, and on the disk, before the next photograph.
        let written = self.table.write_all(&bytes).and_then(|()| self.table.flush());
        written.map_err(|source| FacesError::Write { path: self.path.join(TABLE), source })?;
        self.photographs.insert(photograph.to_owned());
        Ok(())
    }

    /// A name for a face that no other photograph's has.
    fn free_name(&self, place: &Path, number: usize) -> String {
        let parts = place.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        });
        let path = parts.collect::<Vec<_>>().join("/");
        let (folder, file) =
            path.rsplit_once('/').map_or((String::new(), path.as_str()), |(f, n)| (format!("{f}/"), n));
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        let numbered = if number == 0 { stem.to_owned() } else { format!("{stem}-{number}") };
        let mut names = std::iter::once(format!("{folder}{numbered}.jpg"))
            .chain((2..).map(|copy| format!("{folder}{numbered}({copy}).jpg")));
        names.find(|name| !self.images.contains(name)).unwrap_or_default()
    }

    fn write_image(&self, name: &str, aligned: &RgbImage) -> Result<(), FacesError> {
        let path = self.path.join(name);
        let failed = |source| FacesError::Write { path: path.clone(), source };
        let mut bytes = Cursor::new(Vec::new());
        let encoded = JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(aligned);
        encoded.map_err(|error| match error {
            EncodeError::IoError(error) => failed(error),
            other => failed(io::Error::other(other)),
        })?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        fs::write(&path, bytes.into_inner()).map_err(failed)
    }
}

fn row(photograph: &str, image: &str, number: usize, face: &Face) -> Vec<String> {
    let Face { face_box, score, landmarks } = face;
    let points = [landmarks.left_eye, landmarks.right_eye, landmarks.left_mouth, landmarks.right_mouth];
    let mut row = vec![photograph.to_owned(), image.to_owned(), number.to_string(), format!("{score:.4}")];
    let numbers =
        [face_box.x, face_box.y, face_box.width, face_box.height].into_iter().chain(points.into_iter().flatten());
    row.extend(numbers.map(|number| format!("{number:.2}")));
    row
}

#[cfg(test)]
mod tests {
    use visage_data::Landmarks;

    use super::*;
    use crate::geometry::FaceBox;

    fn face() -> (Face, RgbImage) {
        let landmarks =
            Landmarks { left_eye: [1.0; 2], right_eye: [2.0; 2], left_mouth: [3.0; 2], right_mouth: [4.0; 2] };
        let face_box = FaceBox { x: 1.0, y: 2.0, width: 3.0, height: 4.0 };
        (Face { face_box, score: 0.75, landmarks }, RgbImage::new(178, 218))
    }

    #[test]
    fn a_folder_is_resumed_without_the_rows_of_the_last_photograph() {
        let home = tempfile::tempdir().unwrap();
        let mut folder = AlignedFolder::open(home.path()).unwrap();
        folder.add("/p/a.png", Path::new("p/a.png"), &[face(), face()]).unwrap();
        folder.add("b, c.jpg", Path::new("b, c.jpg"), &[]).unwrap();
        folder.add("p/a.jpg", Path::new("p/a.jpg"), &[face()]).unwrap();
        drop(folder);
        let table = home.path().join(TABLE);
        let whole = fs::read_to_string(&table).unwrap();
        assert_eq!(
            whole.lines().nth(2).unwrap(),
            "/p/a.png,p/a-1.jpg,1,0.7500,1.00,2.00,3.00,4.00,1.00,1.00,2.00,2.00,3.00,3.00,4.00,4.00"
        );
        assert!(
            whole
                .ends_with("p/a.jpg,p/a(2).jpg,0,0.7500,1.00,2.00,3.00,4.00,1.00,1.00,2.00,2.00,3.00,3.00,4.00,4.00\n")
        );
        // Killed within a row.
        fs::write(&table, &whole[..whole.len() - 9]).unwrap();
        let mut folder = AlignedFolder::open(home.path()).unwrap();
        assert_eq!(["/p/a.png", "b, c.jpg", "p/a.jpg"].map(|name| folder.has(name)), [true, false, false]);
        folder.add("b, c.jpg", Path::new("b, c.jpg"), &[]).unwrap();
        folder.add("p/a.jpg", Path::new("p/a.jpg"), &[face()]).unwrap();
        assert_eq!(fs::read_to_string(&table).unwrap(), whole);
        fs::write(&table, "image,S\n1,2\n").unwrap();
        assert!(AlignedFolder::open(home.path()).is_err());
    }
}
