//! A table of images and their labels, and the way to the images.

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{DataError, ImageError};
use crate::folds;
use crate::label::Label;
use crate::prepare::Preparation;
use crate::sample::Sample;
use crate::sources::{self, Faults, Images};
use crate::split::Split;
use crate::stratify;

/// A dataset: its rows are in memory, its images stay where they are until asked for.
///
/// Meant to be shared between threads behind an [`Arc`](std::sync::Arc).
#[derive(Clone, Debug)]
pub struct Dataset {
    name: String,
    form: &'static str,
    attributes: Vec<String>,
    categories: Vec<String>,
    samples: Vec<Sample>,
    images: Images,
    notes: Vec<String>,
}

impl Dataset {
    /// Opens the dataset at `path`, which may be
    ///
    /// - CelebA in any of its forms, known by `list_attr_celeba.txt` or `.csv`: the official layout, torchvision's, or
    ///   Kaggle's, with the partition, the identities, the landmarks and the boxes if they are there;
    /// - a table (CSV, TSV, JSON lines), with its images in the places it names, relative to itself, absolute,
    ///   in an archive beside it or through one (`faces.zip/a.jpg`); several tables with the same columns are parts of
    ///   one, and one called `train`, `val` or `test` assigns that split;
    /// - a folder or a zip archive that holds any of these, or that holds one zip archive that does.
    ///
    /// A table has a header. The image column is called `image`, `image_id`, `filename`, `file_name`, `image_path`,
    /// `file`, `filepath`, `path` or `img`, or is the first; a column `split` or `partition` assigns the split, a column `identity`
    /// (or `celeb_id`, `person_id`, `subject_id`) says who is shown; a column of words, without any number, parts the images
    /// into groups, see [`Dataset::categories`]; every other column is an attribute with values 1 and -1, 1 and 0, true and
    /// false or yes and no, or blank where nobody knows.
    ///
    /// Archives are read in place. Images are not looked at: one that is missing is an error when it is read, see
    /// [`Dataset::missing_images`]. A dataset that names no split stays without one, see [`Dataset::assign_splits`].
    ///
    /// # Errors
    ///
    /// When there is no dataset or more than one, or when a table is faulty; the message names the file and the line.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        Self::open_with(path, &mut Faults::refused())
    }

    /// Opens the dataset at `path` without the rows that are at fault, and says what is wrong with each.
    ///
    /// # Errors
    ///
    /// When there is no dataset there, or nothing of it can be read.
    pub fn open_despite_faults(path: &Path) -> Result<(Self, Vec<DataError>), DataError> {
        let mut faults = Faults::kept();
        let dataset = Self::open_with(path, &mut faults)?;
        Ok((dataset, faults.into_kept()))
    }

    fn open_with(path: &Path, faults: &mut Faults) -> Result<Self, DataError> {
        let contents = sources::read(path, faults)?;
        // `.` and `..` are no names; what they stand for is.
        let resolved = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let stem = if resolved.is_dir() { resolved.file_name() } else { resolved.file_stem() };
        let name = stem.map_or_else(|| path.display().to_string(), |stem| stem.to_string_lossy().into_owned());
        let sources::Contents { form, attributes, categories, samples, images, notes } = contents;
        // A pack is called what its source was, so that a model trained on either is the same to the last byte.
        let name = if let Images::Packed(pack) = &images { pack.name().to_owned() } else { name };
        tracing::debug!(name, form, samples = samples.len(), attributes = attributes.len(), "opened dataset");
        Ok(Dataset { name, form, attributes, categories, samples, images, notes })
    }

    /// What should be known about the dataset and is no fault: a count that disagrees, an archive that was passed by.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The form it comes in: `CelebA`, `table`, `Parquet`, `WebDataset` or `pack`.
    #[must_use]
    pub fn form(&self) -> &'static str {
        self.form
    }

    /// The numbers of those of the samples `indices` whose image file is not there.
    #[must_use]
    pub fn missing_images(&self, indices: &[usize]) -> Vec<usize> {
        let is_missing = |&&index: &&usize| !self.images.contains(index, &self.samples[index].image);
        indices.iter().filter(is_missing).copied().collect()
    }

    /// Checks that the image files of the samples `indices` are there, so that a dataset copied in part is told before
    /// work on it begins.
    ///
    /// # Errors
    ///
    /// [`DataError::MissingImages`], with their number and the first of them.
    pub fn require_images(&self, indices: &[usize]) -> Result<(), DataError> {
        let missing = self.missing_images(indices);
        let Some(&first) = missing.first() else { return Ok(()) };
        let image = &self.samples[first].image;
        Err(DataError::MissingImages {
            dataset: self.name.clone(),
            missing: missing.len(),
            total: indices.len(),
            first: image.clone(),
            location: self.images.describe(first, image),
        })
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
    /// Images of one identity stay together, so that no split is judged on people another has seen, and every split gets
    /// its share of each attribute, rare ones included. The assignment does not depend on the order of the rows.
    /// `open` never does this by itself: which images a model was judged on is for its user to decide, and a program
    /// that calls this should say so.
    pub fn assign_splits(&mut self, seed: u64) {
        let splits = stratify::splits(&self.samples, self.attributes.len(), seed);
        for (sample, split) in self.samples.iter_mut().zip(splits) {
            sample.split = Some(split);
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
        self.images.read(index, &sample.image).map_err(|source| DataError::ReadImage {
            image: sample.image.clone(),
            dataset: self.name.clone(),
            location: self.images.describe(index, &sample.image),
            source,
        })
    }

    /// The pixels of an image as `preparation` makes them: RGB, one byte a value, shape `[H, W, 3]` of its output size.
    ///
    /// # Errors
    ///
    /// When there is no such sample, its file is missing or is no image, or the dataset is a pack of images prepared
    /// in another way.
    pub fn pixels(&self, index: usize, preparation: &Preparation) -> Result<Vec<u8>, DataError> {
        if let Images::Packed(pack) = &self.images {
            return pack.pixels(index, preparation, &self.name);
        }
        let encoded = self.encoded_image(index)?;
        // Decoders read files from anywhere, and one that panics must not take its thread along.
        let prepared = catch_unwind(AssertUnwindSafe(|| preparation.pixels(&encoded)));
        prepared.unwrap_or(Err(ImageError::DecoderPanicked)).map_err(|source| self.unusable(index, source))
    }

    /// The pixels of an image of a pack, however it is prepared.
    pub(crate) fn packed_pixels(&self, index: usize) -> Option<Vec<u8>> {
        match &self.images {
            Images::Packed(pack) => pack.any_pixels(index),
            _ => None,
        }
    }

    /// Says that an image cannot be used.
    pub(crate) fn unusable(&self, index: usize, source: ImageError) -> DataError {
        DataError::Image { image: self.samples[index].image.clone(), dataset: self.name.clone(), source }
    }

    /// Leaves out samples, whose numbers must be ascending. Those after them move up.
    pub fn leave_out(&mut self, indices: &[usize]) {
        let kept = |index: usize| indices.binary_search(&index).is_err();
        self.images.retain(self.samples.len(), kept);
        let mut index = 0..;
        self.samples.retain(|_| index.next().is_none_or(kept));
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
