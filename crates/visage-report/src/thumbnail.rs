//! Images of a dataset, small enough for a page of hundreds.

use image::codecs::jpeg::JpegEncoder;
use visage_data::Dataset;

use crate::error::ReportError;

const SIDE: u32 = 128;
/// JPEG quality, of 100.
const QUALITY: u8 = 80;

/// The image `index` of a dataset, as the bytes of a small JPEG file.
pub(crate) fn thumbnail(dataset: &Dataset, index: usize) -> Result<Vec<u8>, ReportError> {
    let encoded = dataset.encoded_image(index)?;
    let failed = |source| ReportError::Thumbnail { image: dataset.samples()[index].image.clone(), source };
    let small = image::load_from_memory(&encoded).map_err(failed)?.thumbnail(SIDE, SIDE).into_rgb8();
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&small).map_err(failed)?;
    Ok(jpeg)
}
