//! What an audit leaves: two tables and a page.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use visage_data::Dataset;
use visage_data::duplicates::Duplicate;
use visage_judge::{Audit, LabelDoubt};
use visage_report::{AuditReport, DoubtfulLabel, DuplicatePair, write_audit};
use visage_weights::atomic;

use crate::error::CommandError;
use crate::pictures::thumbnail;

/// The table of doubtful labels.
pub const LABELS: &str = "audit-labels.csv";
/// The table of images that show the same.
pub const DUPLICATES: &str = "audit-duplicates.csv";
/// The page.
pub const PAGE: &str = "audit.html";

/// Rows of each table of the page: what a browser opens at once, and more than anyone looks through.
const ROWS: usize = 2000;
/// Pictures of doubtful labels, and pairs of images that show the same, in the gallery of the page.
const PICTURES: usize = 60;

/// What there is to write about.
pub struct Findings<'a> {
    /// The dataset.
    pub dataset: &'a Dataset,
    /// The numbers of the images audited.
    pub indices: &'a [usize],
    /// The attributes that labels are of.
    pub attributes: &'a [String],
    /// The labels.
    pub audit: &'a Audit,
    /// Images that show the same, each with the attributes of contradicting labels.
    pub same: &'a [(Duplicate, Vec<&'a str>)],
    /// The share of the labels, the most doubtful first, that the table lists.
    pub share: f64,
    /// What was looked at and how, in words.
    pub about: Vec<String>,
    /// What to beware of, in words.
    pub remarks: Vec<String>,
    /// When and by what, in words.
    pub made: String,
    /// Whether to show pictures.
    pub gallery: bool,
}

impl Findings<'_> {
    /// Writes all three to `folder`, which is made if it is not there, and returns their paths.
    ///
    /// # Errors
    ///
    /// When one cannot be written, or a picture cannot be read.
    pub fn write(&self, folder: &Path) -> Result<[PathBuf; 3], CommandError> {
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        std::fs::create_dir_all(here).map_err(|source| CommandError::Write { path: folder.to_owned(), source })?;
        let written = [LABELS, DUPLICATES, PAGE].map(|name| folder.join(name));
        write(&written[0], self.labels())?;
        write(&written[1], self.duplicates())?;
        write_audit(&self.page()?, &written[2])?;
        Ok(written)
    }

    /// The name of image number `image` of the audit.
    fn name(&self, image: usize) -> &str {
        &self.dataset.samples()[self.indices[image]].image
    }

    fn labels(&self) -> Result<Vec<u8>, io::Error> {
        let ranked = (self.audit.doubts.len() as f64 * self.share).ceil() as usize;
        let header = ["rank", "image", "attribute", "label", "probability", "confidence", "suspect"];
        table(&header, |rows| {
            for (rank, doubt) in self.audit.doubts.iter().take(ranked).enumerate() {
                rows.write_record([
                    (rank + 1).to_string(),
                    self.name(doubt.image).to_owned(),
                    self.attributes[doubt.column].clone(),
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
            for (pair, differing) in self.same {
                let difference = format!("{:.3}", pair.difference);
                let names = [self.name(pair.first), self.name(pair.second)];
                rows.write_record([names[0], names[1], &difference, &differing.join(" ")])?;
            }
            Ok(())
        })
    }

    fn page(&self) -> Result<AuditReport, CommandError> {
        let picture = |number: usize, image: usize| {
            let wanted = self.gallery && number < PICTURES;
            wanted.then(|| thumbnail(self.dataset, self.indices[image])).transpose()
        };
        let doubted = |(number, doubt): (usize, &LabelDoubt)| {
            Ok(DoubtfulLabel {
                image: self.name(doubt.image).to_owned(),
                attribute: self.attributes[doubt.column].clone(),
                present: doubt.present,
                probability: doubt.probability,
                suspect: doubt.suspect,
                jpeg: picture(number, doubt.image)?,
            })
        };
        let twice = |(number, (pair, differing)): (usize, &&(Duplicate, Vec<&str>))| {
            Ok(DuplicatePair {
                images: [pair.first, pair.second].map(|image| self.name(image).to_owned()),
                difference: pair.difference,
                contradicting: differing.iter().map(ToString::to_string).collect(),
                jpegs: picture(number, pair.first)?.zip(picture(number, pair.second)?).map(<[_; 2]>::from),
            })
        };
        let mut same: Vec<&(Duplicate, Vec<&str>)> = self.same.iter().collect();
        same.sort_by_key(|(_, differing)| std::cmp::Reverse(differing.len()));
        Ok(AuditReport {
            dataset: self.dataset.name().to_owned(),
            made: self.made.clone(),
            about: self.about.clone(),
            remarks: self.remarks.clone(),
            attributes: self.audit.attributes.clone(),
            doubts: self
                .audit
                .doubts
                .iter()
                .take(ROWS)
                .enumerate()
                .map(doubted)
                .collect::<Result<_, CommandError>>()?,
            labels: self.audit.doubts.len(),
            duplicates: same.iter().take(ROWS).enumerate().map(twice).collect::<Result<_, CommandError>>()?,
            pairs: self.same.len(),
            tables: [LABELS, DUPLICATES].map(str::to_owned),
        })
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

fn write(path: &Path, contents: Result<Vec<u8>, io::Error>) -> Result<(), CommandError> {
    contents
        .and_then(|contents| atomic::write(path, |file| file.write_all(&contents)))
        .map_err(|source| CommandError::Write { path: path.to_owned(), source })
}
