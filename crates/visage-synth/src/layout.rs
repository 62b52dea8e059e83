//! Writing a dataset in CelebA's layout.

use crate::attribute::{Attribute, Attributes};
use crate::draw::draw;
use crate::error::SynthError;
use crate::face::{Face, IMAGES_PER_IDENTITY};
use crate::geometry::{HEIGHT, WIDTH};
use crate::label_noise::written_labels;
use image::RgbImage;
use jpeg_encoder::{ColorType, Encoder, EncodingError, SamplingFactor};
use rayon::prelude::*;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// JPEG quality: without visible blocks, and files not much larger than CelebA's.
const JPEG_QUALITY: u8 = 88;

/// The allowed sides of an image, in pixels.
const SIDE: std::ops::RangeInclusive<u32> = 16..=4096;

/// The settings of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The number of images.
    pub images: usize,
    /// The seed of the population. Image `i` depends only on the seed and on `i`, not on the number of images or threads.
    pub seed: u64,
    /// Width of an image in pixels, from 16 to 4096.
    pub width: u32,
    /// Height of an image in pixels, from 16 to 4096.
    pub height: u32,
    /// The shares of the training, validation and test split, with any sum. A person is in one split only.
    pub splits: [f64; 3],
    /// Whether some labels of subjective attributes are flipped.
    pub label_noise: bool,
}

impl Options {
    /// CelebA's image size and about CelebA's splits, with label noise.
    pub fn new(images: usize, seed: u64) -> Self {
        Self { images, seed, width: WIDTH, height: HEIGHT, splits: [0.8, 0.1, 0.1], label_noise: true }
    }

    fn check(&self) -> Result<(), SynthError> {
        if !SIDE.contains(&self.width) || !SIDE.contains(&self.height) {
            return Err(SynthError::Size { width: self.width, height: self.height });
        }
        if self.splits.iter().any(|share| !share.is_finite() || *share < 0.0) || self.splits[0] <= 0.0 {
            return Err(SynthError::Splits(self.splits));
        }
        let splits = self.splits.iter().filter(|&&share| share > 0.0).count() as u64;
        if (self.images as u64) < splits * IMAGES_PER_IDENTITY {
            return Err(SynthError::TooFewImages { images: self.images, splits });
        }
        Ok(())
    }

    /// The indices of the first image of the validation and of the test split. A new person starts at both.
    fn split_starts(&self) -> [u64; 2] {
        let people = (self.images as u64).div_ceil(IMAGES_PER_IDENTITY);
        let total: f64 = self.splits.iter().sum();
        // A split with a share has at least one person; `check` ensures that there are enough.
        let share = |split: usize| match self.splits[split] / total {
            0.0 => 0,
            share => ((people as f64 * share).round() as u64).max(1),
        };
        let (val, test) = (share(1), share(2));
        let train = people.saturating_sub(val + test).max(1);
        [train * IMAGES_PER_IDENTITY, (people - test.min(people - train)) * IMAGES_PER_IDENTITY]
    }
}

/// A dataset that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The folder of the dataset.
    pub folder: PathBuf,
    /// The number of images in the training, validation and test split.
    pub images: [usize; 3],
    /// The number of people.
    pub identities: usize,
    /// The number of flipped labels.
    pub flipped_labels: usize,
}

struct Row {
    identity: u64,
    truth: Attributes,
    written: Attributes,
}

