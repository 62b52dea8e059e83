//! CelebA in its official layout (Liu et al., "Deep Learning Face Attributes in the Wild", ICCV 2015).
//!
//! `Anno/list_attr_celeba.txt` states the number of images on its first line and the attribute names on its second;
//! each further line is an image name and one value, -1 or 1, per attribute. `Eval/list_eval_partition.txt` and
//! `Anno/identity_CelebA.txt`, both optional here, hold an image name and a value per line.

use std::collections::HashMap;

use super::spelling::Column;
use super::{Contents, Images, text, without_byte_order_mark};
use crate::error::{DataError, TableFault};
use crate::files::Files;
use crate::sample::Sample;
use crate::split::Split;

const LABELS: &str = "Anno/list_attr_celeba.txt";
const IDENTITIES: &str = "Anno/identity_CelebA.txt";
const SPLITS: &str = "Eval/list_eval_partition.txt";
const IMAGE_FOLDER: &str = "Img/img_align_celeba/";
const IMAGE_ARCHIVE: &str = "Img/img_align_celeba.zip";
/// The folder of the images inside [`IMAGE_ARCHIVE`].
const FOLDER_IN_ARCHIVE: &str = "img_align_celeba/";

/// Where CelebA's layout begins: at the top, or, in an archive of the whole folder, one folder down.
pub(super) fn root(files: &Files, names: &[String]) -> Option<String> {
    if files.contains(LABELS) {
        return Some(String::new());
    }
    let prefix = names.iter().find_map(|name| name.strip_suffix(LABELS))?;
    prefix.strip_suffix('/').is_some_and(|folder| !folder.contains('/')).then(|| prefix.to_owned())
}

/// Reads the layout that begins at `root`.
pub(super) fn read(files: Files, root: &str) -> Result<Contents, DataError> {
    let labels_name = format!("{root}{LABELS}");
    let labels_bytes = files.read_table(&labels_name)?;
    let labels_path = files.describe(&labels_name);
    let mut rows = read_labels(&labels_bytes).map_err(|(line, fault)| DataError::Table {
        file: labels_path.clone(),
        line,
        fault,
    })?;

    for (companion, set) in [(SPLITS, set_split as SetValue), (IDENTITIES, set_identity)] {
        let name = format!("{root}{companion}");
        if files.contains(&name) {
            let bytes = files.read_table(&name)?;
            let companion = Companion { path: files.describe(&name), labels_path: &labels_path };
            companion.read(&bytes, &mut rows, set)?;
        }
    }
    let Rows { attributes, samples, .. } = rows;
    let images = locate_images(files, root, samples.first())?;
    Ok(Contents { attributes, categories: Vec::new(), samples, images })
}

/// The folder of images if it is there, else the archive of them, else the folder that is missing, which is no error
/// until an image is wanted: the annotations alone can be inspected.
fn locate_images(files: Files, root: &str, first: Option<&Sample>) -> Result<Images, DataError> {
    let folder = Images { files, prefix: format!("{root}{IMAGE_FOLDER}") };
    let Files::Folder(path) = &folder.files else { return Ok(folder) };
    let archive = path.join(IMAGE_ARCHIVE);
    if path.join(IMAGE_FOLDER).is_dir() || !archive.is_file() {
        return Ok(folder);
    }
    let mut images = Images { files: Files::zip(&archive)?, prefix: FOLDER_IN_ARCHIVE.to_owned() };
    if first.is_some_and(|sample| {
        !images.files.contains(&images.file_name(&sample.image)) && images.files.contains(&sample.image)
    }) {
        images.prefix.clear();
    }
    Ok(images)
}

/// The rows of the labels, and where each was.
struct Rows {
    attributes: Vec<String>,
    samples: Vec<Sample>,
    /// The line of each sample.
    lines: Vec<u64>,
    /// The sample of each image name.
    by_image: HashMap<String, usize>,
}

fn read_labels(bytes: &[u8]) -> Result<Rows, (u64, TableFault)> {
    let mut lines = lines(bytes);
    let ended = |expected| (1, TableFault::Ended { expected });
    let (line, count) = lines.next().ok_or(ended("the number of images"))?;
    let stated: u64 = text(count).ok().and_then(|count| count.parse().ok()).ok_or_else(|| {
        let found = String::from_utf8_lossy(count).into_owned();
        (line, TableFault::NoCount { found })
    })?;

    let (line, header) = lines.next().ok_or(ended("the attribute names"))?;
    let header = text(header).map_err(|fault| (line, fault))?;
    let attributes: Vec<String> = header.split_ascii_whitespace().map(str::to_owned).collect();
    if let Some(column) = first_repeated(&attributes) {
        return Err((line, TableFault::RepeatedColumn { column: column.to_owned() }));
    }

    // The stated count only sizes the buffers once it is known to be possible.
    let capacity = usize::try_from(stated).unwrap_or(usize::MAX).min(bytes.len() / (2 * attributes.len()).max(2));
    let mut rows = Rows {
        attributes,
        samples: Vec::with_capacity(capacity),
        lines: Vec::with_capacity(capacity),
        by_image: HashMap::with_capacity(capacity),
    };
    let mut columns = vec![Column::default(); rows.attributes.len()];
    for (line, row) in lines {
        rows.add(row, line, &mut columns).map_err(|fault| (line, fault))?;
    }
    let found = rows.samples.len() as u64;
    if found != stated {
        return Err((1, TableFault::Count { stated, found }));
    }
    Ok(rows)
}

