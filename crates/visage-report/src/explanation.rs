//! What in an image speaks for an attribute, as heat over the image.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use visage_weights::atomic;

use crate::caption::enlarged;
use crate::error::ReportError;
use crate::figure::{distinct, file_part};
use crate::{page, png_file};

/// Name of the page.
const EXPLANATION_PAGE: &str = "explanation.html";

/// The longer side that a small image is enlarged towards, in pixels, each of its pixels a square of whole ones.
const SIDE: usize = 320;

/// How much of a picture is heat: the rest is the image, in grey, so that colour means one thing.
const OPACITY: f32 = 0.55;

/// From nothing to the most: Matplotlib's `inferno` at even steps, dark to light and safe for colour-blind readers.
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

/// An image, and where a model sees what in it.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The image's name.
    pub image: String,
    /// When and by what it was made, in words.
    pub made: String,
    /// How, and with which model, in words; a paragraph each.
    pub about: Vec<String>,
    /// The prepared image: RGB, one byte a value, row by row.
    pub pixels: Vec<u8>,
    /// Its width in pixels.
    pub width: usize,
    /// What is explained.
    pub attributes: Vec<Explained>,
}

/// Where one attribute is seen.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The attribute.
    pub attribute: String,
    /// The predicted probability.
    pub probability: f32,
    /// Whether the model calls it present.
    pub present: bool,
    /// What each pixel of the image says for it, 0 or above in any unit, row by row.
    pub heat: Vec<f32>,
}

/// What was written of an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenExplanation {
    /// The page.
    pub page: PathBuf,
    /// The picture of each attribute, in their order.
    pub pictures: Vec<PathBuf>,
}

/// Writes a picture of each attribute and a page of all to the folder `out`, which is made if it is not there; files of the
/// same names are replaced.
///
/// # Errors
///
/// [`ReportError::Write`] naming the file that could not be written.
pub fn write_explanation(explanation: &Explanation, out: &Path) -> Result<WrittenExplanation, ReportError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ReportError::Write { path, source }
    };
    fs::create_dir_all(out).map_err(failed(out))?;
    let pngs: Vec<Vec<u8>> = explanation.attributes.iter().map(|each| explanation.heat(each)).collect();
    let names = distinct(explanation.attributes.iter().map(|each| file_part(&each.attribute)));
    let pictures: Vec<PathBuf> = names.into_iter().map(|name| out.join(format!("{name}.png"))).collect();
    let html =
        page::explanation(explanation, &picture(&explanation.pixels, explanation.width, |pixel, _| pixel, &[]), &pngs);
    let page = out.join(EXPLANATION_PAGE);
    for (path, contents) in pictures.iter().zip(&pngs).chain([(&page, &html.into_bytes())]) {
        atomic::write(path, |file| file.write_all(contents)).map_err(failed(path))?;
    }
    Ok(WrittenExplanation { page, pictures })
}

impl Explanation {
    fn heat(&self, explained: &Explained) -> Vec<u8> {
        heat_picture(&self.pixels, self.width, &explained.heat)
    }
}

/// The image in grey under one attribute's heat, whose most is the lightest colour, as the bytes of a PNG file. `pixels` are RGB,
/// row by row and `width` in a row; `heat` has a value for each, 0 or above in any unit.
#[must_use]
pub fn heat_picture(pixels: &[u8], width: usize, heat: &[f32]) -> Vec<u8> {
    let most = heat.iter().copied().fold(0.0, f32::max);
    let heated = |[red, green, blue]: [u8; 3], heat: f32| {
        // Luma, after ITU-R BT.601.
        let grey = 0.299 * f32::from(red) + 0.587 * f32::from(green) + 0.114 * f32::from(blue);
        let heat = if most > 0.0 { heat / most } else { 0.0 };
        colour(heat).map(|channel| (OPACITY * channel + (1.0 - OPACITY) * grey).round() as u8)
    };
    picture(pixels, width, heated, heat)
}

/// The image as the bytes of a PNG file, enlarged, each pixel made of the image's and of the heat there.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_is_coloured_over_a_grey_image() {
        let explained = |attribute: &str, heat| Explained {
            attribute: attribute.to_owned(),
            probability: 0.9,
            present: true,
            heat,
        };
        let heat = [vec![0.0; 160], vec![4.0; 160]].concat();
        let explanation = Explanation {
            image: "<a>.png".into(),
            made: "made today".into(),
            about: Vec::new(),
            pixels: vec![200; 2 * 160 * 3],
            width: 160,
            attributes: vec![explained("A/B", heat), explained("C", vec![0.0; 320])],
        };
        let folder = tempfile::tempdir().unwrap();
        let written = write_explanation(&explanation, folder.path()).unwrap();
        let mut decoder =
            png::Decoder::new(std::io::Cursor::new(fs::read(&written.pictures[0]).unwrap())).read_info().unwrap();
        let mut pixels = vec![0; decoder.output_buffer_size().unwrap()];
        let info = decoder.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (320, 4), "enlarged by two");
        assert_eq!(pixels[..3], [90, 90, 92], "cold: 45 % of the grey and 55 % of nearly black");
        assert_eq!(pixels[pixels.len() - 3..], [229, 230, 180], "the hottest, whatever its unit");
        let page = fs::read_to_string(&written.page).unwrap();
        assert!(page.contains("&lt;a&gt;.png") && page.matches("data:image/png;base64,").count() == 3);
        assert!(written.pictures[0].parent() == Some(folder.path()), "a slash in a name leads nowhere");
    }

    #[test]
    fn names_that_differ_have_files_that_differ() {
        let explained = |attribute: &str, heat| Explained {
            attribute: attribute.to_owned(),
            probability: 0.5,
            present: true,
            heat: vec![heat, 1.0],
        };
        let explanation = Explanation {
            image: "a.png".into(),
            made: "made today".into(),
            about: Vec::new(),
            pixels: vec![200; 2 * 3],
            width: 2,
            attributes: vec![explained("Big Nose", 0.0), explained("Big/Nose", 0.4), explained("big_nose", 0.8)],
        };
        let folder = tempfile::tempdir().unwrap();
        let written = write_explanation(&explanation, folder.path()).unwrap();
        let names: Vec<_> = written.pictures.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["Big_Nose.png", "Big_Nose-2.png", "big_nose-3.png"]);
        let [a, b, c] = [0, 1, 2].map(|each: usize| fs::read(&written.pictures[each]).unwrap());
        assert!(a != b && b != c && a != c);
    }
}
