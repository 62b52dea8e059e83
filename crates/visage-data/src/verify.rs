//! Verifying a dataset: every problem of its rows, images, splits and labels, in one pass.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::dataset::Dataset;
use crate::decode::{Decoded, Truncated, decode};
use crate::error::{DataError, ImageError, with_causes};
use crate::sample::Sample;
use crate::split::Split;
use crate::statistics::Statistics;
use crate::table_options::TableOptions;

/// Images that are decoded between two reports of progress.
const CHUNK: usize = 256;

/// The result of verifying a dataset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// The dataset's name.
    pub dataset: String,
    /// The number of rows that were read.
    pub images: usize,
    /// The number of images that were decoded.
    pub decoded: usize,
    /// The problems, errors first.
    pub findings: Vec<Finding>,
}

/// All problems of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The kind's name for programs, such as `missing_image`.
    pub kind: &'static str,
    /// Whether the dataset must not be used like this; otherwise it is a remark.
    pub error: bool,
    /// A description of the kind.
    pub what: &'static str,
    /// The number of problems.
    pub count: usize,
    /// A description of each.
    pub items: Vec<String>,
}

impl Verification {
    /// The number of errors of all kinds.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.error).map(|finding| finding.count).sum()
    }
}

/// Verifies the dataset at `path`: that every row can be read and has an image that decodes, that no person and no image is in
/// two splits, and that the labels are plausible. An image that is cut short is an error, or a remark if `truncated` accepts it.
/// `progress` is called with the number of images done and the number of all.
///
/// # Errors
///
/// When there is no dataset, or it cannot be opened at all.
pub fn verify(
    path: &Path,
    options: &TableOptions,
    truncated: Truncated,
    mut progress: impl FnMut(usize, usize),
) -> Result<Verification, DataError> {
    let (mut dataset, faults) = Dataset::open_despite_faults(path, options)?;
    if truncated == Truncated::Accept {
        dataset.accept_truncated();
    }
    let samples = dataset.samples();
    let mut report = Report::default();
    for fault in faults {
        report.error("faulty_row", "rows of a table that cannot be read", fault.to_string());
    }
    for note in dataset.notes() {
        report.remark("note", "remarks on the tables and archives", note.clone());
    }
    let (decoded, by_content) = check_images(&dataset, |done| progress(done, samples.len()), &mut report);
    check_repeated_images(samples, by_content, &mut report);
    check_identities(samples, &mut report);
    check_labels(&dataset, &mut report);
    if !dataset.has_splits() {
        let item = "the table assigns no splits: training draws them from the recipe's seed";
        report.remark("no_splits", "missing splits", item.to_owned());
    }
    let images = samples.len();
    Ok(Verification { dataset: dataset.name().to_owned(), images, decoded, findings: report.finish() })
}

/// The samples whose image cannot be used, ascending, each with the reason. One that is cut short can be used if the dataset
/// [accepts](Dataset::accept_truncated) that. `progress` is called with the number of images done.
#[must_use]
pub fn bad_images(dataset: &Dataset, progress: impl FnMut(usize)) -> Vec<(usize, String)> {
    let mut bad = Vec::new();
    inspect_all(dataset, progress, |index, inspection| match inspection {
        Inspection::Missing(location) => bad.push((index, format!("there is no file at {location}"))),
        Inspection::Bad(reason) | Inspection::Truncated(reason) => bad.push((index, reason)),
        Inspection::Good { .. } => {}
    });
    bad
}

/// Checks the header of every image that is a file of its own, which takes a fraction of the time that decoding takes. Returns the
/// number of images that were checked, and those that cannot be used, ascending, each with the reason. `progress` is called with the
/// number of images done.
#[must_use]
pub fn bad_headers(dataset: &Dataset, mut progress: impl FnMut(usize)) -> (usize, Vec<(usize, String)>) {
    let everything: Vec<usize> = (0..dataset.samples().len()).collect();
    let (mut checked, mut bad) = (0, Vec::new());
    for indices in everything.chunks(CHUNK) {
        let found: Vec<Option<Option<String>>> = indices
            .par_iter()
            .map(|&index| {
                if dataset.has_readable_header(index)? {
                    return Some(None);
                }
                // Decoding says what is wrong with it, if anything.
                Some(match inspect(dataset, index) {
                    Inspection::Missing(location) => Some(format!("there is no file at {location}")),
                    Inspection::Bad(reason) | Inspection::Truncated(reason) => Some(reason),
                    Inspection::Good { .. } => None,
                })
            })
            .collect();
        for (&index, found) in indices.iter().zip(found) {
            checked += usize::from(found.is_some());
            bad.extend(found.flatten().map(|reason| (index, reason)));
        }
        progress(indices[0] + indices.len());
    }
    (checked, bad)
}

/// The state of one image.
enum Inspection {
    Missing(String),
    Bad(String),
    /// Cut short, and not accepted.
    Truncated(String),
    Good {
        digest: [u8; 32],
        is_truncated: bool,
    },
}

