//! Copies of images with a caption.

use std::fs;
use std::io::Cursor;
use std::path::{Component, Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageFormat, RgbImage};
use visage_data::{Truncated, decode};

use crate::caption::captioned;
use crate::outlines::outline_faces;

/// JPEG quality of copies, of 100.
const QUALITY: u8 = 92;

/// Writes a copy of the image `path`, whose file holds `encoded`, with `boxes` of faces outlined (left, top, width and height in
/// pixels) and `lines` below it. The copy is at the same path below the folder `out`: as PNG if the image is one, as JPEG otherwise.
///
/// # Errors
///
/// The reason, as text.
pub fn write_annotated(
    path: &Path,
    encoded: &[u8],
    boxes: &[[f64; 4]],
    lines: &[String],
    out: &Path,
) -> Result<(), String> {
    // Whether to accept a file that is cut short was decided for the prediction in the caption.
    let mut image = decode(encoded, Truncated::Accept).map_err(|error| error.to_string())?.image;
    outline_faces(&mut image, boxes);
    let is_png = image::guess_format(encoded).is_ok_and(|format| format == ImageFormat::Png);
    let to = destination(path, is_png, out);
    if to.canonicalize().is_ok_and(|to| path.canonicalize().is_ok_and(|from| from == to)) {
        return Err(format!("{} is the image itself: name another folder", to.display()));
    }
    let (width, height) = image.dimensions();
    let captioned = captioned(image.into_raw(), width as usize, height as usize, lines);
    let failed = |error: &dyn std::error::Error| format!("cannot write {}: {error}", to.display());
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    }
    let (width, height) = (captioned.width as u32, captioned.height as u32);
    let mut file = Vec::new();
    let written = if is_png {
        let image = RgbImage::from_raw(width, height, captioned.pixels).unwrap_or_default();
        image.write_to(&mut Cursor::new(&mut file), ImageFormat::Png)
    } else {
        let mut encoder = JpegEncoder::new_with_quality(&mut file, QUALITY);
        encoder.encode(&captioned.pixels, width, height, ExtendedColorType::Rgb8)
    };
    written.map_err(|error| failed(&error))?;
    fs::write(&to, file).map_err(|error| failed(&error))
}

/// The path of a copy: that of the image below `out`, without root and parent components, with the extension of its format.
fn destination(image: &Path, is_png: bool, out: &Path) -> PathBuf {
    let names = image.components().filter(|component| matches!(component, Component::Normal(_)));
    let mut path = out.to_owned();
    path.extend(names);
    let extensions: &[&str] = if is_png { &["png"] } else { &["jpg", "jpeg"] };
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase();
    if !extensions.contains(&extension.as_str()) {
        let mut name = path.into_os_string();
        name.push(format!(".{}", extensions[0]));
        path = PathBuf::from(name);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_path_of_its_image_below_the_folder() {
        let to = |image: &str, is_png| destination(Path::new(image), is_png, Path::new("out")).display().to_string();
        assert_eq!(to("a/b.png", true), "out/a/b.png");
        assert_eq!(to("/home/u/b.JPG", false), "out/home/u/b.JPG");
        assert_eq!(to("../up/./b.webp", false), "out/up/b.webp.jpg");
        assert_eq!(to("faces.zip/c", true), "out/faces.zip/c.png");
    }
}
