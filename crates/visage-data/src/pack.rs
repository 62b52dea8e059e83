//! Packs: datasets with their images decoded and resized, in one file.
//!
//! Training from a pack spends no time on decoding. [`Dataset::open`] opens one like any other dataset.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::dataset::Dataset;
use crate::error::DataError;
use crate::prepare::Preparation;
use crate::size::Size;
use crate::sources::pack::{Header, Pack};

/// How many images are prepared before they are written.
const CHUNK: usize = 256;

/// A pack that was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packed {
    /// The number of images.
    pub images: usize,
    /// The size of each image.
    pub size: Size,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The time that reading and preparing the images took, summed over the threads. Every epoch over the pack saves it, less
    /// [`reading_time`].
    pub preparing: Duration,
}

/// Writes a pack of `dataset` with its images prepared by `preparation`. `progress` is called with the number of images
/// written so far.
///
/// # Errors
///
/// When an image cannot be read or prepared, or `out` cannot be written.
pub fn write(
    dataset: &Dataset,
    preparation: &Preparation,
    out: &mut dyn Write,
    mut progress: impl FnMut(usize),
) -> Result<Packed, PackError> {
    preparation.validate().map_err(DataError::from)?;
    let samples = dataset.samples();
    let header = Header::new(dataset.name(), dataset.attributes(), dataset.categories(), samples, preparation);
    let header = header.to_bytes()?;
    out.write_all(&header)?;

    let images = samples.len();
    let mut preparing = Duration::ZERO;
    for first in (0..images).step_by(CHUNK) {
        let indices: Vec<usize> = (first..images.min(first + CHUNK)).collect();
        let prepared = indices.par_iter().map(|&index| {
            let start = Instant::now();
            (dataset.pixels(index, preparation), start.elapsed())
        });
        let prepared: Vec<_> = prepared.collect();
        for (pixels, time) in prepared {
            out.write_all(&pixels?)?;
            preparing += time;
        }
        progress(first + indices.len());
    }
    let size = preparation.output_size();
    let bytes = (header.len() + images * size.pixels() * 3) as u64;
    Ok(Packed { images, size, bytes, preparing })
}

/// The time it takes to read every image of the pack at `path` once.
///
/// # Errors
///
/// When it is not a complete pack.
pub fn reading_time(path: &Path) -> Result<Duration, DataError> {
    let not_a_pack = || DataError::Pack { path: path.to_owned(), reason: "it has another format".to_owned() };
    let pack = Pack::open(path)?.ok_or_else(not_a_pack)?;
    let start = Instant::now();
    for index in 0..pack.images() {
        std::hint::black_box(pack.any_pixels(index, pack.name())?);
    }
    Ok(start.elapsed())
}

/// Why a pack could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// An image of the dataset cannot be read or prepared.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The file cannot be written.
    #[error("cannot write the pack")]
    Write(#[from] io::Error),
}
