//! Whether a dataset is whole: everything that is wrong with it, in one pass.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::dataset::Dataset;
use crate::decode::decode;
use crate::error::{DataError, ImageError};
use crate::sample::Sample;
use crate::split::Split;
use crate::statistics::Statistics;

/// Images that are decoded between two reports of progress.
const CHUNK: usize = 256;

/// What was found out about a dataset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// The dataset's name.
    pub dataset: String,
    /// Rows that were read.
    pub images: usize,
    /// Images that were decoded.
    pub decoded: usize,
    /// What is wrong, errors first.
    pub findings: Vec<Finding>,
}

/// One kind of thing that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Its name for programs, such as `missing_image`.
    pub kind: &'static str,
    /// Whether the dataset must not be used like this; otherwise it is worth a thought.
    pub error: bool,
    /// What it is, in words.
    pub what: &'static str,
    /// How many there are.
    pub count: usize,
    /// Each of them.
    pub items: Vec<String>,
}

impl Verification {
    /// How many errors there are, of all kinds.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.error).map(|finding| finding.count).sum()
    }
}

/// What decoding one image told.
enum Looked {
    Missing(String),
    Bad(String),
    /// A digest of its pixels, and whether its file was cut short.
    Good([u8; 32], bool),
}

/// Verifies the dataset at `path`: that every row can be read and has an image that decodes, that the
/// splits are disjoint by identity and content, and that the labels make sense. `progress` is told how many images of how many are done.
///
/// # Errors
///
/// Only where nothing can be verified, because there is no dataset or it cannot be opened at all.
pub fn verify(path: &Path, mut progress: impl FnMut(usize, usize)) -> Result<Verification, DataError> {
    let (dataset, faults) = Dataset::open_despite_faults(path)?;
    let samples = dataset.samples();
    let mut report = Report::default();
    for fault in faults {
        report.error("faulty_row", "rows of a table that cannot be read", fault.to_string());
    }
    for note in dataset.notes() {
        report.remark("note", "remarks on the tables and archives", note.clone());
    }

    let mut by_content: HashMap<[u8; 32], Vec<usize>> = HashMap::new();
    let mut decoded = 0;
    let everything: Vec<usize> = (0..samples.len()).collect();
    for indices in everything.chunks(CHUNK) {
        let looked: Vec<Looked> = indices.par_iter().map(|&index| look(&dataset, index)).collect();
        for (&index, looked) in indices.iter().zip(looked) {
            let image = &samples[index].image;
            match looked {
                Looked::Missing(location) => {
                    report.error("missing_image", "images that are not there", format!("{image}: {location}"));
                }
                Looked::Bad(reason) => {
                    report.error("bad_image", "images that cannot be read", format!("{image}: {reason}"));
                }
                Looked::Good(digest, cut_short) => {
                    decoded += 1;
                    by_content.entry(digest).or_default().push(index);
                    if cut_short {
                        let what = "images whose file is cut short, so that a part of them is blank";
                        report.error("truncated_image", what, image.clone());
                    }
                }
            }
        }
        progress(indices[0] + indices.len(), samples.len());
    }
    repeated(samples, by_content, &mut report);
    identities(samples, &mut report);
    labels(&dataset, &mut report);
    if !dataset.has_splits() {
        let what = "splits that are missing";
        report.remark(
            "no_splits",
            what,
            "the table assigns none: training draws them from the recipe's seed".to_owned(),
        );
    }
    let images = samples.len();
    Ok(Verification { dataset: dataset.name().to_owned(), images, decoded, findings: report.finish() })
}

/// The samples among `indices` whose image cannot be used, ascending, each with the reason.
///
/// `progress` is told how many images are done.
#[must_use]
pub fn bad_images(dataset: &Dataset, mut progress: impl FnMut(usize)) -> Vec<(usize, String)> {
    let everything: Vec<usize> = (0..dataset.samples().len()).collect();
    let mut bad = Vec::new();
    for indices in everything.chunks(CHUNK) {
        let looked: Vec<Looked> = indices.par_iter().map(|&index| look(dataset, index)).collect();
        for (&index, looked) in indices.iter().zip(looked) {
            match looked {
                Looked::Missing(location) => bad.push((index, format!("it is not at {location}"))),
                Looked::Bad(reason) => bad.push((index, reason)),
                Looked::Good(..) => {}
            }
        }
        progress(indices[0] + indices.len());
    }
    bad
}

