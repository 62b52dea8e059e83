//! A dataset: samples with labels, and their images.

use std::fmt::Write;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::alignment::{Alignment, Similarity, has_aligned_shape, is_in_place};
use crate::decode::{Decoded, decode};
use crate::error::{DataError, ImageError};
use crate::files::is_lfs_pointer;
use crate::folds;
use crate::header::stated_size;
use crate::label::Label;
use crate::prepare::Preparation;
use crate::retain::retain;
use crate::sample::Sample;
use crate::size::Size;
use crate::sources::{self, Faults, Images};
use crate::split::{Split, SplitOrAll};
use crate::stratify;
use crate::table_options::TableOptions;
use crate::truncation::Truncation;

/// Images whose sizes are read to guess their alignment.
const SIZE_PROBES: usize = 32;

/// A dataset: the rows of its table in memory, and its images on disk until they are read.
///
/// Threads share it behind an [`Arc`](std::sync::Arc).
#[derive(Clone, Debug)]
pub struct Dataset {
    name: String,
    form: &'static str,
    options: TableOptions,
    attributes: Vec<String>,
    categories: Vec<String>,
    samples: Vec<Sample>,
    images: Images,
    understood: String,
    notes: Vec<String>,
    nearest: Vec<String>,
    pub(crate) truncation: Truncation,
}

