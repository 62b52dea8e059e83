//! Heat maps over an image: where a network finds evidence for an attribute.

use image::{Rgb, RgbImage, imageops};

use crate::caption::enlarged;
use crate::png_file;

/// The length of the longer side, in pixels, up to which small images are enlarged by a whole factor.
const SIDE: usize = 320;

/// The longer side of an overlay, in pixels, at most. Heat is smooth, so that a browser may enlarge it.
const OVERLAY_SIDE: u32 = 1600;

/// Opacity of the heat. The image below is grey, so that colour always means heat.
const OPACITY: f32 = 0.55;

/// The colour map: Matplotlib's `inferno` at even steps, from dark to light and safe for colour-blind readers.
const COLOURS: [[u8; 3]; 9] = [
    [0, 0, 4],
    [31, 12, 72],
    [85, 15, 109],
    [136, 34, 106],
    [186, 54, 85],
    [227, 89, 51],
    [249, 140, 10],
    [249, 201, 50],
    [252, 255, 164],
];

/// An image, and heat maps of its attributes.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Name of the image.
    pub image: String,
    /// When and by which program it was made, in words.
    pub made: String,
    /// The method and the model, in words; a paragraph each.
    pub about: Vec<String>,
    /// The prepared image: RGB, one byte a value, row by row.
    pub pixels: Vec<u8>,
    /// Its width in pixels.
    pub width: usize,
    /// The attributes explained.
    pub attributes: Vec<Explained>,
}

/// The heat map of one attribute.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The attribute.
    pub attribute: String,
    /// The predicted probability.
    pub probability: f32,
    /// Whether it is predicted present.
    pub present: bool,
    /// The evidence at each pixel, at least 0 in any unit, row by row.
    pub heat: Vec<f32>,
    /// The heat map over the photograph that the image is a face of, as [`heat_over_photograph`] makes it.
    pub on_photograph: Option<Vec<u8>>,
}

impl Explanation {
    pub(crate) fn picture(&self) -> Vec<u8> {
        picture(&self.pixels, self.width, |pixel, _| pixel, &[])
    }

    pub(crate) fn heat_map(&self, explained: &Explained) -> Vec<u8> {
        heat_picture(&self.pixels, self.width, &explained.heat)
    }
}

/// A heat map over the image in grey, as a PNG file; the maximum has the lightest colour. `pixels` are RGB, row by row and
/// `width` in a row; `heat` has a value per pixel, at least 0 in any unit.
pub fn heat_picture(pixels: &[u8], width: usize, heat: &[f32]) -> Vec<u8> {
    let most = heat.iter().copied().fold(0.0, f32::max);
    let heated = |pixel: [u8; 3], heat: f32| {
        let grey = grey(pixel);
        let heat = if most > 0.0 { heat / most } else { 0.0 };
        colour(heat).map(|channel| (OPACITY * channel + (1.0 - OPACITY) * grey).round() as u8)
    };
    picture(pixels, width, heated, heat)
}

/// Luma, after ITU-R BT.601.
fn grey([red, green, blue]: [u8; 3]) -> f32 {
    0.299 * f32::from(red) + 0.587 * f32::from(green) + 0.114 * f32::from(blue)
}

/// A heat map as a PNG file to be laid over a photograph of `size` (width and height) in grey: coloured as [`heat_picture`], with
/// the same opacity where there is heat, and transparent elsewhere. The file has the proportions of the photograph and at most 1600
/// pixels a side. `heat` has `width` values in a row, at least 0 in any unit; `place` takes a point of the photograph to one of the
/// heat map, in pixels of each.
pub fn heat_overlay(heat: &[f32], width: usize, size: [u32; 2], place: impl Fn([f64; 2]) -> [f64; 2]) -> Vec<u8> {
    let (scale, [columns, rows]) = overlay_size(size);
    let coloured = |colours: Option<[f32; 3]>| match colours {
        Some(colours) => {
            let [red, green, blue] = colours.map(|channel| channel as u8);
            [red, green, blue, (OPACITY * 255.0) as u8]
        }
        None => [0; 4],
    };
    let pixels: Vec<[u8; 4]> = laid_over(heat, width, [columns, rows], scale, place).map(coloured).collect();
    png_file::with_transparency(pixels.as_flattened(), columns, rows)
}

