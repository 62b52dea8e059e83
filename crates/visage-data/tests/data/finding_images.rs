//! Images that a table calls by a near name, and what is passed by in a folder.

use std::fs::{self, File};
use std::io::Write;

use image::ImageFormat;
use visage_data::{DataError, Dataset};

use crate::fixtures::{Entry, archive, encoded, folder, text};

fn png(name: &str, number: usize) -> Entry {
    (name.to_owned(), encoded(number, ImageFormat::Png))
}

#[test]
fn a_unique_near_name_is_taken_and_counted() {
    for (table, files) in [
        ("image,S\n1,1\n2,0\n", ["img/1.png", "img/2.png"]),
        ("image,S\n1.PNG,1\n2.PNG,0\n", ["1.png", "2.png"]),
        ("image,S\nx\\1.png,1\nx\\2.png,0\n", ["x/1.png", "x/2.png"]),
        ("image,S\nfaces/x/1.png,1\nfaces/x/2.png,0\n", ["x/1.png", "x/2.png"]),
        ("image,S\n1.png,1\n2.png,0\n", ["a/1.png", "b/c/2.png"]),
        ("image,S\nre\u{301}ne.png,1\n2.png,0\n", ["r\u{e9}ne.png", "2.png"]),
        ("image,S\n1.webp,1\n2.webp,0\n", ["1.png", "2.png"]),
    ] {
        let entries = [text("labels.csv", table), png(files[0], 1), png(files[1], 2)];
        for (_home, path) in [folder(&entries), archive(&entries)] {
            let dataset = Dataset::open(&path).unwrap();
            for number in 0..2 {
                assert_eq!(dataset.encoded_image(number).unwrap(), encoded(number + 1, ImageFormat::Png), "{table}");
            }
            dataset.require_images(&[0, 1]).unwrap();
        }
    }
    let (_home, path) =
        folder(&[text("labels.csv", "image,S\n1.png,1\nx/2.png,0\n"), png("1.png", 1), png("2.png", 2)]);
    let dataset = Dataset::open(&path).unwrap();
    let notes = dataset.notes().join("\n");
    assert!(notes.contains("1 of 2 images were found under a near name, first `2.png` for `x/2.png`"), "{notes}");
}

#[test]
fn an_ambiguous_or_missing_image_is_an_error_with_the_nearest_names() {
    let table = text("labels.csv", "image,S\n1.png,1\nphoto_7.png,0\n");
    let (_home, path) = folder(&[table, png("a/1.png", 1), png("b/1.png", 2), png("photo_70.png", 3)]);
    let dataset = Dataset::open(&path).unwrap();
    assert_eq!(dataset.missing_images(&[0, 1]), [0, 1]);
    let error = dataset.require_images(&[0, 1]).unwrap_err();
    assert!(
        matches!(&error, DataError::MissingImages { missing: 2, location, .. } if location.contains("(the nearest names are a/1.png")),
        "{error}"
    );
    // Two rows never share a file.
    let table = text("labels.csv", "image,S\ntrain/1.png,1\ntest/1.png,0\n");
    let (_home, path) = folder(&[table, png("1.png", 1)]);
    assert_eq!(Dataset::open(&path).unwrap().missing_images(&[0, 1]), [0, 1]);
}

#[test]
fn names_of_an_archive_in_gbk_are_found() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("faces.zip");
    let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
    let plain = zip::write::SimpleFileOptions::default();
    writer.start_file("labels.csv", plain).unwrap();
    writer.write_all("image,S\n\u{7b11}.png,1\n".as_bytes()).unwrap();
    writer.start_file("XX.png", plain).unwrap();
    writer.write_all(&encoded(1, ImageFormat::Png)).unwrap();
    writer.finish().unwrap();
    // The name in GBK, as Windows writes it without marking it.
    let bytes = fs::read(&path).unwrap();
    let mut renamed = bytes.clone();
    for at in 0..bytes.len() - 6 {
        if &bytes[at..at + 6] == b"XX.png" {
            renamed[at..at + 2].copy_from_slice(b"\xd0\xa6");
        }
    }
    fs::write(&path, renamed).unwrap();
    assert_eq!(Dataset::open(&path).unwrap().encoded_image(0).unwrap(), encoded(1, ImageFormat::Png));
}

#[test]
fn runs_reports_and_hidden_entries_are_passed_by() {
    let own = [
        text("labels.csv", "image,S\n1.png,1\n2.png,0\n"),
        png("1.png", 1),
        png("2.png", 2),
        text("runs/a/run.json", "{}"),
        text("runs/a/recipe.toml", ""),
        text("runs/a/steps.csv", "step,loss\n1,2\n"),
        text("audit-labels.csv", "image,attribute\n"),
        text(".ipynb_checkpoints/labels.csv", "image,T\n"),
        text("__MACOSX/._labels.csv", "x"),
        text(".Trash/labels.csv", "image,U\n"),
        png("._1.png", 3),
    ];
    for (_home, path) in [folder(&own), archive(&own)] {
        let dataset = Dataset::open(&path).unwrap();
        assert_eq!((dataset.attributes(), dataset.samples().len()), (&["S".to_owned()][..], 2));
        dataset.require_images(&[0, 1]).unwrap();
    }
    // A run beside Parquet files or shards leaves the folder readable.
    let parquet = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files/datasets/text_labels.parquet")).unwrap();
    let mut entries = vec![("data/labels.parquet".to_owned(), parquet)];
    entries.extend(own[3..6].iter().cloned());
    let (_home, path) = folder(&entries);
    assert_eq!(Dataset::open(&path).unwrap().form(), "Parquet");
}

#[test]
fn compressed_and_plain_text_tables_are_read() {
    let table = "image,S\n1.png,1\n2.png,0\n";
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(table.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let celeba = "2\nS T\n1.png  1 -1\n2.png -1  1\n";
    for (name, content) in [
        ("labels.csv.gz", packed),
        ("labels.txt", table.as_bytes().to_vec()),
        ("CelebAMask-HQ-attribute-anno.txt", celeba.as_bytes().to_vec()),
    ] {
        let entries =
            [(name.to_owned(), content), text("README.txt", "About these images\nthey are small\n"), png("1.png", 1)];
        let (_home, path) = folder(&entries);
        for path in [path.clone(), path.join(name)] {
            let dataset = Dataset::open(&path).unwrap();
            assert_eq!(
                (dataset.attributes()[0].as_str(), dataset.samples()[1].image.as_str()),
                ("S", "2.png"),
                "{name}"
            );
        }
    }
}