/// Draws a dataset into `folder`, in CelebA's official layout.
///
/// - `Img/img_align_celeba/000001.jpg` and so on
/// - `Anno/list_attr_celeba.txt`: the number of images, the names of the attributes, then a line of -1 and 1 for each image
/// - `Anno/identity_CelebA.txt`: the number of the person, from 1, for each image
/// - `Anno/label_noise.csv`: every flipped label, as `image,attribute,true,written`
/// - `Eval/list_eval_partition.txt`: 0 for training, 1 for validation, 2 for test
///
/// `folder` must be empty or not exist. The dataset is written beside it and moved at the end, so that a killed run leaves no
/// incomplete dataset. Images are drawn on rayon's current pool, whose threads call `progress` with the number of images
/// done.
///
/// # Errors
///
/// [`SynthError`] when an option is invalid, `folder` is not empty, or a file cannot be written.
pub fn write(options: &Options, folder: &Path, progress: impl Fn(usize) + Sync) -> Result<Summary, SynthError> {
    options.check()?;
    refuse_occupied(folder)?;
    let parent = match folder.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(parent).map_err(io(parent))?;
    let staging = tempfile::Builder::new().prefix(".visage-synth-").tempdir_in(parent).map_err(io(parent))?;
    // A folder inside the temporary one, which other users cannot read; they can read the dataset.
    let root = staging.path().join("dataset");
    for part in ["Anno", "Eval", "Img/img_align_celeba"] {
        let path = root.join(part);
        std::fs::create_dir_all(&path).map_err(io(&path))?;
    }

    let images = root.join("Img/img_align_celeba");
    let done = AtomicUsize::new(0);
    let rows: Vec<Row> = (0..options.images)
        .into_par_iter()
        .map(|index| {
            let row = write_image(options, index as u64, &images)?;
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            Ok(row)
        })
        .collect::<Result<_, SynthError>>()?;

    let (noise, flipped_labels) = noise_table(&rows);
    for (path, text) in [
        ("Anno/list_attr_celeba.txt", attribute_table(&rows)),
        ("Anno/identity_CelebA.txt", identity_table(&rows)),
        ("Anno/label_noise.csv", noise),
        ("Eval/list_eval_partition.txt", partition_table(options)),
    ] {
        let path = root.join(path);
        std::fs::write(&path, text).map_err(io(&path))?;
    }
    // Renaming to an existing empty folder works only on some systems.
    if folder.exists() {
        std::fs::remove_dir(folder).map_err(io(folder))?;
    }
    std::fs::rename(&root, folder).map_err(io(folder))?;

    let [val, test] = options.split_starts().map(|start| (start as usize).min(options.images));
    Ok(Summary {
        folder: folder.to_owned(),
        images: [val, test - val, options.images - test],
        identities: rows.last().map_or(0, |row| row.identity as usize + 1),
        flipped_labels,
    })
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> SynthError + '_ {
    move |source| SynthError::Io { path: path.to_owned(), source }
}

fn refuse_occupied(folder: &Path) -> Result<(), SynthError> {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            Some(_) => Err(SynthError::NotEmpty(folder.to_owned())),
            None => Ok(()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            Err(SynthError::NotAFolder(folder.to_owned()))
        }
        Err(source) => Err(SynthError::Io { path: folder.to_owned(), source }),
    }
}

/// CelebA counts images from 1.
fn file_name(index: usize) -> String {
    format!("{:06}.jpg", index + 1)
}

fn write_image(options: &Options, index: u64, folder: &Path) -> Result<Row, SynthError> {
    let face = Face::sample(options.seed, index);
    let written = if options.label_noise { written_labels(&face, options.seed, index) } else { face.attributes };
    let file = file_name(index as usize);
    let jpeg = encode(&draw(&face, options.width, options.height))
        .map_err(|source| SynthError::Encode { file: file.clone(), source })?;
    let path = folder.join(file);
    std::fs::write(&path, jpeg).map_err(io(&path))?;
    Ok(Row { identity: face.identity, truth: face.attributes, written })
}

fn encode(image: &RgbImage) -> Result<Vec<u8>, EncodingError> {
    let side = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX);
    let mut jpeg = Vec::with_capacity(1 << 14);
    let mut encoder = Encoder::new(&mut jpeg, JPEG_QUALITY);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    encoder.encode(image.as_raw(), side(image.width()), side(image.height()), ColorType::Rgb)?;
    Ok(jpeg)
}

fn sign(present: bool) -> i8 {
    if present { 1 } else { -1 }
}

fn attribute_table(rows: &[Row]) -> String {
    let mut text = format!("{}\n{}\n", rows.len(), Attribute::ALL.map(Attribute::name).join(" "));
    for (index, row) in rows.iter().enumerate() {
        text += &file_name(index);
        for &present in row.written.as_array() {
            // Writing to a string cannot fail.
            let _ = write!(text, " {:>2}", sign(present));
        }
        text.push('\n');
    }
    text
}

fn identity_table(rows: &[Row]) -> String {
    rows.iter().enumerate().map(|(index, row)| format!("{} {}\n", file_name(index), row.identity + 1)).collect()
}

fn partition_table(options: &Options) -> String {
    let starts = options.split_starts();
    (0..options.images)
        .map(|index| {
            let split = starts.iter().filter(|&&start| index as u64 >= start).count();
            format!("{} {split}\n", file_name(index))
        })
        .collect()
}

fn noise_table(rows: &[Row]) -> (String, usize) {
    let mut text = String::from("image,attribute,true,written\n");
    let mut count = 0;
    for (index, row) in rows.iter().enumerate() {
        for attribute in Attribute::ALL {
            let (truth, written) = (row.truth.has(attribute), row.written.has(attribute));
            if truth != written {
                let _ = writeln!(text, "{},{},{},{}", file_name(index), attribute.name(), sign(truth), sign(written));
                count += 1;
            }
        }
    }
    (text, count)
}
