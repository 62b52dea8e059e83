//! Preparation: from an image file to the input of a network.

use fast_image_resize as fir;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::alignment::{ALIGNED_SIZE, Alignment, Point, Similarity, has_aligned_shape};
use crate::decode::{Truncated, decode};
use crate::error::{ImageError, InvalidSetting};
use crate::size::Size;

/// The longest side after a resize in proportion, so that an image one pixel wide cannot grow without bound.
const MAX_RESIZED_SIDE: usize = 1 << 15;

/// The preparation of an image: decode to RGB, resize, centre crop, scale to 0 to 1, normalise.
///
/// Training, evaluation and prediction share one value of this type. It is stored in the model file, and nothing else
/// determines how that model's images are prepared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preparation {
    /// The size to resize to.
    pub resize: Resize,
    /// The filter of the resize.
    #[serde(default)]
    pub filter: Filter,
    /// The size of the centre crop, as torchvision's `CenterCrop`; no crop if `None`.
    #[serde(default)]
    pub crop: Option<Size>,
    /// The means of red, green and blue, subtracted after scaling to 0 to 1.
    pub mean: [f32; 3],
    /// The standard deviations, by which the differences are divided; above 0.
    pub std: [f32; 3],
    /// How the faces lie in the images; `None` if that is unknown. Photographs are aligned before they are prepared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alignment: Option<Alignment>,
}

/// The size an image is resized to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// Exactly this size; the proportions may change.
    Exact(Size),
    /// The shorter side gets this length, the longer one keeps the proportions, rounded down as in torchvision's `Resize`.
    /// Needs a crop, because the images of a batch must have the same size.
    ShorterSide(usize),
}

/// The filter that resamples pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// Pillow's `BILINEAR`: a triangle filter that widens with the reduction, so that downscaling averages all pixels.
    #[default]
    BilinearAntialiased,
}

/// A prepared image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedImage {
    /// RGB bytes, shape `[H, W, 3]` of [`Preparation::output_size`].
    pub pixels: Vec<u8>,
    /// The size of the image before the resize.
    pub original: Size,
    /// Whether the file is cut short, so that a part of the image is blank.
    pub is_truncated: bool,
}

impl Preparation {
    /// The mean of ImageNet's training images, as torchvision and timm use it.
    pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
    /// The standard deviation of ImageNet's training images, as torchvision and timm use it.
    pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

    /// Resizes to exactly `size` and normalises with a mean and standard deviation of 0.5, to -1 to 1.
    #[must_use]
    pub fn exact(size: Size) -> Self {
        Preparation {
            resize: Resize::Exact(size),
            filter: Filter::default(),
            crop: None,
            mean: [0.5; 3],
            std: [0.5; 3],
            alignment: None,
        }
    }

    /// The size of every prepared image.
    #[must_use]
    pub fn output_size(&self) -> Size {
        self.crop.unwrap_or(match self.resize {
            Resize::Exact(size) => size,
            Resize::ShorterSide(side) => Size::square(side),
        })
    }

    /// Whether aligned faces are expected, and an image of this size, as it is in its file, plainly shows none.
    #[must_use]
    pub fn misses_alignment(&self, original: Size) -> bool {
        self.alignment == Some(Alignment::Celeba) && !has_aligned_shape(original)
    }

