//! The files of an audit: two tables and a page.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use visage_judge::LabelDoubt;
use visage_run::audit::{DatasetAudit, DuplicatePair};
use visage_weights::atomic;

use crate::audit::{self, AuditReport, DoubtfulLabel};
use crate::error::ReportError;
use crate::thumbnail::thumbnail;
use crate::write::write_audit;

/// The table of doubtful labels.
const LABELS: &str = "audit-labels.csv";
/// The table of duplicate images.
const DUPLICATES: &str = "audit-duplicates.csv";
/// The page.
const PAGE: &str = "audit.html";

/// Rows in each table of the page: what a browser opens at once, and more than anyone reads.
const ROWS: usize = 2000;
/// Labels, and pairs of duplicates, with pictures in the gallery of the page.
const PICTURES: usize = 60;

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
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ReportError::Write { path, source }
        };
        let existing = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        fs::create_dir_all(existing).map_err(failed(folder))?;
        let paths = [LABELS, DUPLICATES, PAGE].map(|name| folder.join(name));
        for (path, contents) in paths.iter().zip([self.labels(), self.duplicates()]) {
            contents
                .and_then(|contents| atomic::write(path, |file| file.write_all(&contents)))
                .map_err(failed(path))?;
        }
        write_audit(&self.page()?, &paths[2])?;
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
                    self.audit.image_name(doubt.image).to_owned(),
                    self.audit.attributes[doubt.column].clone(),
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
                let [image, same_as] = images.map(|image| self.audit.image_name(image));
                rows.write_record([image, same_as, &format!("{difference:.3}"), &contradicting.join(" ")])?;
            }
            Ok(())
        })
    }

    fn page(&self) -> Result<AuditReport, ReportError> {
        let audit = self.audit;
        let doubts = audit.labels.doubts.iter().take(ROWS).enumerate();
        let mut duplicates: Vec<&DuplicatePair> = audit.duplicates.iter().collect();
        duplicates.sort_by_key(|pair| std::cmp::Reverse(pair.contradicting.len()));
        let duplicates = duplicates.into_iter().take(ROWS).enumerate();
        Ok(AuditReport {
            dataset: audit.dataset.name().to_owned(),
            made: self.made.clone(),
            about: self.about.clone(),
            remarks: self.remarks.clone(),
            attributes: audit.labels.attributes.clone(),
            doubts: doubts.map(|(number, doubt)| self.doubtful(number, doubt)).collect::<Result<_, _>>()?,
            labels: audit.labels.doubts.len(),
            duplicates: duplicates.map(|(number, pair)| self.duplicate(number, pair)).collect::<Result<_, _>>()?,
            pairs: audit.duplicates.len(),
            tables: [LABELS, DUPLICATES].map(str::to_owned),
        })
    }

    fn doubtful(&self, number: usize, doubt: &LabelDoubt) -> Result<DoubtfulLabel, ReportError> {
        Ok(DoubtfulLabel {
            image: self.audit.image_name(doubt.image).to_owned(),
            attribute: self.audit.attributes[doubt.column].clone(),
            present: doubt.present,
            probability: doubt.probability,
            suspect: doubt.suspect,
            jpeg: self.picture(number, doubt.image)?,
        })
    }

    fn duplicate(&self, number: usize, pair: &DuplicatePair) -> Result<audit::DuplicatePair, ReportError> {
        let [first, second] = pair.images;
        Ok(audit::DuplicatePair {
            images: pair.images.map(|image| self.audit.image_name(image).to_owned()),
            difference: pair.difference,
            contradicting: pair.contradicting.clone(),
            jpegs: self.picture(number, first)?.zip(self.picture(number, second)?).map(<[_; 2]>::from),
        })
    }

    /// The picture of an image in row `number`, if it is shown.
    fn picture(&self, number: usize, image: usize) -> Result<Option<Vec<u8>>, ReportError> {
        let shown = self.gallery && number < PICTURES;
        shown.then(|| thumbnail(&self.audit.dataset, self.audit.indices[image])).transpose()
    }
}

/// A CSV file in memory.
fn table(
    header: &[&str],
    rows: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error>,
) -> Result<Vec<u8>, io::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header)?;
    rows(&mut writer)?;
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}