/// A heat map over a photograph in grey, as a PNG file of at most 1600 pixels a side, with `heat`, `width` and `place` as for
/// [`heat_overlay`].
pub fn heat_over_photograph(
    photograph: &RgbImage,
    heat: &[f32],
    width: usize,
    place: impl Fn([f64; 2]) -> [f64; 2],
) -> Vec<u8> {
    let (scale, [columns, rows]) = overlay_size([photograph.width(), photograph.height()]);
    let small = imageops::thumbnail(photograph, columns as u32, rows as u32);
    let heats = laid_over(heat, width, [columns, rows], scale, place);
    let blended = |(pixel, colours): (&Rgb<u8>, Option<[f32; 3]>)| {
        let grey = grey(pixel.0);
        match colours {
            Some(colours) => colours.map(|channel| (OPACITY * channel + (1.0 - OPACITY) * grey).round() as u8),
            None => [grey as u8; 3],
        }
    };
    let pixels: Vec<[u8; 3]> = small.pixels().zip(heats).map(blended).collect();
    png_file::of_pixels(pixels.as_flattened(), columns, rows)
}

/// The scale of an overlay for a photograph of this width and height, and its size.
fn overlay_size(size: [u32; 2]) -> (f64, [usize; 2]) {
    let longer = size[0].max(size[1]).max(1);
    let scale = (f64::from(OVERLAY_SIDE) / f64::from(longer)).min(1.0);
    (scale, size.map(|side| ((f64::from(side) * scale).round() as usize).max(1)))
}

/// For each pixel of an overlay the colour of the heat there; `None` outside the heat map.
fn laid_over(
    heat: &[f32],
    width: usize,
    [columns, rows]: [usize; 2],
    scale: f64,
    place: impl Fn([f64; 2]) -> [f64; 2],
) -> impl Iterator<Item = Option<[f32; 3]>> {
    let most = heat.iter().copied().fold(0.0, f32::max);
    let (width, height) = (width.max(1), heat.len() / width.max(1));
    (0..columns * rows).map(move |index| {
        let [x, y] = place([index % columns, index / columns].map(|at| (at as f64 + 0.5) / scale));
        let is_inside = (0.0..width as f64).contains(&x) && (0.0..height as f64).contains(&y);
        is_inside.then(|| {
            let heat = heat[y as usize * width + x as usize];
            colour(if most > 0.0 { heat / most } else { 0.0 })
        })
    })
}

/// The image as a PNG file, enlarged; each pixel is `of` the image's pixel and the heat there.
fn picture(pixels: &[u8], width: usize, of: impl Fn([u8; 3], f32) -> [u8; 3], heat: &[f32]) -> Vec<u8> {
    let (pixels, _) = pixels.as_chunks::<3>();
    let width = width.max(1);
    let factor = (SIDE / width.max(pixels.len() / width).max(1)).max(1);
    let cool = std::iter::repeat(0.0);
    let made: Vec<[u8; 3]> =
        pixels.iter().zip(heat.iter().copied().chain(cool)).map(|(&pixel, heat)| of(pixel, heat)).collect();
    png_file::of_pixels(&enlarged(made.as_flattened(), width, factor), width * factor, pixels.len() / width * factor)
}

/// The colour of a heat from 0 to 1.
fn colour(heat: f32) -> [f32; 3] {
    let place = heat.clamp(0.0, 1.0) * (COLOURS.len() - 1) as f32;
    let below = (place as usize).min(COLOURS.len() - 2);
    let part = place - below as f32;
    std::array::from_fn(|channel| {
        let [from, to] = [below, below + 1].map(|at| f32::from(COLOURS[at][channel]));
        from + (to - from) * part
    })
}
