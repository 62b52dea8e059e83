//! Files that would take much memory or time for what they hold are refused, naming the limit.

use std::fs;
use std::path::PathBuf;

use image::ImageFormat;
use tempfile::TempDir;
use visage_data::{Archive, DataError, Dataset, ImageError, MAX_ATTRIBUTES, TableFault, Truncated, decode};

use crate::decoding::file;
use crate::fixtures::{celeba_images, celeba_tables, encoded, folder, text, write_archive};

#[test]
fn a_jpeg_file_of_many_scans_is_refused() {
    let progressive = file("progressive.jpg");
    let end = progressive.len() - 2;
    let frame = progressive.windows(2).position(|pair| pair == [0xFF, 0xC2]).unwrap();
    let component = progressive[frame + 10];
    let scan = [&[0xFF, 0xDA, 0, 8, 1, component, 0, 1, 63, 0x10], &[0; 4][..]].concat();
    let with_scans = |count: usize| [&progressive[..end], &scan.repeat(count), &progressive[end..]].concat();
    assert!(decode(&with_scans(50), Truncated::Refuse).is_ok());
    let refused = decode(&with_scans(200), Truncated::Refuse);
    assert!(matches!(refused, Err(ImageError::TooManyScans { limit: 100 })), "{refused:?}");
    // A kind of JPEG that the other decoder reads.
    let mut cmyk = file("cmyk.jpg");
    let end = cmyk.len() - 2;
    cmyk.splice(end..end, scan.repeat(200));
    assert!(matches!(decode(&cmyk, Truncated::Refuse), Err(ImageError::TooManyScans { .. })));
}

#[test]
fn the_metadata_of_a_png_file_are_left_alone() {
    let plain = file("rgb.png");
    let expected = decode(&plain, Truncated::Refuse).unwrap().image;
    // After the signature and the header chunk of 25 bytes: a text and a profile whose compressed content is damaged, so that reading
    // them would be an error.
    let chunk =
        |name: &[u8; 4], content: &[u8]| [&(content.len() as u32).to_be_bytes()[..], name, content, &[0; 4]].concat();
    let damaged =
        [chunk(b"iCCP", b"x\0\0\xFF\xFF\xFF"), chunk(b"zTXt", b"x\0\0\xFF\xFF"), chunk(b"tEXt", &[b'a'; 1 << 20])];
    let mut file = plain.clone();
    file.splice(33..33, damaged.concat());
    assert_eq!(decode(&file, Truncated::Refuse).unwrap().image, expected);
    // What is cut short is still noticed, and decoded as far as it goes.
    file.truncate(file.len() - 200);
    assert!(matches!(decode(&file, Truncated::Refuse), Err(ImageError::Truncated)));
    assert!(decode(&file, Truncated::Accept).unwrap().is_truncated);
}

#[test]
fn an_archive_that_is_cut_short_while_it_is_open_is_an_error() {
    let (_home, path) = folder(&celeba_tables());
    fs::create_dir(path.join("Img")).unwrap();
    let archive = path.join("Img/img_align_celeba.zip");
    write_archive(&archive, &celeba_images(""));
    let dataset = Dataset::open(&path).unwrap();
    assert_eq!(dataset.encoded_image(4).unwrap(), encoded(5, ImageFormat::Jpeg));
    let opened = Archive::open(&archive).unwrap();
    fs::OpenOptions::new().write(true).open(&archive).unwrap().set_len(100).unwrap();
    assert!(matches!(dataset.encoded_image(4), Err(DataError::ReadImage { .. })));
    assert!(opened.read("000005.jpg").is_err());
}

/// A dataset of one table and the images that it names.
fn table(content: &str) -> (TempDir, PathBuf) {
    folder(&[text("labels.csv", content), ("000001.jpg".to_owned(), encoded(1, ImageFormat::Jpeg))])
}

fn refused(columns: usize) -> TableFault {
    let names: Vec<String> = (0..columns).map(|column| format!("a{column}")).collect();
    let row = vec!["1"; columns].join(",");
    let (_home, path) = table(&format!("image,{}\n000001.jpg,{row}\n000001.jpg,{row}\n", names.join(",")));
    match Dataset::open(&path) {
        Err(DataError::Table { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_table_of_too_many_columns_attributes_or_bytes_in_a_line_is_refused() {
    assert!(matches!(refused(50_000), TableFault::TooManyColumns { found: 50_001, .. }));
    let fault = refused(MAX_ATTRIBUTES + 1);
    assert!(matches!(fault, TableFault::TooManyAttributes { found: 20_001, most: MAX_ATTRIBUTES }), "{fault}");
    let (_home, path) = table(&format!("image,A\n000001.jpg,1\n{},0\n", "x".repeat(30 << 20)));
    let error = Dataset::open(&path).unwrap_err();
    assert!(matches!(error, DataError::Table { line: 3, fault: TableFault::LongLine { .. }, .. }), "{error}");
}