    /// Checks the values. Values from a file must pass it before use.
    ///
    /// # Errors
    ///
    /// Names the first invalid setting.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let allowed = 1..=Size::MAX_SIDE;
        let is_valid = |size: Size| allowed.contains(&size.height) && allowed.contains(&size.width);
        let smallest = match self.resize {
            Resize::Exact(size) => size,
            Resize::ShorterSide(side) => Size::square(side),
        };
        if !is_valid(smallest) {
            return Err(InvalidSetting::new("resize", format!("must be from 1 to {} pixels a side", Size::MAX_SIDE)));
        }
        match self.crop {
            None if matches!(self.resize, Resize::ShorterSide(_)) => {
                return Err(InvalidSetting::new(
                    "crop",
                    "is needed with a resize by the shorter side, because images would differ in size",
                ));
            }
            Some(crop) if !is_valid(crop) || crop.height > smallest.height || crop.width > smallest.width => {
                return Err(InvalidSetting::new("crop", format!("is {crop} and must fit in the resized {smallest}")));
            }
            _ => {}
        }
        if self.mean.iter().any(|mean| !mean.is_finite()) {
            return Err(InvalidSetting::new("mean", "must be three finite numbers"));
        }
        if self.std.iter().any(|&std| !std.is_normal() || std < 0.0) {
            return Err(InvalidSetting::new("std", "must be three finite numbers above 0"));
        }
        Ok(())
    }

    /// Decodes, resizes and crops an image file: RGB bytes, shape `[H, W, 3]` of [`output_size`](Self::output_size).
    ///
    /// # Errors
    ///
    /// As [`prepare`](Self::prepare), of which this is the short form that refuses a file that is cut short.
    pub fn pixels(&self, encoded: &[u8]) -> Result<Vec<u8>, ImageError> {
        Ok(self.prepare(encoded, Truncated::Refuse)?.pixels)
    }

    /// Decodes, resizes and crops an image file.
    ///
    /// Reads JPEG, PNG, WebP, BMP, TIFF and the first frame of GIF, recognised by their content. Applies the EXIF orientation,
    /// turns grey to RGB and drops alpha, as Pillow's `ImageOps.exif_transpose` and `convert("RGB")`.
    ///
    /// # Errors
    ///
    /// When the file is not a readable image or needs more memory than there is, is cut short and `truncated` refuses that, or
    /// is too long and thin for the resize.
    pub fn prepare(&self, encoded: &[u8], truncated: Truncated) -> Result<PreparedImage, ImageError> {
        let decoded = decode(encoded, truncated)?;
        let (original, is_truncated) = (size_of(&decoded.image), decoded.is_truncated);
        let pixels = self.image(decoded.image)?;
        drop(decoded.reservation);
        Ok(PreparedImage { pixels, original, is_truncated })
    }

    /// Resizes and crops an image: RGB bytes, shape `[H, W, 3]` of [`output_size`](Self::output_size).
    ///
    /// # Errors
    ///
    /// When it is too long and thin for the resize.
    pub fn image(&self, image: RgbImage) -> Result<Vec<u8>, ImageError> {
        let original = size_of(&image);
        let resized = self.resized_size(original)?;
        let pixels = self.resample(image, original, resized)?;
        match self.crop {
            None => Ok(pixels),
            Some(crop) => centre_crop(&pixels, resized, crop),
        }
    }

    /// The region of an image of this size that its prepared pixels show, as its left edge, upper edge, width and height in pixels of
    /// the image.
    ///
    /// # Errors
    ///
    /// When the image is too long and thin for the resize.
    pub fn shown_region(&self, original: Size) -> Result<[f64; 4], ImageError> {
        let resized = self.resized_size(original)?;
        let across = original.width as f64 / resized.width as f64;
        let down = original.height as f64 / resized.height as f64;
        let shown = self.crop.unwrap_or(resized);
        let left = crop_margin(resized.width.saturating_sub(shown.width));
        let top = crop_margin(resized.height.saturating_sub(shown.height));
        Ok([left as f64 * across, top as f64 * down, shown.width as f64 * across, shown.height as f64 * down])
    }

    /// Where a point of a photograph is in the prepared pixels of the face that `aligning` aligns, in pixels of each.
    ///
    /// # Errors
    ///
    /// When an aligned face is too long and thin for the resize.
    pub fn place_in_face(&self, aligning: Similarity) -> Result<impl Fn(Point) -> Point + use<>, ImageError> {
        let [width, height] = ALIGNED_SIZE.map(|side| side as usize);
        let [left, top, width, height] = self.shown_region(Size { height, width })?;
        let prepared = self.output_size();
        Ok(move |[x, y]: Point| {
            // The first pixel of an aligned face has its centre at (0, 0), that of a photograph at (0.5, 0.5).
            let [x, y] = aligning.apply([x - 0.5, y - 0.5]).map(|at| at + 0.5);
            [(x - left) / width * prepared.width as f64, (y - top) / height * prepared.height as f64]
        })
    }

    /// Scales bytes to 0 to 1, subtracts the mean and divides by the standard deviation. `pixels` is red, green, blue, red, ... of
    /// any number of images; `out` has the same order.
    ///
    /// # Panics
    ///
    /// If the two slices differ in length.
    pub fn normalise(&self, pixels: &[u8], out: &mut [f32]) {
        assert_eq!(pixels.len(), out.len(), "one number for each byte");
        // The operations and their order are torchvision's (`ToTensor`, `Normalize`). The table computes each value once.
        let table: [[f32; 256]; 3] = std::array::from_fn(|channel| {
            std::array::from_fn(|value| (value as f32 / 255.0 - self.mean[channel]) / self.std[channel])
        });
        let (pixels, _) = pixels.as_chunks::<3>();
        let (out, _) = out.as_chunks_mut::<3>();
        for (out, pixel) in out.iter_mut().zip(pixels) {
            *out = std::array::from_fn(|channel| table[channel][usize::from(pixel[channel])]);
        }
    }

    /// The size to which an image of `original` size is resized.
    fn resized_size(&self, original: Size) -> Result<Size, ImageError> {
        match self.resize {
            Resize::Exact(size) => Ok(size),
            Resize::ShorterSide(side) => {
                let Size { height, width } = original;
                let longer = side * height.max(width) / height.min(width);
                if longer > MAX_RESIZED_SIDE {
                    return Err(ImageError::TooThin { width, height });
                }
                Ok(if width <= height {
                    Size { height: longer, width: side }
                } else {
                    Size { height: side, width: longer }
                })
            }
        }
    }

    fn resample(&self, image: RgbImage, original: Size, resized: Size) -> Result<Vec<u8>, ImageError> {
        if original == resized {
            return Ok(image.into_raw());
        }
        let algorithm = match self.filter {
            Filter::BilinearAntialiased => fir::ResizeAlg::Convolution(fir::FilterType::Bilinear),
        };
        let (width, height) = image.dimensions();
        let (pixels, mut resampled) = (image.into_raw(), vec![0; resized.pixels() * 3]);
        // Typed views, so that the resizer is compiled for this pixel type alone, and once with `resize_region`. Both sides of the
        // target are at most `MAX_RESIZED_SIDE`, and the lengths of the buffers match the sizes.
        let source = TypedImageRef::<fir::pixels::U8x3>::from_buffer(width, height, &pixels);
        let target =
            TypedImage::<fir::pixels::U8x3>::from_buffer(resized.width as u32, resized.height as u32, &mut resampled);
        let (Ok(source), Ok(mut target)) = (source, target) else { return Err(ImageError::DecoderPanicked) };
        let options = fir::ResizeOptions::new().resize_alg(algorithm);
        fir::Resizer::new().resize_typed(&source, &mut target, &options).map_err(ImageError::Resize)?;
        Ok(resampled)
    }
}