impl Rows {
    /// Adds the row of one image.
    fn add(&mut self, row: &[u8], line: u64, columns: &mut [Column]) -> Result<(), TableFault> {
        let mut fields = fields(row);
        let image = text(fields.next().unwrap_or_default())?;
        let mut labels = Vec::with_capacity(columns.len());
        for (column, name) in columns.iter_mut().zip(&self.attributes) {
            let Some(field) = fields.next() else { break };
            labels.push(column.read(field, line, name)?);
        }
        let found = 1 + labels.len() + fields.count();
        if found != 1 + columns.len() {
            return Err(TableFault::FieldCount { found, expected: 1 + columns.len() });
        }
        if let Some(first) = self.by_image.insert(image.to_owned(), self.samples.len()) {
            return Err(TableFault::RepeatedImage { image: image.to_owned(), first_line: self.lines[first] });
        }
        self.samples.push(Sample {
            image: image.to_owned(),
            split: None,
            labels: labels.into_boxed_slice(),
            identity: None,
            categories: Box::default(),
        });
        self.lines.push(line);
        Ok(())
    }
}

/// Stores the value that a companion table has for a sample.
type SetValue = fn(&mut Sample, &str) -> Result<(), TableFault>;

fn set_split(sample: &mut Sample, value: &str) -> Result<(), TableFault> {
    sample.split = Some(value.parse::<Split>()?);
    Ok(())
}

fn set_identity(sample: &mut Sample, value: &str) -> Result<(), TableFault> {
    sample.identity = Some(value.to_owned());
    Ok(())
}

/// A table of an image and a value per line, which must list exactly the images that have labels.
struct Companion<'a> {
    path: String,
    labels_path: &'a str,
}

impl Companion<'_> {
    fn read(&self, bytes: &[u8], rows: &mut Rows, set: SetValue) -> Result<(), DataError> {
        // The line of each sample in this table; 0 where it has none yet.
        let mut seen = vec![0; rows.samples.len()];
        for (line, row) in lines(bytes) {
            self.read_row(row, line, rows, &mut seen, set).map_err(|fault| DataError::Table {
                file: self.path.clone(),
                line,
                fault,
            })?;
        }
        match seen.iter().position(|&line| line == 0) {
            None => Ok(()),
            Some(first) => Err(DataError::Table {
                file: self.labels_path.to_owned(),
                line: rows.lines[first],
                fault: TableFault::MissingRow {
                    image: rows.samples[first].image.clone(),
                    companion: self.path.clone(),
                    missing: seen.iter().filter(|&&line| line == 0).count(),
                },
            }),
        }
    }

    fn read_row(
        &self,
        row: &[u8],
        line: u64,
        rows: &mut Rows,
        seen: &mut [u64],
        set: SetValue,
    ) -> Result<(), TableFault> {
        let mut fields = fields(row);
        let (Some(image), Some(value), None) = (fields.next(), fields.next(), fields.next()) else {
            return Err(TableFault::FieldCount { found: self::fields(row).count(), expected: 2 });
        };
        let image = text(image)?;
        let Some(&index) = rows.by_image.get(image) else {
            return Err(TableFault::UnlabelledImage { image: image.to_owned(), labels: self.labels_path.to_owned() });
        };
        if seen[index] != 0 {
            return Err(TableFault::RepeatedImage { image: image.to_owned(), first_line: seen[index] });
        }
        seen[index] = line;
        set(&mut rows.samples[index], text(value)?)
    }
}

/// The lines that hold anything, with their numbers from 1, without the blanks around them.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let lines = without_byte_order_mark(bytes).split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    (1..).zip(lines).filter(|(_, line)| !line.is_empty())
}

/// The fields of a line, between blanks of any number.
fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty())
}

fn first_repeated(names: &[String]) -> Option<&str> {
    let repeated = |&index: &usize| names[..index].contains(&names[index]);
    (1..names.len()).find(repeated).map(|index| names[index].as_str())
}
