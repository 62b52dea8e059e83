//! Images of a dataset, small enough for a page of hundreds.

use image::DynamicImage;
use image::codecs::jpeg::JpegEncoder;
use visage_data::{DataError, Dataset, Truncated, decode};

use crate::error::ReportError;

const SIDE: u32 = 128;
/// JPEG quality, of 100.
const QUALITY: u8 = 80;

/// The image `index` of a dataset, as the bytes of a small JPEG file.
pub(crate) fn thumbnail(dataset: &Dataset, index: usize) -> Result<Vec<u8>, ReportError> {
    let encoded = dataset.encoded_image(index)?;
    let failed = |source| ReportError::Thumbnail { image: dataset.samples()[index].image.clone(), source };
    // Whether to accept a file that is cut short was decided when the image was evaluated.
    let decoded = decode(&encoded, Truncated::Accept).map_err(|source| {
        let (image, dataset) = (dataset.samples()[index].image.clone(), dataset.name().to_owned());
        DataError::Image { image, dataset, source }
    })?;
    let small = DynamicImage::ImageRgb8(decoded.image).thumbnail(SIDE, SIDE).into_rgb8();
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&small).map_err(failed)?;
    Ok(jpeg)
}
