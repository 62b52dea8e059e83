//! CelebA (Liu et al., "Deep Learning Face Attributes in the Wild", ICCV 2015) in the layouts in which people have it.
//!
//! Its tables are found by their names, in any folder: `list_attr_celeba` as `.txt` (the original, in `Anno/`, or in
//! torchvision's copy beside everything else) or as `.csv` (Kaggle's). The companion tables are optional. Each line holds an
//! image name and one or more values; a line with the number of rows and a header may come first.

use super::faults::Faults;
use super::locate::locate;
use super::reader::{Contents, SourceFiles};
use super::rows::{plain_rows, text};
use super::split_column::split_of_value;
use super::table::Table;
use super::text_table::read_table;
use crate::error::{DataError, TableFault};
use crate::files::{Files, Listing};
use crate::sample::Sample;
use crate::table_options::TableOptions;

/// The name of the table of labels, without its extension.
pub(super) const LABELS: &str = "list_attr_celeba";

/// How the names of the folder and the archive of the images begin: of the aligned ones (`img_align_celeba`,
/// `img_align_celeba_png`) and of the original photographs.
pub(super) const IMAGE_FOLDERS: [&str; 2] = ["img_align_celeba", "img_celeba"];

/// A table beside the labels.
pub(super) struct Companion {
    /// Its name without the extension.
    pub(super) name: &'static str,
    /// The number of values after an image's name.
    values: usize,
    /// Stores the values in a sample.
    set: fn(&mut Sample, &[&str]) -> Result<(), TableFault>,
}

/// The landmarks in the aligned images, and in the original photographs.
pub(super) const LANDMARKS: [&str; 2] = ["list_landmarks_align_celeba", "list_landmarks_celeba"];

pub(super) const COMPANIONS: [Companion; 3] = [
    Companion { name: "list_eval_partition", values: 1, set: set_split },
    Companion { name: "identity_celeba", values: 1, set: set_identity },
    Companion { name: "list_bbox_celeba", values: 4, set: set_box },
];

/// The table of labels, the fewest folders down.
pub(super) fn find_labels(listing: &Listing) -> Option<&str> {
    find(listing, LABELS)
}

fn find<'a>(listing: &'a Listing, wanted: &str) -> Option<&'a str> {
    let is_wanted = |name: &&String| {
        let file = name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        [".txt", ".csv"].iter().any(|extension| file.strip_suffix(extension) == Some(wanted))
    };
    listing.files.iter().filter(is_wanted).min_by_key(|name| name.matches('/').count()).map(String::as_str)
}

/// Reads the table of labels and its companions.
pub(super) fn read(source: SourceFiles, options: &TableOptions, faults: &mut Faults) -> Result<Contents, DataError> {
    let SourceFiles { files, listing, names } = source;
    let labels = names.first().map(String::as_str).unwrap_or_default();
    let mut table = read_table(&files, labels, options, faults)?;
    for companion in COMPANIONS {
        if let Some(name) = find(&listing, companion.name) {
            companion.read(&files, name, &mut table, faults)?;
        }
    }
    let last = |name: &str| name.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let is_image_folder = |name: &str| IMAGE_FOLDERS.iter().any(|known| last(name).starts_with(known));
    let (anno, _) = labels.rsplit_once('/').unwrap_or(("", labels));
    let root = anno.strip_suffix("Anno").unwrap_or(anno);
    let expected = format!("{root}Img/img_align_celeba/");
    let located = locate(files.clone(), &listing, &expected, is_image_folder, &table.samples)?;
    let first = table.samples.first().map(|sample| located.images.describe(0, &sample.image)).unwrap_or_default();
    let folders = || first.split(['/', '\\', ' ']).map(last);
    let has_originals = folders().any(|folder| folder.starts_with(IMAGE_FOLDERS[1]))
        && !folders().any(|folder| folder.starts_with(IMAGE_FOLDERS[0]));
    if let Some(name) = find(&listing, LANDMARKS[usize::from(has_originals)]) {
        let landmarks = Companion { name: "landmarks", values: 10, set: set_landmarks };
        landmarks.read(&files, name, &mut table, faults)?;
    }
    let form = if has_originals { "CelebA, original photographs" } else { "CelebA" };
    Ok(Contents::new(form, table, located))
}

fn set_split(sample: &mut Sample, values: &[&str]) -> Result<(), TableFault> {
    sample.split = Some(split_of_value(values[0])?);
    Ok(())
}

fn set_identity(sample: &mut Sample, values: &[&str]) -> Result<(), TableFault> {
    sample.identity = Some(values[0].to_owned());
    Ok(())
}

fn set_landmarks(sample: &mut Sample, values: &[&str]) -> Result<(), TableFault> {
    let mut points = [[0.0; 2]; 5];
    for (point, values) in points.iter_mut().zip(values.chunks(2)) {
        *point = [integer(values[0])?, integer(values[1])?];
    }
    sample.landmarks = Some(points);
    Ok(())
}

fn set_box(sample: &mut Sample, values: &[&str]) -> Result<(), TableFault> {
    sample.face_box = Some([integer(values[0])?, integer(values[1])?, integer(values[2])?, integer(values[3])?]);
    Ok(())
}

fn integer(value: &str) -> Result<f64, TableFault> {
    value.parse().map(|value: i32| value.into()).map_err(|_| TableFault::NotInteger { value: value.to_owned() })
}

impl Companion {
    /// Reads this table, which must list exactly the images that have labels.
    fn read(&self, files: &Files, name: &str, table: &mut Table, faults: &mut Faults) -> Result<(), DataError> {
        let bytes = files.read_table(name)?;
        let file = files.describe(name);
        // The line of each sample in this table; 0 if none is found yet.
        let mut seen = vec![0; table.samples.len()];
        let mut in_rows = false;
        for (line, row) in plain_rows(&bytes) {
            // The number of rows and a header may come first; neither begins with an image name.
            let is_image = row.first().and_then(|name| text(name).ok()).is_some_and(|n| table.by_image.contains_key(n));
            if !in_rows && !is_image && line <= 2 && !row.first().is_some_and(|name| name.contains(&b'.')) {
                continue;
            }
            in_rows = true;
            if let Err(fault) = self.read_row(&row, line, table, &mut seen) {
                faults.report(&file, line, fault)?;
            }
        }
        match seen.iter().position(|&line| line == 0) {
            None => Ok(()),
            Some(first) => {
                let fault = TableFault::MissingRow {
                    image: table.samples[first].image.clone(),
                    companion: file,
                    missing: seen.iter().filter(|&&line| line == 0).count(),
                };
                let (labels, line) = table.place(first);
                faults.report(labels, line, fault)
            }
        }
    }

    fn read_row(&self, row: &[&[u8]], line: u64, table: &mut Table, seen: &mut [u64]) -> Result<(), TableFault> {
        if row.len() != 1 + self.values {
            return Err(TableFault::FieldCount { found: row.len(), expected: 1 + self.values });
        }
        let fields = row.iter().map(|field| text(field)).collect::<Result<Vec<_>, _>>()?;
        let image = fields[0];
        let Some(&index) = table.by_image.get(image) else {
            return Err(TableFault::UnlabelledImage { image: image.to_owned(), labels: table.files.concat() });
        };
        if seen[index] != 0 {
            return Err(TableFault::RepeatedImage { image: image.to_owned(), first_line: seen[index] });
        }
        seen[index] = line;
        (self.set)(&mut table.samples[index], &fields[1..])
    }
}