fn size_of(image: &RgbImage) -> Size {
    Size { height: image.height() as usize, width: image.width() as usize }
}

/// The pixels of a region of an image (left, top, width and height), resized to `size` as Pillow resizes with its bilinear filter:
/// RGB bytes, shape `[height, width, 3]`.
///
/// # Errors
///
/// When the region is empty or reaches beyond the image.
pub fn resize_region(
    image: &RgbImage,
    [left, top, width, height]: [u32; 4],
    size: Size,
) -> Result<Vec<u8>, ImageError> {
    let mut resized = vec![0; size.pixels() * 3];
    let source = TypedImageRef::<fir::pixels::U8x3>::from_buffer(image.width(), image.height(), image.as_raw());
    let target = TypedImage::<fir::pixels::U8x3>::from_buffer(size.width as u32, size.height as u32, &mut resized);
    let (Ok(source), Ok(mut target)) = (source, target) else { return Err(ImageError::DecoderPanicked) };
    let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::Bilinear)).crop(
        f64::from(left),
        f64::from(top),
        f64::from(width),
        f64::from(height),
    );
    fir::Resizer::new().resize_typed(&source, &mut target, &options).map_err(ImageError::Resize)?;
    Ok(resized)
}

/// The part of the pixels left out by a centre crop that lies before it. Rounded as by Python's `round`: ties to even.
fn crop_margin(left_out: usize) -> usize {
    (left_out as f64 / 2.0).round_ties_even() as usize
}

/// The centre of `pixels`, shape `[H, W, 3]` of `size`; odd margins round as in torchvision.
fn centre_crop(pixels: &[u8], size: Size, crop: Size) -> Result<Vec<u8>, ImageError> {
    let (Some(rows), Some(columns)) = (size.height.checked_sub(crop.height), size.width.checked_sub(crop.width)) else {
        return Err(ImageError::Crop { crop, resized: size });
    };
    let (top, left) = (crop_margin(rows), crop_margin(columns));
    let mut cropped = Vec::with_capacity(crop.pixels() * 3);
    for row in top..top + crop.height {
        let start = (row * size.width + left) * 3;
        cropped.extend_from_slice(&pixels[start..start + crop.width * 3]);
    }
    Ok(cropped)
}
