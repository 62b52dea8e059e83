//! Copies of images with answers written on them.

use std::fs;
use std::path::{Component, Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageFormat, RgbImage};
use visage_data::decode;

use super::inputs::Input;

/// Quality of JPEG copies, of 100.
const QUALITY: u8 = 92;

/// Writes a copy of `input` with `words` below it to the folder `out`, under the path that the image has: as PNG if it is one, as
/// JPEG otherwise.
///
/// # Errors
///
/// Why there is no copy, in words.
pub fn write(input: &Input, words: &[String], out: &Path) -> Result<(), String> {
    let encoded = input.read().map_err(|error| error.to_string())?;
    let image = decode(&encoded).map_err(|error| error.to_string())?;
    let is_png = image::guess_format(&encoded).is_ok_and(|format| format == ImageFormat::Png);
    let to = destination(&input.path, is_png, out);
    if to.canonicalize().is_ok_and(|to| input.path.canonicalize().is_ok_and(|from| from == to)) {
        return Err(format!("{} is the image itself: name another folder", to.display()));
    }
    let (width, height) = image.dimensions();
    let captioned = visage_report::captioned(image.into_raw(), width as usize, height as usize, words);
    let failed = |error: &dyn std::error::Error| format!("cannot write {}: {error}", to.display());
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    }
    let (width, height) = (captioned.width as u32, captioned.height as u32);
    let mut file = Vec::new();
    let written = if is_png {
        let image = RgbImage::from_raw(width, height, captioned.pixels).unwrap_or_default();
        image.write_to(&mut std::io::Cursor::new(&mut file), ImageFormat::Png)
    } else {
        let mut encoder = JpegEncoder::new_with_quality(&mut file, QUALITY);
        encoder.encode(&captioned.pixels, width, height, ExtendedColorType::Rgb8)
    };
    written.map_err(|error| failed(&error))?;
    fs::write(&to, file).map_err(|error| failed(&error))
}

/// The path of a copy: that of the image below `out`, without a root and without ways up, ending as its format does.
fn destination(image: &Path, is_png: bool, out: &Path) -> PathBuf {
    let names = image.components().filter(|component| matches!(component, Component::Normal(_)));
    let mut path = out.to_owned();
    path.extend(names);
    let endings: &[&str] = if is_png { &["png"] } else { &["jpg", "jpeg"] };
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    if !endings.contains(&ending.as_str()) {
        let mut name = path.into_os_string();
        name.push(format!(".{}", endings[0]));
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