impl Dataset {
    /// Opens the dataset at `path`, which may be
    ///
    /// - CelebA in any layout with a `list_attr_celeba.txt` or `.csv`: the official one, torchvision's or Kaggle's, with the
    ///   partition, the identities, the landmarks and the boxes if they exist;
    /// - a table (CSV, TSV, JSON lines, also compressed with gzip; Parquet; Arrow with the feature `arrow`). Its image names are paths
    ///   relative to itself, absolute paths, names in an archive beside it, or paths into one (`faces.zip/a.jpg`); in Parquet and
    ///   Arrow a column may hold the images. Several tables with the same columns are parts of one. A table called `train`, `val` or
    ///   `test` assigns that split if no column does;
    /// - WebDataset tar shards;
    /// - an export of COCO, Label Studio, FiftyOne or CVAT;
    /// - a folder of images for each class, perhaps in a folder for each split;
    /// - a pack (see [`crate::pack`]);
    /// - a folder or a zip archive with any of these, or with one zip archive that holds it.
    ///
    /// A table has a header. The image column is the one with a known name (`image`, `image_id`, `filename`, `path`, ...) or that
    /// holds names of image files. A column that is a split by its name or its words assigns the split; one called `identity`,
    /// `celeb_id`, `person_id` or `patient_id` names the person. A column of lists of words lists the labels of an image. A text
    /// column is a category, see [`Dataset::categories`]. Every other column is an attribute: 1 and -1, 1 and 0, true and false, or
    /// yes and no, and blank for unknown. [`Dataset::open_with`] takes choices for tables that are different;
    /// [`Dataset::understood`] says how a table was read.
    ///
    /// An image that is not where the table says is searched under near names, see [`Dataset::notes`].
    /// Archives are read in place. Images are not opened: a missing one is an error when it is read, see
    /// [`Dataset::missing_images`]. A dataset without splits keeps none, see [`Dataset::assign_splits`].
    ///
    /// # Errors
    ///
    /// When there is no dataset or more than one, or when a table is faulty; the message names the file and the line.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        Self::open_with(path, &TableOptions::default())
    }

    /// Opens the dataset at `path`, with choices of how to read its table.
    ///
    /// # Errors
    ///
    /// As [`Dataset::open`], and when an option names a column that does not exist.
    pub fn open_with(path: &Path, options: &TableOptions) -> Result<Self, DataError> {
        Self::read(path, options, &mut Faults::refuse())
    }

    /// Opens the dataset at `path` without its faulty rows, and returns their faults.
    ///
    /// # Errors
    ///
    /// When there is no dataset, or a table cannot be read at all.
    pub fn open_despite_faults(path: &Path, options: &TableOptions) -> Result<(Self, Vec<DataError>), DataError> {
        let mut faults = Faults::collect();
        let dataset = Self::read(path, options, &mut faults)?;
        Ok((dataset, faults.into_collected()))
    }

    fn read(path: &Path, options: &TableOptions, faults: &mut Faults) -> Result<Self, DataError> {
        let contents = sources::read(path, options, faults)?;
        // `.` and `..` have no name of their own.
        let resolved = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let stem = if resolved.is_dir() { resolved.file_name() } else { resolved.file_stem() };
        let name = stem.map_or_else(|| path.display().to_string(), |stem| stem.to_string_lossy().into_owned());
        let sources::Contents { form, attributes, categories, samples, images, understood, notes, nearest } = contents;
        // A pack keeps the name of its source, so that a model trained on either is the same to the last byte.
        let name = if let Images::Packed(pack) = &images { pack.name().to_owned() } else { name };
        tracing::debug!(name, form, samples = samples.len(), attributes = attributes.len(), "opened dataset");
        let truncation = Truncation::default();
        let mut dataset = Dataset {
            name,
            form,
            options: options.clone(),
            attributes,
            categories,
            samples,
            images,
            understood,
            notes,
            nearest,
            truncation,
        };
        dataset.remove_attributes(&options.dropped);
        Ok(dataset)
    }

    /// The choices with which its table was read.
    #[must_use]
    pub fn table_options(&self) -> &TableOptions {
        &self.options
    }

    /// How the columns of the table were understood, in one line; empty where its form leaves no choice.
    #[must_use]
    pub fn understood(&self) -> &str {
        &self.understood
    }

    /// Remarks that are not faults: a stated number of rows that is wrong, an archive that cannot be read.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The name of its format: `CelebA`, `table`, `Parquet`, `WebDataset` or `pack`.
    #[must_use]
    pub fn form(&self) -> &'static str {
        self.form
    }

    /// Those of the samples `indices` whose image file is missing.
    #[must_use]
    pub fn missing_images(&self, indices: &[usize]) -> Vec<usize> {
        let is_missing = |&&index: &&usize| !self.images.contains(index, &self.samples[index].image);
        indices.iter().filter(is_missing).copied().collect()
    }

    /// Checks that the image files of the samples `indices` exist, so that an incomplete copy is reported before work on it
    /// begins.
    ///
    /// # Errors
    ///
    /// [`DataError::MissingImages`], with their number and the first one.
    pub fn require_images(&self, indices: &[usize]) -> Result<(), DataError> {
        let missing = self.missing_images(indices);
        let Some(&first) = missing.first() else { return Ok(()) };
        let image = &self.samples[first].image;
        let nearest = match self.nearest.as_slice() {
            [] => String::new(),
            names => format!(" (the nearest names are {})", names.join(", ")),
        };
        Err(DataError::MissingImages {
            dataset: self.name.clone(),
            missing: missing.len(),
            total: indices.len(),
            first: image.clone(),
            location: self.images.describe(first, image) + &nearest,
        })
    }

    /// The name of the folder, or of the file without its extension.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The attribute names, in the order of every sample's labels. Never empty.
    #[must_use]
    pub fn attributes(&self) -> &[String] {
        &self.attributes
    }

    /// The names of the text columns that divide the images into groups, such as `age_band`, in the order of every sample's
    /// categories.
    #[must_use]
    pub fn categories(&self) -> &[String] {
        &self.categories
    }

    /// The samples, in the order of the table.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The indices of the samples of one split, ascending.
    #[must_use]
    pub fn indices(&self, split: Split) -> Vec<usize> {
        (0..self.samples.len()).filter(|&index| self.samples[index].split == Some(split)).collect()
    }

    /// The indices of the samples of one split, or of all, ascending.
    #[must_use]
    pub fn indices_of(&self, images: SplitOrAll) -> Vec<usize> {
        match images {
            SplitOrAll::Split(split) => self.indices(split),
            SplitOrAll::All => (0..self.samples.len()).collect(),
        }
    }

    /// Whether any sample is assigned to a split.
    #[must_use]
    pub fn has_splits(&self) -> bool {
        self.samples.iter().any(|sample| sample.split.is_some())
    }

    /// Draws from `seed` the splits that the dataset lacks and training needs, and describes them: all splits where the table
    /// assigns none (see [`Dataset::assign_splits`]), or the validation split, 10 % of the training images, where the table has
    /// training images and no validation images. `None` if nothing is missing.
    pub fn draw_missing_splits(&mut self, seed: u64) -> Option<&'static str> {
        if !self.has_splits() {
            self.assign_splits(seed);
            return Some("no splits: drew 80 % for training, 10 % for validation and 10 % for testing");
        }
        let training = self.indices(Split::Train);
        if training.is_empty() || !self.indices(Split::Validation).is_empty() {
            return None;
        }
        let samples: Vec<Sample> = training.iter().map(|&index| self.samples[index].clone()).collect();
        let splits = stratify::splits(&samples, self.attributes.len(), seed, stratify::VALIDATION_SHARES);
        for (index, split) in training.into_iter().zip(splits) {
            self.samples[index].split = Some(split);
        }
        Some("no validation split: drew 10 % of the training images")
    }

    /// Draws new splits from `seed`: 80 % training, 10 % validation, 10 % test.
    ///
    /// Images of one identity stay together, so that no person is in two splits, and every split gets its share of each
    /// attribute, rare ones included (stratification). The assignment does not depend on the order of the rows.
    /// `open` never draws splits by itself: the user decides on which images a model is evaluated, and a program that
    /// calls this should say so.
    pub fn assign_splits(&mut self, seed: u64) {
        let splits = stratify::splits(&self.samples, self.attributes.len(), seed, stratify::SHARES);
        for (sample, split) in self.samples.iter_mut().zip(splits) {
            sample.split = Some(split);
        }
    }

    /// Draws new splits from `seed` for one fold of a cross-validation: of `folds` folds, number `fold` (from 0) becomes the
    /// test split; of the others, a tenth of the images becomes the validation split and the rest the training split.
    ///
    /// The folds are as equal in size as possible. Images of one identity stay together. The assignment does not depend on
    /// the order of the rows.
    pub fn hold_out(&mut self, fold: usize, folds: usize, seed: u64) {
        let splits = folds::splits(&self.samples, fold, folds, seed);
        for (sample, split) in self.samples.iter_mut().zip(splits) {
            sample.split = Some(split);
        }
    }

    /// Reads the bytes of an image's file.
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
        let read = self.images.read(index, &sample.image).and_then(|content| {
            let pointer = || io::Error::other("it is a pointer of Git LFS: run `git lfs pull` in its repository");
            if is_lfs_pointer(&content) { Err(pointer()) } else { Ok(content) }
        });
        read.map_err(|source| DataError::ReadImage {
            image: sample.image.clone(),
            dataset: self.name.clone(),
            location: self.images.describe(index, &sample.image),
            source,
        })
    }

    /// Whether the header of an image's file states the size of an image; `None` if it is not a file of its own, or cannot be read.
    pub(crate) fn has_readable_header(&self, index: usize) -> Option<bool> {
        /// Metadata may stand before the size; where it takes more, the image is decoded to see.
        const BEGINNING: u64 = 1 << 16;
        let beginning = self.images.beginning(index, &self.samples[index].image, BEGINNING)?;
        Some(beginning.is_ok_and(|beginning| stated_size(&beginning).is_some()))
    }

    /// Reads and prepares an image: RGB bytes, shape `[H, W, 3]` of the preparation's output size.
    ///
    /// # Errors
    ///
    /// When there is no such sample, its file is missing, not a readable image, or cut short and not
    /// [accepted](Self::accept_truncated), or the dataset is a pack with another preparation.
    pub fn pixels(&self, index: usize, preparation: &Preparation) -> Result<Vec<u8>, DataError> {
        if let Images::Packed(pack) = &self.images {
            return pack.pixels(index, preparation, &self.name);
        }
        // The image counts for memory until it is prepared.
        let Decoded { image, reservation, .. } = self.image(index)?;
        let image = match &self.samples[index].aligning {
            Some(similarity) => similarity.aligned(&image),
            None => image,
        };
        let pixels = preparation.image(image).map_err(|source| self.unusable(index, source));
        drop(reservation);
        pixels
    }

    /// Reads and decodes an image, which is not aligned yet.
    ///
    /// # Errors
    ///
    /// As [`Dataset::pixels`]; the images of a pack cannot be had.
    pub fn image(&self, index: usize) -> Result<Decoded, DataError> {
        let encoded = self.encoded_image(index)?;
        let decoded = decode(&encoded, self.truncation.policy).map_err(|source| self.unusable(index, source))?;
        if decoded.is_truncated {
            self.truncation.accepted(&self.samples[index].image);
        }
        Ok(decoded)
    }

    /// How the faces lie in the images as [`Dataset::pixels`] reads them. It is known of a pack and of images that are
    /// [aligned as they are read](Self::align). Otherwise it is guessed from the sizes of some images and from the landmarks: images
    /// with the proportions of CelebA's aligned ones, and with eyes and mouth in their places, are aligned; images of different
    /// sizes are not; of others nothing is known.
    #[must_use]
    pub fn alignment(&self) -> Option<Alignment> {
        if let Images::Packed(pack) = &self.images {
            return pack.alignment();
        }
        if self.samples.iter().any(|sample| sample.aligning.is_some()) {
            return Some(Alignment::Celeba);
        }
        let step = self.samples.len().div_ceil(SIZE_PROBES).max(1);
        let probes = (0..self.samples.len()).step_by(step);
        let sizes: Vec<(usize, Size)> =
            probes.filter_map(|index| Some((index, stated_size(&self.encoded_image(index).ok()?)?))).collect();
        let (_, first) = sizes.first()?;
        let is_aligned = |&(index, size): &(usize, Size)| {
            has_aligned_shape(size) && self.samples[index].eyes_and_mouth().is_none_or(|l| is_in_place(&l, size))
        };
        if sizes.iter().all(is_aligned) {
            return Some(Alignment::Celeba);
        }
        sizes.iter().any(|(_, size)| size != first).then_some(Alignment::None)
    }

    /// Aligns images from now on as they are read. `found` has an entry for each sample.
    pub fn align(&mut self, found: Vec<Option<Similarity>>) {
        for (sample, similarity) in self.samples.iter_mut().zip(found) {
            sample.aligning = similarity;
        }
    }

    /// The pixels of an image of a pack, whatever its preparation.
    pub(crate) fn packed_pixels(&self, index: usize) -> Option<Result<Vec<u8>, DataError>> {
        match &self.images {
            Images::Packed(pack) => Some(pack.any_pixels(index, &self.name)),
            _ => None,
        }
    }

    /// The error that an image cannot be used.
    pub(crate) fn unusable(&self, index: usize, source: ImageError) -> DataError {
        DataError::Image { image: self.samples[index].image.clone(), dataset: self.name.clone(), source }
    }

    /// Removes samples; `indices` must be ascending. The samples after them move up.
    pub fn leave_out(&mut self, indices: &[usize]) {
        let is_kept = |index: usize| indices.binary_search(&index).is_err();
        self.images.retain(is_kept);
        retain(&mut self.samples, is_kept);
    }

    /// Leaves attributes out. [`Dataset::table_options`] remembers it, so that the dataset is opened without them again.
    pub fn drop_attributes(&mut self, names: &[String]) {
        self.options.dropped.extend_from_slice(names);
        self.remove_attributes(names);
    }

    fn remove_attributes(&mut self, names: &[String]) {
        let kept: Vec<bool> = self.attributes.iter().map(|attribute| !names.contains(attribute)).collect();
        if kept.iter().all(|&is_kept| is_kept) {
            return;
        }
        let is_kept = |index: usize| kept[index];
        retain(&mut self.attributes, is_kept);
        for sample in &mut self.samples {
            sample.labels = without(&sample.labels, is_kept);
            sample.soft = sample.soft.take().map(|soft| without(&soft, is_kept));
        }
    }

    /// The SHA-256, in hexadecimal, of the attributes, image names, splits and labels. It identifies the table that a model was
    /// trained on. Pixels and identities are not part of it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        // Each text follows its length, so that different tables never give the same bytes.
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

/// The values at whose indices `is_kept` holds.
fn without<T: Copy>(values: &[T], is_kept: impl Fn(usize) -> bool) -> Box<[T]> {
    values.iter().enumerate().filter(|(index, _)| is_kept(*index)).map(|(_, &value)| value).collect()
}
