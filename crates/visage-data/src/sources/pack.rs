//! A dataset with its images decoded and resized, in one file that is mapped into memory.
//!
//! The file is a line `visage pack 1`, the length of a header in 8 bytes (little-endian), the header in JSON, zeros up to a
//! multiple of 4096 bytes, and the pixels of all images, `[N, H, W, 3]`, one byte a value.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::error::DataError;
use crate::files::Mapped;
use crate::label::Label;
use crate::prepare::{Filter, Preparation, Resize};
use crate::sample::Sample;
use crate::size::Size;
use crate::split::Split;

const MAGIC: &[u8; 14] = b"visage pack 1\n";
/// Pixels begin at a multiple of this: a page of memory.
const ALIGNMENT: usize = 4096;
/// The longest header: far above the 60 MB of a million images.
const MAX_HEADER: u64 = 1 << 32;
/// Images that are prepared before any of them is written.
const CHUNK: usize = 256;

/// What of a preparation is in the pixels of a pack. Normalising comes later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prepared {
    resize: Resize,
    filter: Filter,
    crop: Option<Size>,
}

impl Prepared {
    fn by(preparation: &Preparation) -> Self {
        let Preparation { resize, filter, crop, .. } = *preparation;
        Prepared { resize, filter, crop }
    }

    fn told(&self) -> String {
        let resize = match self.resize {
            Resize::Exact(size) => format!("resized to {size}"),
            Resize::ShorterSide(side) => format!("resized to a shorter side of {side}"),
        };
        self.crop.map_or_else(|| resize.clone(), |crop| format!("{resize} and cropped to {crop}"))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    name: String,
    attributes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    categories: Vec<String>,
    prepared: Prepared,
    size: Size,
    samples: Vec<Row>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    image: String,
    split: Option<Split>,
    identity: Option<String>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    categories: Box<[Option<String>]>,
    /// A character an attribute: 0 absent, 1 present, ? unknown.
    labels: String,
}

/// An open pack. Cloning shares the mapping.
#[derive(Clone, Debug)]
pub(crate) struct Pack {
    path: PathBuf,
    header: Header,
    /// The place of each sample's pixels.
    places: Vec<usize>,
    pixels: Mapped,
}

impl Pack {
    /// Opens the file if it is a pack.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, DataError> {
        let unreadable = |source| DataError::Read { path: path.to_owned(), source };
        let damaged = |reason: &str| DataError::Pack { path: path.to_owned(), reason: reason.to_owned() };
        let mut file = File::open(path).map_err(unreadable)?;
        let mut start = [0; MAGIC.len() + 8];
        match file.read_exact(&mut start) {
            Ok(()) if start.starts_with(MAGIC) => {}
            // Too short, or something else.
            Ok(()) | Err(_) => return Ok(None),
        }
        let mut length = [0; 8];
        length.copy_from_slice(&start[MAGIC.len()..]);
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER {
            return Err(damaged("its header is too long"));
        }
        let length = usize::try_from(length).map_err(|_| damaged("its header is too long"))?;
        let whole = Mapped::whole(&file).map_err(unreadable)?;
        let header = whole.part(start.len(), length).ok_or_else(|| damaged("it ends within its header"))?;
        let header: Header =
            serde_json::from_slice(header.as_ref()).map_err(|error| damaged(&format!("its header: {error}")))?;
        let sensible = (1..=Size::MAX_SIDE).contains(&header.size.height)
            && (1..=Size::MAX_SIDE).contains(&header.size.width)
            && !header.attributes.is_empty()
            && header.samples.iter().all(|row| {
                row.labels.len() == header.attributes.len() && row.categories.len() == header.categories.len()
            });
        if !sensible {
            return Err(damaged("its header contradicts itself"));
        }
        let bytes = header.samples.len().checked_mul(header.size.pixels() * 3);
        let start = (start.len() + length).next_multiple_of(ALIGNMENT);
        let pixels = bytes.and_then(|bytes| whole.part(start, bytes)).ok_or_else(|| damaged("it is cut short"))?;
        let places = (0..header.samples.len()).collect();
        Ok(Some(Pack { path: path.to_owned(), header, places, pixels }))
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What its source was called.
    pub(crate) fn name(&self) -> &str {
        &self.header.name
    }