fn look(dataset: &Dataset, index: usize) -> Looked {
    if let Some(pixels) = dataset.packed_pixels(index) {
        return Looked::Good(Sha256::digest(&pixels).into(), false);
    }
    let encoded = match dataset.encoded_image(index) {
        Ok(encoded) => encoded,
        Err(DataError::ReadImage { location, source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Looked::Missing(location);
        }
        Err(error) => return Looked::Bad(chain(&error)),
    };
    match catch_unwind(AssertUnwindSafe(|| decode(&encoded))).unwrap_or(Err(ImageError::DecoderPanicked)) {
        Ok(image) => {
            let mut hasher = Sha256::new();
            hasher.update(image.width().to_le_bytes());
            hasher.update(image.as_raw());
            Looked::Good(hasher.finalize().into(), is_cut_short(&encoded))
        }
        Err(error) => Looked::Bad(chain(&error)),
    }
}

/// Whether a JPEG lacks its end, which decoders bear.
fn is_cut_short(encoded: &[u8]) -> bool {
    // Some cameras write a few bytes after the end.
    let tail = &encoded[encoded.len().saturating_sub(1 << 10)..];
    encoded.starts_with(b"\xFF\xD8") && !tail.windows(2).any(|pair| pair == b"\xFF\xD9")
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

/// The same picture twice: in two splits an error, in one a remark, and with other labels a remark of its own.
fn repeated(samples: &[Sample], by_content: HashMap<[u8; 32], Vec<usize>>, report: &mut Report) {
    let mut copies: Vec<Vec<usize>> = by_content.into_values().filter(|copies| copies.len() > 1).collect();
    copies.sort_unstable();
    for copies in copies {
        let splits: BTreeSet<Option<Split>> = copies.iter().map(|&index| samples[index].split).collect();
        let names = |with_split: bool| -> String {
            let name = |&index: &usize| match samples[index].split {
                Some(split) if with_split => format!("{} ({split})", samples[index].image),
                _ => samples[index].image.clone(),
            };
            copies.iter().map(name).collect::<Vec<_>>().join(" = ")
        };
        if splits.len() > 1 {
            report.error("content_in_two_splits", "pictures that are in more than one split", names(true));
        } else {
            report.remark("repeated_content", "pictures that are in one split more than once", names(false));
        }
        if copies.iter().any(|&index| samples[index].labels != samples[copies[0]].labels) {
            report.remark("contradicting_labels", "pictures that are there twice with different labels", names(false));
        }
    }
}

fn identities(samples: &[Sample], report: &mut Report) {
    let mut splits: BTreeMap<&str, BTreeSet<Split>> = BTreeMap::new();
    for sample in samples {
        if let (Some(identity), Some(split)) = (&sample.identity, sample.split) {
            splits.entry(identity).or_default().insert(split);
        }
    }
    for (identity, splits) in splits.iter().filter(|(_, splits)| splits.len() > 1) {
        let splits: Vec<&str> = splits.iter().map(|split| split.name()).collect();
        let item = format!("{identity}: {}", splits.join(", "));
        report.error("identity_in_two_splits", "people who are in more than one split", item);
    }
}

fn labels(dataset: &Dataset, report: &mut Report) {
    for (column, name) in dataset.attributes().iter().enumerate() {
        if dataset.samples().iter().all(|sample| sample.labels[column].known().is_none()) {
            report.error("attribute_without_labels", "attributes that nothing is known of", name.clone());
        }
    }
    for split in Split::ALL {
        let statistics = Statistics::of(dataset, split);
        for attribute in statistics.attributes.iter().filter(|_| statistics.samples > 0) {
            if attribute.known() > 0 && (attribute.present == 0 || attribute.absent == 0) {
                let item = format!(
                    "{}: present in {} and absent in {} {split} images",
                    attribute.name, attribute.present, attribute.absent
                );
                report.remark("constant_attribute", "attributes that are always or never there", item);
            }
        }
    }
}

/// Findings as they come in.
#[derive(Default)]
struct Report(Vec<Finding>);

impl Report {
    fn error(&mut self, kind: &'static str, what: &'static str, item: String) {
        self.add(kind, true, what, item);
    }

    fn remark(&mut self, kind: &'static str, what: &'static str, item: String) {
        self.add(kind, false, what, item);
    }

    fn add(&mut self, kind: &'static str, error: bool, what: &'static str, item: String) {
        let place = self.0.iter().position(|finding| finding.kind == kind).unwrap_or_else(|| {
            self.0.push(Finding { kind, error, what, count: 0, items: Vec::new() });
            self.0.len() - 1
        });
        self.0[place].count += 1;
        self.0[place].items.push(item);
    }

    fn finish(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| !finding.error);
        self.0
    }
}
