//! Image files of every kind, compared with Pillow's pixels (`tests/files/make.py`).

use std::fs;
use std::path::PathBuf;

use visage_data::{Preparation, Size};

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

#[test]
fn every_kind_of_file_reads_as_pillow_reads_it() {
    let files = files();
    assert_eq!(files.len(), 34);
    let mut wrong = Vec::new();
    for (name, path) in files {
        let expected = image::open(format!("{FILES}/expected/{name}.png")).unwrap().into_rgb8();
        let size = Size { height: expected.height() as usize, width: expected.width() as usize };
        match Preparation::exact(size).pixels(&fs::read(path).unwrap()) {
            Ok(pixels) => {
                let offsets = pixels.iter().zip(expected.as_raw()).map(|(a, b)| a.abs_diff(*b));
                let furthest = offsets.clone().max().unwrap();
                // In truncated progressive files, libjpeg estimates the missing detail.
                let allowed = if name == "truncated_progressive.jpg" { 48 } else { 1 };
                if furthest > allowed {
                    wrong.push(format!("{name}: up to {furthest}, {} values", offsets.filter(|o| *o > 1).count()));
                }
            }
            Err(error) => wrong.push(format!("{name}: {error}, {:?}", std::error::Error::source(&error))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