/// Reports the images that are missing, bad or truncated. Returns the number of images decoded, and the samples of each
/// digest.
fn check_images(
    dataset: &Dataset,
    progress: impl FnMut(usize),
    report: &mut Report,
) -> (usize, HashMap<[u8; 32], Vec<usize>>) {
    let mut by_content: HashMap<[u8; 32], Vec<usize>> = HashMap::new();
    let mut decoded = 0;
    let truncated = "image files that are cut short, of whose image a part is missing";
    inspect_all(dataset, progress, |index, inspection| {
        let image = &dataset.samples()[index].image;
        match inspection {
            Inspection::Missing(location) => {
                report.error("missing_image", "missing image files", format!("{image}: {location}"));
            }
            Inspection::Bad(reason) => {
                report.error("bad_image", "images that cannot be read", format!("{image}: {reason}"));
            }
            Inspection::Truncated(_) => report.error("truncated_image", truncated, image.clone()),
            Inspection::Good { digest, is_truncated } => {
                decoded += 1;
                by_content.entry(digest).or_default().push(index);
                if is_truncated {
                    report.remark("truncated_image", truncated, image.clone());
                }
            }
        }
    });
    (decoded, by_content)
}

fn inspect_all(dataset: &Dataset, mut progress: impl FnMut(usize), mut result: impl FnMut(usize, Inspection)) {
    let everything: Vec<usize> = (0..dataset.samples().len()).collect();
    for indices in everything.chunks(CHUNK) {
        let inspections: Vec<Inspection> = indices.par_iter().map(|&index| inspect(dataset, index)).collect();
        for (&index, inspection) in indices.iter().zip(inspections) {
            result(index, inspection);
        }
        progress(indices[0] + indices.len());
    }
}

fn inspect(dataset: &Dataset, index: usize) -> Inspection {
    if let Some(pixels) = dataset.packed_pixels(index) {
        return match pixels {
            Ok(pixels) => Inspection::Good { digest: Sha256::digest(&pixels).into(), is_truncated: false },
            Err(error) => Inspection::Bad(with_causes(&error)),
        };
    }
    let encoded = match dataset.encoded_image(index) {
        Ok(encoded) => encoded,
        Err(DataError::ReadImage { location, source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Inspection::Missing(location);
        }
        Err(error) => return Inspection::Bad(with_causes(&error)),
    };
    match decode(&encoded, dataset.truncated()) {
        Ok(Decoded { image, is_truncated, .. }) => {
            let mut hasher = Sha256::new();
            hasher.update(image.width().to_le_bytes());
            hasher.update(image.as_raw());
            Inspection::Good { digest: hasher.finalize().into(), is_truncated }
        }
        Err(error @ (ImageError::Truncated | ImageError::TruncatedUnusable)) => {
            Inspection::Truncated(error.to_string())
        }
        Err(error) => Inspection::Bad(with_causes(&error)),
    }
}

/// Reports identical images: in two splits an error, in one split a remark, with different labels another remark.
fn check_repeated_images(samples: &[Sample], by_content: HashMap<[u8; 32], Vec<usize>>, report: &mut Report) {
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
            report.error("content_in_two_splits", "images that are in more than one split", names(true));
        } else {
            report.remark("repeated_content", "images that are in one split more than once", names(false));
        }
        if copies.iter().any(|&index| samples[index].labels != samples[copies[0]].labels) {
            report.remark("contradicting_labels", "identical images with different labels", names(false));
        }
    }
}

fn check_identities(samples: &[Sample], report: &mut Report) {
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

fn check_labels(dataset: &Dataset, report: &mut Report) {
    for (column, name) in dataset.attributes().iter().enumerate() {
        if dataset.samples().iter().all(|sample| sample.labels[column].known().is_none()) {
            report.error("attribute_without_labels", "attributes without any label", name.clone());
        }
    }
    // Without splits, what is constant everywhere will be so in the training split that is drawn.
    let rows = || dataset.samples().iter().map(|sample| &*sample.labels);
    let splits = if dataset.has_splits() {
        Split::ALL.map(|split| Statistics::of(dataset, split)).to_vec()
    } else {
        vec![Statistics::count(Split::Train, dataset.attributes(), rows())]
    };
    for statistics in splits {
        let split = statistics.split;
        for attribute in statistics.attributes.iter().filter(|_| statistics.samples > 0) {
            if attribute.known() > 0 && attribute.is_constant() {
                let refused =
                    if split == Split::Train { ", which training refuses without --drop-constant" } else { "" };
                let item = format!(
                    "{}: present in {} and absent in {} {split} images{refused}",
                    attribute.name, attribute.present, attribute.absent
                );
                report.remark(
                    "constant_attribute",
                    "attributes that are always present or always absent in a split",
                    item,
                );
            }
        }
    }
}

/// The findings so far.
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
        let position = self.0.iter().position(|finding| finding.kind == kind).unwrap_or_else(|| {
            self.0.push(Finding { kind, error, what, count: 0, items: Vec::new() });
            self.0.len() - 1
        });
        self.0[position].count += 1;
        self.0[position].items.push(item);
    }

    fn finish(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| !finding.error);
        self.0
    }
}