    /// The attributes, the columns of words, and the samples.
    pub(crate) fn table(&self) -> (Vec<String>, Vec<String>, Vec<Sample>) {
        let label = |byte: u8| match byte {
            b'0' => Label::Absent,
            b'1' => Label::Present,
            _ => Label::Unknown,
        };
        let sample = |row: &Row| Sample {
            image: row.image.clone(),
            split: row.split,
            labels: row.labels.bytes().map(label).collect(),
            identity: row.identity.clone(),
            categories: row.categories.clone(),
            landmarks: None,
            face_box: None,
        };
        let Header { attributes, categories, samples, .. } = &self.header;
        (attributes.clone(), categories.clone(), samples.iter().map(sample).collect())
    }

    /// The pixels of a sample, if they are prepared as `preparation` says.
    pub(crate) fn pixels(&self, index: usize, preparation: &Preparation, dataset: &str) -> Result<Vec<u8>, DataError> {
        let wanted = Prepared::by(preparation);
        if wanted != self.header.prepared {
            return Err(DataError::PackedOtherwise {
                dataset: dataset.to_owned(),
                packed: self.header.prepared.told(),
                wanted: wanted.told(),
            });
        }
        let missing = || DataError::NoSample { dataset: dataset.to_owned(), samples: self.places.len(), index };
        self.any_pixels(index).ok_or_else(missing)
    }

    /// The pixels of a sample, however they are prepared.
    pub(crate) fn any_pixels(&self, index: usize) -> Option<Vec<u8>> {
        let length = self.header.size.pixels() * 3;
        let pixels = self.places.get(index).and_then(|place| self.pixels.part(place * length, length));
        Some(pixels?.as_ref().to_vec())
    }

    /// Leaves samples out.
    pub(crate) fn retain(&mut self, kept: impl Fn(usize) -> bool) {
        let mut index = 0..;
        self.places.retain(|_| index.next().is_none_or(&kept));
    }
}

/// What writing a pack took, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packed {
    /// How many images.
    pub images: usize,
    /// The size of each.
    pub size: Size,
    /// The bytes of the whole file.
    pub bytes: u64,
    /// What reading and preparing the images from the source took, added up over the threads: what every pass over the
    /// pack saves, but for the reading of its pixels.
    pub preparing: Duration,
}

/// Writes a pack of `dataset`, its images prepared by `preparation`. `progress` is told how
/// many images are written.
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
    let row = |sample: &Sample| Row {
        image: sample.image.clone(),
        split: sample.split,
        identity: sample.identity.clone(),
        categories: sample.categories.clone(),
        labels: sample.labels.iter().map(|label| ['0', '1', '?'][*label as usize]).collect(),
    };
    let header = Header {
        name: dataset.name().to_owned(),
        attributes: dataset.attributes().to_vec(),
        categories: dataset.categories().to_vec(),
        prepared: Prepared::by(preparation),
        size: preparation.output_size(),
        samples: dataset.samples().iter().map(row).collect(),
    };
    let text = serde_json::to_vec(&header).map_err(io::Error::from)?;
    out.write_all(MAGIC)?;
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(&text)?;
    let length = MAGIC.len() + 8 + text.len();
    let start = length.next_multiple_of(ALIGNMENT);
    out.write_all(&vec![0; start - length])?;

    let images = dataset.samples().len();
    let mut preparing = Duration::ZERO;
    for first in (0..images).step_by(CHUNK) {
        let indices: Vec<usize> = (first..images.min(first + CHUNK)).collect();
        let prepared = indices.par_iter().map(|&index| {
            let began = Instant::now();
            (dataset.pixels(index, preparation), began.elapsed())
        });
        let prepared: Vec<_> = prepared.collect();
        for (pixels, took) in prepared {
            out.write_all(&pixels?)?;
            preparing += took;
        }
        progress(first + indices.len());
    }
    let size = header.size;
    let bytes = (start + images * size.pixels() * 3) as u64;
    Ok(Packed { images, size, bytes, preparing })
}

/// How long it takes to read every image of the pack at `path` once.
///
/// # Errors
///
/// When it is no whole pack.
pub fn reading_time(path: &Path) -> Result<Duration, DataError> {
    let damaged = || DataError::Pack { path: path.to_owned(), reason: "it is something else".to_owned() };
    let pack = Pack::open(path)?.ok_or_else(damaged)?;
    let began = Instant::now();
    for index in 0..pack.places.len() {
        std::hint::black_box(pack.any_pixels(index));
    }
    Ok(began.elapsed())
}

/// Why a pack was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// An image of the source.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The file.
    #[error("cannot write the pack")]
    Write(#[from] io::Error),
}
