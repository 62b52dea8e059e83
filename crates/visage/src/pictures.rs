//! Pictures small enough for a page of hundreds.

use image::codecs::jpeg::JpegEncoder;
use visage_data::Dataset;

use crate::error::CommandError;

/// Longer side in pixels.
const SIDE: u32 = 128;
/// Quality of the JPEG file, of 100.
const QUALITY: u8 = 80;

/// An image of the dataset, by its number, as a small JPEG file.
///
/// # Errors
///
/// When it cannot be read.
pub fn thumbnail(dataset: &Dataset, index: usize) -> Result<Vec<u8>, CommandError> {
    let encoded = dataset.encoded_image(index)?;
    let unreadable = |source| CommandError::Picture { image: dataset.samples()[index].image.clone(), source };
    let small = image::load_from_memory(&encoded).map_err(unreadable)?.thumbnail(SIDE, SIDE).into_rgb8();
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&small).map_err(unreadable)?;
    Ok(jpeg)
}
