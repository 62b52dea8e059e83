//! The pack: a dataset with its images decoded and resized, in one file.
//!
//! The file is a line `visage pack 1`, the length of a header in 8 bytes (little-endian), the header in JSON, zeros up to a
//! multiple of 4096 bytes, and the pixels of all images, `[N, H, W, 3]`, one byte a value.

use std::io;
use std::mem::take;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::alignment::Alignment;
use crate::error::DataError;
use crate::files::FileRange;
use crate::label::Label;
use crate::prepare::{Filter, Preparation, Resize};
use crate::retain::retain;
use crate::sample::Sample;
use crate::size::Size;
use crate::split::Split;

const MAGIC: &[u8; 14] = b"visage pack 1\n";
/// The magic line and the length of the header.
const PREFIX: usize = MAGIC.len() + 8;
/// Pixels start at a multiple of a memory page.
const ALIGNMENT: u64 = 4096;
/// The longest header: far above the 60 MB of a million images.
const MAX_HEADER: u64 = 1 << 32;

/// The part of a preparation that is done in a pack. Normalisation comes later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackedPreparation {
    resize: Resize,
    filter: Filter,
    crop: Option<Size>,
}

impl PackedPreparation {
    fn of(preparation: &Preparation) -> Self {
        let Preparation { resize, filter, crop, .. } = *preparation;
        PackedPreparation { resize, filter, crop }
    }

    fn describe(&self) -> String {
        let resize = match self.resize {
            Resize::Exact(size) => format!("resized to {size}"),
            Resize::ShorterSide(side) => format!("resized to a shorter side of {side}"),
        };
        self.crop.map_or_else(|| resize.clone(), |crop| format!("{resize} and cropped to {crop}"))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    name: String,
    attributes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    categories: Vec<String>,
    prepared: PackedPreparation,
    /// How the faces lie in the images, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alignment: Option<Alignment>,
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
    /// One character for each attribute: 0 absent, 1 present, ? unknown.
    labels: String,
    /// The probability of each label, if the table holds probabilities; unknown ones are null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    soft: Option<Box<[Option<f32>]>>,
}

impl Row {
    fn of(sample: &Sample) -> Self {
        Row {
            image: sample.image.clone(),
            split: sample.split,
            identity: sample.identity.clone(),
            categories: sample.categories.clone(),
            labels: sample.labels.iter().map(|label| ['0', '1', '?'][*label as usize]).collect(),
            soft: sample.soft.as_ref().map(|soft| soft.iter().map(|p| Some(*p).filter(|p| !p.is_nan())).collect()),
        }
    }

    fn into_sample(self) -> Sample {
        let label = |byte: u8| match byte {
            b'0' => Label::Absent,
            b'1' => Label::Present,
            _ => Label::Unknown,
        };
        let labels = self.labels.bytes().map(label).collect();
        let Row { image, split, identity, categories, soft, .. } = self;
        let soft = soft.map(|soft| soft.iter().map(|p| p.unwrap_or(f32::NAN)).collect());
        Sample { image, split, labels, soft, identity, categories, ..Sample::default() }
    }
}

impl Header {
    /// The header of a pack whose images are prepared by `preparation`.
    pub(crate) fn new(
        name: &str,
        attributes: &[String],
        categories: &[String],
        samples: &[Sample],
        preparation: &Preparation,
    ) -> Self {
        Header {
            name: name.to_owned(),
            attributes: attributes.to_vec(),
            categories: categories.to_vec(),
            prepared: PackedPreparation::of(preparation),
            alignment: preparation.alignment,
            size: preparation.output_size(),
            samples: samples.iter().map(Row::of).collect(),
        }
    }

    /// The bytes of the file before the pixels.
    pub(crate) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend((json.len() as u64).to_le_bytes());
        bytes.extend(json);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
        Ok(bytes)
    }

