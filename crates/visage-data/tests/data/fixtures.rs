//! Small datasets, made by the tests.

use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use image::{ImageFormat, Rgb, RgbImage};
use proptest::prelude::ProptestConfig;
use tempfile::TempDir;

/// A file of a fixture: its name below the root, and its content.
pub type Entry = (String, Vec<u8>);

/// A text file.
pub fn text(name: &str, content: &str) -> Entry {
    (name.to_owned(), content.as_bytes().to_vec())
}

/// A small image whose pixels depend on `number`, as `format` writes it.
pub fn encoded(number: usize, format: ImageFormat) -> Vec<u8> {
    let picture = RgbImage::from_fn(22, 27, |x, y| {
        Rgb([(number * 7 % 256) as u8, (x * 11) as u8, ((y as usize * 9 + number) % 256) as u8])
    });
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Writes `entries` below a new folder called `faces`.
pub fn folder(entries: &[Entry]) -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("faces");
    for (name, content) in entries {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    (home, root)
}

/// Writes `entries` into a new archive called `faces.zip`.
pub fn archive(entries: &[Entry]) -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("faces.zip");
    write_archive(&path, entries);
    (home, path)
}

pub fn write_archive(path: &Path, entries: &[Entry]) {
    let mut writer = zip::ZipWriter::new(File::create(path).unwrap());
    for (name, content) in entries {
        writer.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap();
}

pub const CELEBA_LABELS: &str = "Anno/list_attr_celeba.txt";
pub const CELEBA_SPLITS: &str = "Eval/list_eval_partition.txt";
pub const CELEBA_IDENTITIES: &str = "Anno/identity_CelebA.txt";

/// The three tables of CelebA for five images with two attributes.
pub fn celeba_tables() -> Vec<Entry> {
    vec![
        text(
            CELEBA_LABELS,
            "5\nMale Smiling \n000001.jpg -1  1\n000002.jpg  1  1\n000003.jpg -1 -1\n000004.jpg  1 -1\n000005.jpg -1  1\n",
        ),
        text(CELEBA_SPLITS, "000001.jpg 0\n000002.jpg 0\n000003.jpg 1\n000004.jpg 2\n000005.jpg 0\n"),
        text(
            CELEBA_IDENTITIES,
            "000001.jpg 2880\n000002.jpg 2937\n000003.jpg 8692\n000004.jpg 5805\n000005.jpg 2880\n",
        ),
    ]
}

/// CelebA's five images under `prefix`.
pub fn celeba_images(prefix: &str) -> Vec<Entry> {
    (1..=5).map(|number| (format!("{prefix}{number:06}.jpg"), encoded(number, ImageFormat::Jpeg))).collect()
}

/// A table of `count` images with two attributes, all in the train split, and the images.
pub fn table_with_images(count: usize) -> Vec<Entry> {
    let mut table = "image,split,Left,Right\n".to_owned();
    let mut entries = Vec::new();
    for number in 0..count {
        table += &format!("images/{number}.png,train,{},{}\n", number % 2, number % 3 / 2);
        entries.push((format!("images/{number}.png"), encoded(number, ImageFormat::Png)));
    }
    entries.push(text("labels.csv", &table));
    entries
}

/// `count` cases of a property test, or `PROPTEST_CASES` where that is set: emulators and sanitizers run fewer.
pub fn cases(count: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(count),
    }
}
