//! From the file of an image to its pixels.

use image::{DynamicImage, RgbImage};

use crate::error::ImageError;
use crate::{exif, jpeg};

/// Decodes an image file to RGB, upright.
///
/// # Errors
///
/// [`ImageError::Decode`] when it is no image of a known format, is damaged, or would take more than 512 MiB.
pub fn decode(encoded: &[u8]) -> Result<RgbImage, ImageError> {
    let mut image = match jpeg::decode(encoded) {
        Some(image) => DynamicImage::ImageRgb8(image),
        // Its limits stop an image that would unpack to more than 512 MiB. A function of `image` and not its generic
        // reader, which would compile every decoder a second time.
        None => image::load_from_memory(encoded).map_err(ImageError::Decode)?,
    };
    image.apply_orientation(exif::orientation(encoded));
    Ok(image.into_rgb8())
}
