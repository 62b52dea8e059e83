//! Images and their labels: datasets, preparation, augmentation, loading.
//!
//! A row of a table becomes a [`Sample`] of a [`Dataset`]. A [`Preparation`] turns its image file into pixels, in the same way for
//! training, evaluation and prediction. An [`Augmentation`] varies them in training. A [`Loader`] delivers them in batches,
//! in an order that depends only on the seed and the epoch. [`Statistics`] and [`AttributeWeights`] are computed from the typed
//! [`Label`]s of one split.
//!
//! ```
//! use visage_data::{Dataset, Preparation, Size, Split, Statistics};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("labels.csv"), "image,split,Smiling\na.png,train,1\nb.png,train,0\n")?;
//! image::RgbImage::new(178, 218).save(folder.path().join("a.png"))?;
//!
//! let dataset = Dataset::open(folder.path())?;
//! assert_eq!(dataset.attributes(), ["Smiling"]);
//! assert_eq!(Statistics::of(&dataset, Split::Train).attributes[0].prevalence, Some(0.5));
//!
//! let pixels = dataset.pixels(0, &Preparation::exact(Size::square(64)))?;
//! assert_eq!(pixels.len(), 64 * 64 * 3);
//! # Ok(())
//! # }
//! ```

mod alignment;
mod archive;
mod association;
mod attributes;
mod augment;
pub mod convert;
mod dataset;
mod decode;
pub mod duplicates;
mod error;
mod exif;
mod files;
mod folds;
mod header;
pub mod image_list;
mod jpeg;
mod label;
mod loader;
mod memory;
mod mixing;
pub mod pack;
mod prepare;
pub mod preview;
pub mod random;
mod retain;
mod sample;
mod size;
mod sources;
mod split;
mod statistics;
mod stratify;
mod table_options;
mod tiff_file;
mod truncation;
pub mod verify;
mod weights;

pub use alignment::{ALIGNED_SIZE, Alignment, Landmarks, Point, Similarity, align};
pub use archive::Archive;
pub use association::{Associations, AttributePair};
pub use attributes::{CELEBA_ATTRIBUTES, MAX_ATTRIBUTES};
pub use augment::{Affine, Augmentation, Blur, BrightnessContrast, Crop, Erasing, Noise};
pub use dataset::Dataset;
pub use decode::{Decoded, Truncated, decode};
pub use error::{DataError, ImageError, InvalidSetting, TableFault, with_causes};
pub use files::{NameKind, read_image_file};
pub use header::stated_size;
pub use label::Label;
pub use loader::{Batch, Loader, LoaderOptions};
pub use mixing::{Mixed, Mixing};
pub use prepare::{Filter, Preparation, PreparedImage, Resize, resize_region};
pub use sample::Sample;
pub use size::{InvalidSize, Size};
pub use sources::{Recognised, recognised};
pub use split::{Split, SplitOrAll, UnknownSplit, UnknownSplitOrAll};
pub use statistics::{AttributeStatistics, Statistics};
pub use table_options::{Combine, TableOptions};
pub use weights::{AttributeWeights, WeightError, Weighting};
