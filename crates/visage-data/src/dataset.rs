//! A table of images and their labels, and the way to the images.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use rand::RngExt;
use sha2::{Digest, Sha256};

use crate::error::DataError;
use crate::folds;
use crate::label::Label;
use crate::random::stream;
use crate::sample::Sample;
use crate::sources::{self, Images};
use crate::split::Split;

/// The parts of a dataset that [`Dataset::assign_splits`] gives to training, validation and test: CelebA's own.
const SPLIT_SHARES: [(Split, f64); 3] = [(Split::Train, 0.8), (Split::Validation, 0.1), (Split::Test, 0.1)];

/// A dataset: its rows are in memory, its images stay where they are until asked for.
///
/// Meant to be shared between threads behind an [`Arc`](std::sync::Arc).
#[derive(Debug)]
pub struct Dataset {
    name: String,
    attributes: Vec<String>,
    categories: Vec<String>,
    samples: Vec<Sample>,
    images: Images,
}

impl Dataset {
    /// Opens the dataset at `path`, which may be
    ///
    /// - a folder, or a zip of it, in CelebA's official layout: `Anno/list_attr_celeba.txt`, and if they are there
    ///   `Eval/list_eval_partition.txt` and `Anno/identity_CelebA.txt`, with the images in `Img/img_align_celeba/`
    ///   or, in a folder, `Img/img_align_celeba.zip`;
    /// - a CSV file, with its images in the places it names, relative to itself;
    /// - a folder or zip with exactly one CSV file (in a folder: at its top) and the images.
    ///
    /// A CSV file has a header. The image column is called `image`, `image_id`, `filename`, `file` or `path`, or is
    /// the first; a column `split` or `partition` assigns the split, a column `identity` says who is shown; a column of
    /// words, without any number, parts the images into groups, see [`Dataset::categories`]; every other
    /// column is an attribute with values 1 and -1, or 1 and 0, or blank where nobody knows.
    ///
    /// Archives are read in place. Images are not looked at: one that is missing is an error when it is read.
    /// A dataset that names no split stays without one, see [`Dataset::assign_splits`].
    ///
    /// # Errors
    ///
    /// When there is no dataset or more than one, or when a table is faulty; the message names the file and the line.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let contents = sources::read(path)?;
        // `.` and `..` are no names; what they stand for is.
        let resolved = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let stem = if resolved.is_dir() { resolved.file_name() } else { resolved.file_stem() };
        let name = stem.map_or_else(|| path.display().to_string(), |stem| stem.to_string_lossy().into_owned());
        let sources::Contents { attributes, categories, samples, images } = contents;
        tracing::debug!(name, samples = samples.len(), attributes = attributes.len(), "opened dataset");
        Ok(Dataset { name, attributes, categories, samples, images })
    }

    /// The name of the folder or file, without its extension.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The attribute names, in the order of every sample's labels. Never empty.
    #[must_use]
    pub fn attributes(&self) -> &[String] {
        &self.attributes
    }

    /// The names of the columns that are no attributes but part the images into groups, such as `age_band`, in the order of
    /// every sample's categories.
    #[must_use]
    pub fn categories(&self) -> &[String] {
        &self.categories
    }

    /// The samples, in the order of the table.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The numbers of the samples of one split, ascending.
    #[must_use]
    pub fn indices(&self, split: Split) -> Vec<usize> {
        (0..self.samples.len()).filter(|&index| self.samples[index].split == Some(split)).collect()
    }

    /// Whether any sample is assigned to a split.
    #[must_use]
    pub fn has_splits(&self) -> bool {
        self.samples.iter().any(|sample| sample.split.is_some())
    }

    /// Assigns every sample to a split anew: 80 % training, 10 % validation, 10 % test, drawn from `seed`.
    ///
    /// Images of one identity stay together, so that no split is judged on people another has seen. The assignment
    /// does not depend on the order of the rows. `open` never does this by itself: which images a model was judged on
    /// is for its user to decide, and a program that calls this should say so.
    pub fn assign_splits(&mut self, seed: u64) {
        let mut groups: BTreeMap<(bool, &str), Vec<usize>> = BTreeMap::new();
        for (index, sample) in self.samples.iter().enumerate() {
            // An image and a person may have the same name; the flag keeps them apart.
            let key = sample.identity.as_deref().map_or((false, sample.image.as_str()), |identity| (true, identity));
            groups.entry(key).or_default().push(index);
        }
        let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
        let mut random = stream(seed, "split", 0, 0);
        for last in (1..groups.len()).rev() {
            groups.swap(last, random.random_range(0..=last));
        }

        let total = self.samples.len() as f64;
        // Each group goes where most images are still missing: exact for single images, close for groups.
        let mut missing = SPLIT_SHARES.map(|(_, share)| share * total);
        for group in groups {
            let mut neediest = 0;
            for candidate in 1..missing.len() {
                if missing[candidate] > missing[neediest] {
                    neediest = candidate;
                }
            }
            missing[neediest] -= group.len() as f64;
            for index in group {
                self.samples[index].split = Some(SPLIT_SHARES[neediest].0);
            }
        }
    }

    /// Assigns every sample to a split anew, to train on most and ask about the rest: part number `part`, from 0, of `parts`
    /// to test, a tenth of the others to validation, what is left to training.
    ///
    /// The parts are drawn from `seed` and of one size as nearly as can be. Images of one identity stay together. The assignment
    /// does not depend on the order of the rows.
    pub fn hold_out(&mut self, part: usize, parts: usize, seed: u64) {
        let splits = folds::splits(&self.samples, part, parts, seed);
        for (sample, split) in self.samples.iter_mut().zip(splits) {
            sample.split = Some(split);
        }
    }

    /// The bytes of an image's file, read where it lies.
    ///
    /// # Errors
    ///
    /// When there is no such sample, or its file is missing or unreadable.
    pub fn encoded_image(&self, index: usize) -> Result<Vec<u8>, DataError> {
        let sample = self.samples.get(index).ok_or_else(|| DataError::NoSample {
            dataset: self.name.clone(),
            samples: self.samples.len(),
            index,
        })?;
        let file = self.images.file_name(&sample.image);
        self.images.files.read(&file).map_err(|source| DataError::ReadImage {
            image: sample.image.clone(),
            dataset: self.name.clone(),
            location: self.images.files.describe(&file),
            source,
        })
    }

    /// The SHA-256, in hexadecimal, of the attributes, image names, splits and labels: it says which table a model was
    /// trained on. Pixels and identities are not part of it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        // Lengths stand before texts, so that no two tables spell the same bytes.
        let text = |hasher: &mut Sha256, text: &str| {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        };
        hasher.update((self.attributes.len() as u64).to_le_bytes());
        for attribute in &self.attributes {
            text(&mut hasher, attribute);
        }
        let mut values = Vec::new();
        for sample in &self.samples {
            text(&mut hasher, &sample.image);
            values.clear();
            values.push(match sample.split {
                None => b'-',
                Some(Split::Train) => b'0',
                Some(Split::Validation) => b'1',
                Some(Split::Test) => b'2',
            });
            values.extend(sample.labels.iter().map(|label| match label {
                Label::Absent => b'0',
                Label::Present => b'1',
                Label::Unknown => b'?',
            }));
            hasher.update(&values);
        }
        hasher.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}
