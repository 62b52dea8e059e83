//! Decoding image files.

use std::io::{self, Cursor};
use std::panic::catch_unwind;

use image::codecs::bmp::BmpDecoder;
use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageBuffer, ImageDecoder, ImageFormat, ImageResult, RgbImage};

use crate::error::ImageError;
use crate::memory::{self, Reservation};
use crate::{exif, header, jpeg, tiff_file};

/// What is done with an image file that is cut short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Truncated {
    /// It is an error, as in Pillow and torchvision.
    #[default]
    Refuse,
    /// It is decoded as far as it goes, as Pillow does with `LOAD_TRUNCATED_IMAGES`: a JPEG file is grey from where it ends, other
    /// files are black. Of WebP and TIFF files nothing is left, and they are errors in any case.
    Accept,
}

impl Truncated {
    /// The value of an option to allow files that are cut short.
    #[must_use]
    pub fn allowed(allowed: bool) -> Self {
        if allowed { Truncated::Accept } else { Truncated::Refuse }
    }
}

/// A decoded image file.
#[derive(Debug)]
pub struct Decoded {
    /// The image, upright.
    pub image: RgbImage,
    /// Whether the file is cut short, so that a part of the image is blank.
    pub is_truncated: bool,
    /// The memory it counts for, while other images are decoded.
    pub(crate) reservation: Reservation,
}

/// Decodes an image file to RGB and applies its EXIF orientation.
///
/// Files come from anywhere, and a decoder may panic on a damaged one. The panic is caught here, so that no caller has to.
/// Any number of threads may decode at once. An image that does not fit into the memory that the others leave waits for them.
///
/// # Errors
///
/// [`ImageError`]: the file is damaged, of a format that is not read, or cut short and `truncated` refuses that; the image has no
/// pixels, or needs more memory than there is; the decoder panicked.
pub fn decode(encoded: &[u8], truncated: Truncated) -> Result<Decoded, ImageError> {
    catch_unwind(|| decode_or_panic(encoded, truncated)).unwrap_or(Err(ImageError::DecoderPanicked))
}

fn decode_or_panic(encoded: &[u8], truncated: Truncated) -> Result<Decoded, ImageError> {
    let orientation = exif::orientation(encoded);
    let reservation = match header::footprint(encoded) {
        Some(footprint) => memory::reserve(&footprint, orientation != Orientation::NoTransforms)?,
        None => Reservation::default(),
    };
    let (mut image, is_truncated) = pixels(encoded, truncated)?;
    if image.width() == 0 || image.height() == 0 {
        return Err(ImageError::Empty);
    }
    if is_truncated && truncated == Truncated::Refuse {
        return Err(ImageError::Truncated);
    }
    image.apply_orientation(orientation);
    Ok(Decoded { image: image.into_rgb8(), is_truncated, reservation })
}

/// The pixels of a file as they are stored, and whether it is cut short.
fn pixels(encoded: &[u8], truncated: Truncated) -> Result<(DynamicImage, bool), ImageError> {
    let encoded = &*header::without_metadata(encoded);
    if encoded.starts_with(b"\xFF\xD8") {
        jpeg::require_few_scans(encoded)?;
    }
    if let Some((image, is_whole)) = jpeg::decode(encoded) {
        return Ok((DynamicImage::ImageRgb8(image), !is_whole));
    }
    if tiff_file::is_tiff(encoded) {
        return Ok((DynamicImage::ImageRgb8(tiff_file::decode(encoded)?), false));
    }
    if header::is_cut_webp(encoded) {
        return Err(ImageError::TruncatedUnusable);
    }
    // Its default limits refuse images of more than 512 MiB. `image`'s generic reader would compile every decoder a second
    // time.
    match image::load_from_memory(encoded) {
        // The decoder of rare kinds of JPEG fills in what is missing.
        Ok(image) => Ok((image, encoded.starts_with(b"\xFF\xD8") && !jpeg::is_whole(encoded))),
        Err(error) if ends_early(encoded, &error) => cut_short(encoded, truncated),
        Err(error) => Err(header::foreign_format(encoded).unwrap_or(ImageError::Decode(error))),
    }
}

/// Whether `error` comes from the end of the file.
fn ends_early(encoded: &[u8], error: &image::ImageError) -> bool {
    match error {
        image::ImageError::IoError(error) => error.kind() == io::ErrorKind::UnexpectedEof,
        _ => {
            encoded.starts_with(b"\xFF\xD8") && !jpeg::is_whole(encoded)
                || encoded.starts_with(b"GIF8") && header::is_cut_gif(encoded)
        }
    }
}

