//! The files of an audit: two tables and a page.

use std::io;
use std::path::{Path, PathBuf};

use visage_run::audit::{DatasetAudit, DuplicatePair};
use visage_run::spreadsheet::cell;

use crate::error::ReportError;
use crate::page;
use crate::write::{create_folder, failed, write_file};

pub(crate) const LABELS: &str = "audit-labels.csv";
pub(crate) const DUPLICATES: &str = "audit-duplicates.csv";
const PAGE: &str = "audit.html";

/// The audit of a dataset, to be written to files.
pub struct AuditFiles<'a> {
    /// The audit.
    pub audit: &'a DatasetAudit,
    /// The fraction of the labels, the most doubtful first, in the table of labels.
    pub share: f64,
    /// What was audited and how, a paragraph each.
    pub about: Vec<String>,
    /// Warnings, a paragraph each.
    pub remarks: Vec<String>,
    /// When and by which version: see [`made`](crate::made).
    pub made: String,
    /// Whether the page shows pictures.
    pub gallery: bool,
}

impl AuditFiles<'_> {
    /// Writes `audit-labels.csv`, `audit-duplicates.csv` and `audit.html` to `folder`, which is created if needed, and returns their
    /// paths.
    ///
    /// # Errors
    ///
    /// If a file cannot be written, or a picture cannot be read.
    pub fn write(&self, folder: &Path) -> Result<[PathBuf; 3], ReportError> {
        create_folder(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?;
        let paths = [LABELS, DUPLICATES, PAGE].map(|name| folder.join(name));
        for (path, contents) in paths.iter().zip([self.labels(), self.duplicates()]) {
            write_file(path, &contents.map_err(failed(path))?)?;
        }
        write_file(&paths[2], page::audit(self)?.as_bytes())?;
        Ok(paths)
    }

    fn labels(&self) -> Result<Vec<u8>, io::Error> {
        let doubts = &self.audit.labels.doubts;
        let listed = (doubts.len() as f64 * self.share).ceil() as usize;
        let header = ["rank", "image", "attribute", "label", "probability", "confidence", "suspect"];
        table(&header, |rows| {
            for (rank, doubt) in doubts.iter().take(listed).enumerate() {
                rows.write_record([
                    (rank + 1).to_string(),
                    cell(self.audit.image_name(doubt.image)).into_owned(),
                    cell(&self.audit.attributes[doubt.column]).into_owned(),
                    u8::from(doubt.present).to_string(),
                    doubt.probability.to_string(),
                    doubt.confidence.to_string(),
                    u8::from(doubt.suspect).to_string(),
                ])?;
            }
            Ok(())
        })
    }

    fn duplicates(&self) -> Result<Vec<u8>, io::Error> {
        table(&["image", "same_as", "difference", "contradicting_attributes"], |rows| {
            for DuplicatePair { images, difference, contradicting } in &self.audit.duplicates {
                let [image, same_as] = images.map(|image| cell(self.audit.image_name(image)));
                let contradicting = contradicting.join(" ");
                rows.write_record([&*image, &*same_as, &format!("{difference:.3}"), &*cell(&contradicting)])?;
            }
            Ok(())
        })
    }
}

fn table(
    header: &[&str],
    rows: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error>,
) -> Result<Vec<u8>, io::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header)?;
    rows(&mut writer)?;
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}
