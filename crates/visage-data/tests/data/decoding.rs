//! Image files of every kind, compared with Pillow's pixels (`tests/files/make.py`).

use std::fs;
use std::path::PathBuf;

use visage_data::{ImageError, Preparation, PreparedImage, Size, Truncated, decode, stated_size};

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files/images");

/// Every image file, by name.
fn files() -> Vec<(String, PathBuf)> {
    let mut files: Vec<_> = fs::read_dir(FILES)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .collect();
    files.sort();
    files
}

/// The content of one of the image files.
pub fn file(name: &str) -> Vec<u8> {
    fs::read(format!("{FILES}/{name}")).unwrap()
}

/// How many bytes are further from Pillow's than they may be.
fn far(name: &str, pixels: &[u8], expected: &[u8]) -> usize {
    let allowed = match name {
        // In truncated progressive files, libjpeg estimates the missing detail.
        "truncated_progressive.jpg" => 48,
        // Of JPEG in TIFF, the decoder enlarges the chroma otherwise than libjpeg.
        "jpeg.tif" => 16,
        _ => 1,
    };
    let pairs = pixels.as_chunks::<3>().0.iter().zip(expected.as_chunks::<3>().0);
    // Where a GIF ends, Pillow shows the first colour of its palette, not black: those pixels are at most three fifths of this one.
    let is_missing = |pixel: &[u8; 3]| name == "truncated.gif" && *pixel == [0; 3];
    let missing = pixels.as_chunks::<3>().0.iter().filter(|pixel| is_missing(pixel)).count();
    let is_far = |(found, expected): &(&u8, &u8)| found.abs_diff(**expected) > allowed;
    let far = pairs.filter(|(found, _)| !is_missing(found)).flat_map(|(a, b)| a.iter().zip(b)).filter(is_far).count();
    far + (missing * 5).saturating_sub(pixels.len())
}

#[test]
fn every_kind_of_file_reads_as_pillow_reads_it() {
    let files = files();
    assert_eq!(files.len(), 50);
    let mut wrong = Vec::new();
    for (name, path) in files {
        let expected = image::open(format!("{FILES}/expected/{name}.png")).unwrap().into_rgb8();
        let size = Size { height: expected.height() as usize, width: expected.width() as usize };
        let (encoded, is_truncated) = (fs::read(path).unwrap(), name.starts_with("truncated"));
        if is_truncated {
            let refused = Preparation::exact(size).pixels(&encoded);
            assert!(matches!(refused, Err(ImageError::Truncated)), "{name}: {refused:?}");
        }
        let stated = stated_size(&encoded).unwrap();
        assert_eq!(stated.pixels(), size.pixels(), "{name}: before it is turned");
        match Preparation::exact(size).prepare(&encoded, Truncated::allowed(is_truncated)) {
            Ok(PreparedImage { pixels, is_truncated: found, .. }) => {
                assert_eq!(found, is_truncated, "{name}");
                let far = far(&name, &pixels, expected.as_raw());
                // Of a row (BMP) or a block of data (GIF, up to 255 bytes) that is cut off, Pillow shows nothing.
                let allowed = match name.as_str() {
                    "truncated.bmp" => 3 * size.width,
                    "truncated.gif" => 2 * 3 * size.width,
                    _ => 0,
                };
                if far > allowed {
                    wrong.push(format!("{name}: {far} values"));
                }
            }
            Err(error) => wrong.push(format!("{name}: {error}, {:?}", std::error::Error::source(&error))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// How a file without its last `missing` bytes is decoded: whether an error says that it is cut short, and whether a part is
/// accepted.
fn without(name: &str, missing: usize) -> (bool, bool) {
    let whole = file(name);
    let cut = &whole[..whole.len() - missing];
    let refused = decode(cut, Truncated::Refuse);
    let is_cut = matches!(refused, Err(ImageError::Truncated | ImageError::TruncatedUnusable));
    assert!(is_cut || refused.is_ok(), "{name} without {missing}: {refused:?}");
    (is_cut, decode(cut, Truncated::Accept).is_ok_and(|decoded| decoded.is_truncated == is_cut))
}

#[test]
fn a_file_that_is_cut_short_is_refused_where_pillow_refuses_it() {
    // The end marker alone: Pillow needs that of JPEG, and not those of PNG and GIF.
    for (name, missing) in [("baseline420.jpg", 2), ("progressive.jpg", 2), ("cmyk.jpg", 2), ("cmyk.jpg", 900)] {
        assert_eq!(without(name, missing), (true, true), "{name}");
    }
    for (name, missing) in [("rgb.png", 12), ("rgb.png", 5), ("still.gif", 1), ("moving.gif", 1500)] {
        assert_eq!(without(name, missing), (false, true), "{name}");
    }
    for name in ["rgb.png", "rgb16.png", "palette.png", "palette.bmp", "still.gif", "restart.jpg", "grey.jpg"] {
        assert_eq!(without(name, file(name).len() / 4), (true, true), "{name}");
    }
    // Of these formats, Pillow reads no part either.
    for name in
        ["lossy.webp", "lossless.webp", "alpha.webp", "rgb.tif", "lzw.tif", "deflate.tif", "jpeg.tif", "palette.tif"]
    {
        assert_eq!(without(name, file(name).len() / 4), (true, false), "{name}");
    }
    let Err(error) = decode(&file("truncated.jpg"), Truncated::Refuse) else { panic!("it is cut short") };
    assert!(error.to_string().contains("--allow-truncated"), "{error}");
}

#[test]
fn a_raw_file_is_not_read_as_its_small_preview() {
    let mut raw = file("rgb.tif");
    // The type of the first tag, the width, becomes that of a reduced image.
    let width = raw.windows(4).position(|entry| entry == [0, 1, 3, 0] || entry == [0, 1, 4, 0]).unwrap();
    raw[width] = 254;
    raw[width + 1] = 0;
    raw[width + 8..width + 12].copy_from_slice(&[1, 0, 0, 0]);
    let message = decode(&raw, Truncated::Refuse).unwrap_err().to_string();
    assert!(message.contains("raw images are not read"), "{message}");
}