/// The part of an image that a file cut short holds. It is whole if nothing but the end marker of a PNG file is missing, which
/// Pillow does not need either.
fn cut_short(encoded: &[u8], truncated: Truncated) -> Result<(DynamicImage, bool), ImageError> {
    let format = image::guess_format(encoded).ok();
    if format == Some(ImageFormat::Png)
        && let Some(ended) = header::with_png_end(encoded)
        && let Ok(image) = image::load_from_memory(&ended)
    {
        return Ok((image, false));
    }
    let file = Cursor::new(encoded);
    let part = match format {
        Some(ImageFormat::Png | ImageFormat::Gif | ImageFormat::Bmp | ImageFormat::Jpeg)
            if truncated == Truncated::Refuse =>
        {
            return Err(ImageError::Truncated);
        }
        Some(ImageFormat::Png) => PngDecoder::new(file).map(partly),
        Some(ImageFormat::Gif) => GifDecoder::new(file).map(partly),
        Some(ImageFormat::Bmp) => BmpDecoder::new(file).map(partly),
        _ => return Err(ImageError::TruncatedUnusable),
    };
    // An error here is one of the header.
    let part: ImageResult<Option<DynamicImage>> = part;
    part.ok().flatten().map(|image| (image, true)).ok_or(ImageError::TruncatedUnusable)
}

/// What a decoder writes before it fails, on black. `None` for an image of more than 512 MiB or of floating-point numbers.
fn partly(decoder: impl ImageDecoder) -> Option<DynamicImage> {
    let ((width, height), colour) = (decoder.dimensions(), decoder.color_type());
    let bytes = Some(decoder.total_bytes()).filter(|&bytes| bytes <= memory::MAX_DECODED)?;
    let mut buffer = vec![0; usize::try_from(bytes).ok()?];
    // Its error is the missing end.
    let _ = decoder.read_image(&mut buffer);
    // The high bytes of 16-bit samples. `read_image` brings them to the machine's order at its end, which it does not reach: they
    // are big-endian, as in the file.
    if matches!(colour, ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16) {
        buffer = buffer.into_iter().step_by(2).collect();
    }
    match colour {
        ColorType::L8 | ColorType::L16 => ImageBuffer::from_raw(width, height, buffer).map(DynamicImage::ImageLuma8),
        ColorType::La8 | ColorType::La16 => ImageBuffer::from_raw(width, height, buffer).map(DynamicImage::ImageLumaA8),
        ColorType::Rgb8 | ColorType::Rgb16 => ImageBuffer::from_raw(width, height, buffer).map(DynamicImage::ImageRgb8),
        ColorType::Rgba8 | ColorType::Rgba16 => {
            ImageBuffer::from_raw(width, height, buffer).map(DynamicImage::ImageRgba8)
        }
        _ => None,
    }
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
        assert!(matches!(decode(b"PANIC!", Truncated::Refuse), Err(ImageError::DecoderPanicked)));
        let prepared = Preparation::exact(Size::square(8)).pixels(b"PANIC!");
        assert!(matches!(prepared, Err(ImageError::DecoderPanicked)));
    }

    #[test]
    fn an_image_without_pixels_is_an_error() {
        // A BMP file: its header, the length of the next header, width 0, height 1, 1 plane, 24 bits a pixel.
        let mut bmp = b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\0\0\0\0\x01\0\0\0\x01\0\x18\0".to_vec();
        bmp.resize(54, 0);
        assert!(decode(&bmp, Truncated::Refuse).is_err());
    }

    #[test]
    fn a_format_that_is_not_read_is_named() {
        for (start, name) in [
            (&b"\0\0\0\x24ftypheic\0\0\0\0"[..], "HEIC"),
            (b"\0\0\0\x20ftypavif\0\0\0\0", "AVIF"),
            (b"\0\0\0\x0CjP  \r\n\x87\n", "JPEG 2000"),
            (b"8BPS\0\x01", "Photoshop"),
            (b"<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "SVG"),
        ] {
            let message = decode(start, Truncated::Refuse).unwrap_err().to_string();
            assert!(message.contains(name) && message.contains("convert it to JPEG or PNG"), "{message}");
        }
    }
}