    fn is_consistent(&self) -> bool {
        (1..=Size::MAX_SIDE).contains(&self.size.height)
            && (1..=Size::MAX_SIDE).contains(&self.size.width)
            && !self.attributes.is_empty()
            && self.samples.iter().all(|row| {
                row.labels.len() == self.attributes.len()
                    && row.categories.len() == self.categories.len()
                    && row.soft.as_ref().is_none_or(|soft| soft.len() == self.attributes.len())
            })
    }
}

/// The images of a pack. Cloning shares the file.
#[derive(Clone, Debug)]
pub(crate) struct Pack {
    path: PathBuf,
    header: Header,
    /// The index of each sample's pixels.
    indices: Vec<usize>,
    pixels: FileRange,
}

impl Pack {
    /// Opens the file if it is a pack.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, DataError> {
        let unreadable = |source| DataError::Read { path: path.to_owned(), source };
        let damaged = |reason: &str| DataError::Pack { path: path.to_owned(), reason: reason.to_owned() };
        let whole = FileRange::open(path)?;
        let start = whole.start(PREFIX as u64).map_err(unreadable)?;
        // A file that is too short for a pack is something else.
        let Some((length, _)) = start.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk()) else {
            return Ok(None);
        };
        let length = u64::from_le_bytes(*length);
        if length > MAX_HEADER {
            return Err(damaged("its header is too long"));
        }
        let header = whole.part(PREFIX as u64, length).ok_or_else(|| damaged("it ends within its header"))?;
        let header = header.content().map_err(unreadable)?;
        let header: Header =
            serde_json::from_slice(&header).map_err(|error| damaged(&format!("its header: {error}")))?;
        if !header.is_consistent() {
            return Err(damaged("its header contradicts itself"));
        }
        let bytes = (header.samples.len() as u64).checked_mul(header.size.pixels() as u64 * 3);
        let start = (PREFIX as u64 + length).next_multiple_of(ALIGNMENT);
        let pixels = bytes.and_then(|bytes| whole.part(start, bytes)).ok_or_else(|| damaged("it is truncated"))?;
        let indices = (0..header.samples.len()).collect();
        Ok(Some(Pack { path: path.to_owned(), header, indices, pixels }))
    }

    /// Takes out the attributes, the categories and the samples.
    pub(super) fn take_table(&mut self) -> (Vec<String>, Vec<String>, Vec<Sample>) {
        let Header { attributes, categories, samples, .. } = &mut self.header;
        let samples = take(samples).into_iter().map(Row::into_sample).collect();
        (take(attributes), take(categories), samples)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the dataset that was packed.
    pub(crate) fn name(&self) -> &str {
        &self.header.name
    }

    /// How the faces lie in the images, if that is known.
    pub(crate) fn alignment(&self) -> Option<Alignment> {
        self.header.alignment
    }

    /// The number of images.
    pub(crate) fn images(&self) -> usize {
        self.indices.len()
    }

    /// The pixels of a sample, if they are prepared by `preparation`.
    pub(crate) fn pixels(&self, index: usize, preparation: &Preparation, dataset: &str) -> Result<Vec<u8>, DataError> {
        let wanted = PackedPreparation::of(preparation);
        if wanted != self.header.prepared {
            return Err(DataError::PackedOtherwise {
                dataset: dataset.to_owned(),
                packed: self.header.prepared.describe(),
                wanted: wanted.describe(),
            });
        }
        self.any_pixels(index, dataset)
    }

    /// The pixels of a sample, whatever their preparation.
    pub(crate) fn any_pixels(&self, index: usize, dataset: &str) -> Result<Vec<u8>, DataError> {
        let length = self.header.size.pixels() as u64 * 3;
        let pixels = self.indices.get(index).and_then(|&index| self.pixels.part(index as u64 * length, length));
        let missing = || DataError::NoSample { dataset: dataset.to_owned(), samples: self.images(), index };
        let pixels = pixels.ok_or_else(missing)?;
        pixels.content().map_err(|source| DataError::Read { path: self.path.clone(), source })
    }

    /// Keeps the images for whose indices `is_kept` holds.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(usize) -> bool) {
        retain(&mut self.indices, is_kept);
    }
}
