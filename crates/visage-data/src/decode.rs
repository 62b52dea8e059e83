//! Decoding image files.

use std::panic::catch_unwind;

use image::{DynamicImage, RgbImage};

use crate::error::ImageError;
use crate::{exif, jpeg};

/// Decodes an image file to RGB and applies its EXIF orientation.
///
/// Files come from anywhere, and a decoder may panic on a damaged one. The panic is caught here, so that no caller has to.
///
/// # Errors
///
/// [`ImageError::Decode`] when the file is damaged, has no known format, or would take more than 512 MiB;
/// [`ImageError::Empty`] when it has no pixels; [`ImageError::DecoderPanicked`] when its decoder panicked.
pub fn decode(encoded: &[u8]) -> Result<RgbImage, ImageError> {
    catch_unwind(|| decode_or_panic(encoded)).unwrap_or(Err(ImageError::DecoderPanicked))
}

fn decode_or_panic(encoded: &[u8]) -> Result<RgbImage, ImageError> {
    let mut image = match jpeg::decode(encoded) {
        Some(image) => DynamicImage::ImageRgb8(image),
        // Its default limits refuse images of more than 512 MiB. `image`'s generic reader would compile every decoder
        // a second time.
        None => image::load_from_memory(encoded).map_err(ImageError::Decode)?,
    };
    if image.width() == 0 || image.height() == 0 {
        return Err(ImageError::Empty);
    }
    image.apply_orientation(exif::orientation(encoded));
    Ok(image.into_rgb8())
}

#[cfg(test)]
mod tests {
    use image::hooks::{register_decoding_hook, register_format_detection_hook};

    use super::*;
    use crate::{Preparation, Size};

    #[test]
    fn a_panic_of_a_decoder_is_an_error() {
        register_decoding_hook("panic".into(), Box::new(|_| panic!("a decoder that panics")));
        register_format_detection_hook("panic".into(), b"PANIC", None);
        assert!(matches!(decode(b"PANIC!"), Err(ImageError::DecoderPanicked)));
        let prepared = Preparation::exact(Size::square(8)).pixels(b"PANIC!");
        assert!(matches!(prepared, Err(ImageError::DecoderPanicked)));
    }

    #[test]
    fn an_image_without_pixels_is_an_error() {
        // A BMP file: its header, the length of the next header, width 0, height 1, 1 plane, 24 bits a pixel.
        let mut bmp = b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\0\0\0\0\x01\0\0\0\x01\0\x18\0".to_vec();
        bmp.resize(54, 0);
        assert!(decode(&bmp).is_err());
    }
}
