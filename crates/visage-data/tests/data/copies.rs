//! Converting, packing and verifying datasets.

use std::fs;
use std::path::{Path, PathBuf};

use image::ImageFormat;
use visage_data::convert::{Layout, convert};
use visage_data::verify::{self, Verification};
use visage_data::{DataError, Dataset, Preparation, Resize, Size, TableOptions, Truncated, pack};

use crate::fixtures::{Entry, celeba_images, celeba_tables, encoded, folder, text};
use crate::forms::check_six;

fn kaggle() -> Dataset {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files/datasets/kaggle.zip");
    Dataset::open(Path::new(path)).unwrap()
}

#[test]
fn every_form_written_is_read_back_the_same() {
    let home = tempfile::tempdir().unwrap();
    let source = kaggle();
    for (layout, name) in [
        (Layout::Celeba, "celeba"),
        (Layout::CsvZip, "faces.zip"),
        (Layout::WebDataset, "shards"),
        (Layout::Parquet, "parquet"),
    ] {
        let target = home.path().join(name);
        let mut told = 0;
        convert(&source, layout, &target, &mut |done| told = done).unwrap();
        assert_eq!(told, 6);
        let copy = Dataset::open(&target).unwrap();
        check_six(&copy);
        if layout == Layout::Celeba {
            assert_eq!(copy.samples(), source.samples());
        }
        let again = convert(&source, layout, &target, &mut |_| {}).unwrap_err();
        assert!(matches!(again, DataError::Exists { .. }), "{again}");
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 4, "no drafts are left");
}

#[test]
fn what_a_layout_cannot_hold_is_said_and_nothing_is_left() {
    let (_home, path) = folder(&[
        text("labels.csv", "image,Male\na.png,1\nb.png,\n"),
        ("a.png".to_owned(), encoded(1, ImageFormat::Png)),
        ("b.png".to_owned(), encoded(2, ImageFormat::Png)),
    ]);
    let dataset = Dataset::open(&path).unwrap();
    let home = tempfile::tempdir().unwrap();
    let error = convert(&dataset, Layout::Celeba, &home.path().join("x"), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("labels of b.png are unknown"), "{error}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    for (layout, name) in [(Layout::CsvZip, "x.zip"), (Layout::WebDataset, "x"), (Layout::Parquet, "y")] {
        convert(&dataset, layout, &home.path().join(name), &mut |_| {}).unwrap();
        let copy = Dataset::open(&home.path().join(name)).unwrap();
        let labels = |dataset: &Dataset| dataset.samples().iter().map(|s| s.labels.clone()).collect::<Vec<_>>();
        assert_eq!(labels(&copy), labels(&dataset));
        assert!(!copy.has_splits());
        assert_eq!(copy.encoded_image(1).unwrap(), encoded(2, ImageFormat::Png));
    }
}

fn packed(dataset: &Dataset, preparation: &Preparation, home: &Path) -> PathBuf {
    let path = home.join("faces.pack");
    let mut file = fs::File::create(&path).unwrap();
    let packed = pack::write(dataset, preparation, &mut file, |_| {}).unwrap();
    assert_eq!((packed.images, packed.bytes), (dataset.samples().len(), fs::metadata(&path).unwrap().len()));
    path
}

#[test]
fn a_pack_holds_the_same_bits_and_the_same_table() {
    let home = tempfile::tempdir().unwrap();
    let mut source = kaggle();
    let preparation =
        Preparation { mean: Preparation::IMAGENET_MEAN, ..Preparation::exact(Size { height: 17, width: 13 }) };
    let path = packed(&source, &preparation, home.path());
    let mut copy = Dataset::open(&path).unwrap();
    assert_eq!((copy.form(), copy.name(), copy.fingerprint()), ("pack", source.name(), source.fingerprint()));
    // Normalising comes after: another mean is no other pack.
    let preparation = Preparation { mean: [0.5; 3], ..preparation };
    for index in 0..6 {
        assert_eq!(copy.pixels(index, &preparation).unwrap(), source.pixels(index, &preparation).unwrap());
    }
    source.leave_out(&[0, 3]);
    copy.leave_out(&[0, 3]);
    assert_eq!(copy.fingerprint(), source.fingerprint());
    assert_eq!(copy.pixels(2, &preparation).unwrap(), source.pixels(2, &preparation).unwrap());
    let other = Preparation { resize: Resize::ShorterSide(20), crop: Some(Size::square(16)), ..preparation };
    let error = copy.pixels(0, &other).unwrap_err().to_string();
    for part in ["resized to 17x13", "resized to a shorter side of 20 and cropped to 16x16", "pack the source again"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    let error = convert(&copy, Layout::CsvZip, &home.path().join("x.zip"), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("convert its source"), "{error}");
}

#[test]
fn a_damaged_pack_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let path = packed(&kaggle(), &Preparation::exact(Size::square(8)), home.path());
    let whole = fs::read(&path).unwrap();
    let mut forged = whole.clone();
    forged[14..22].copy_from_slice(&u64::MAX.to_le_bytes());
    let header = whole[22..].iter().position(|&byte| byte == b':').unwrap() + 22;
    let mut nonsense = whole.clone();
    nonsense[header] = b'!';
    for bytes in [&whole[..whole.len() - 1], &whole[..30], &forged, &nonsense] {
        fs::write(&path, bytes).unwrap();
        assert!(matches!(Dataset::open(&path), Err(DataError::Pack { .. })));
    }
}

fn found(verification: &Verification, kind: &str) -> (usize, String) {
    let finding = verification.findings.iter().find(|finding| finding.kind == kind);
    finding.map(|finding| (finding.count, finding.items.join("; "))).unwrap_or_default()
}

#[test]
fn a_whole_dataset_has_no_errors() {
    let (_home, path) = folder(&[celeba_tables(), celeba_images("Img/img_align_celeba/")].concat());
    let verification = verify::verify(&path, &TableOptions::default(), Truncated::Refuse, |_, _| {}).unwrap();
    assert_eq!((verification.errors(), verification.images, verification.decoded), (0, 5, 5));
}

#[test]
fn verifying_reports_everything_in_one_pass() {
    let mut entries: Vec<Entry> = vec![text(
        "labels.csv",
        "image,split,identity,Male,Rare,Odd\n\
         a.png,train,p1,1,0,\n\
         b.png,train,p2,0,0,\n\
         c.png,val,p1,1,0,\n\
         d.png,test,p3,0,0,\n\
         e.png,train,p4,7,0,\n\
         f.png,train,p5,1,0,\n\
         g.jpg,train,p6,1,0,\n\
         a.png,test,p7,1,0,\n\
         h.png,train,p8,0,0,\n\
         i.png,train\n",
    )];
    let picture = |n: usize| encoded(n, ImageFormat::Png);
    let mut cut = encoded(7, ImageFormat::Jpeg);
    cut.truncate(cut.len() - 20);
    for (name, content) in [
        ("a.png", picture(1)),
        ("b.png", picture(2)),
        // The picture of a, in another split.
        ("c.png", picture(1)),
        ("f.png", b"no picture".to_vec()),
        ("g.jpg", cut),
        // The picture of b, in the same split.
        ("h.png", picture(2)),
    ] {
        entries.push((name.to_owned(), content));
    }
    let (_home, path) = folder(&entries);
    let verification = verify::verify(&path, &TableOptions::default(), Truncated::Refuse, |_, _| {}).unwrap();
    assert_eq!((verification.images, verification.decoded), (7, 4));
    let expected = [
        ("faulty_row", 3, "line 6: `7` in column `Male`"),
        ("faulty_row", 3, "line 9: image `a.png` is already listed on line 2"),
        ("faulty_row", 3, "line 11: 2 fields"),
        ("missing_image", 1, "d.png"),
        ("bad_image", 1, "f.png: "),
        ("truncated_image", 1, "g.jpg"),
        ("content_in_two_splits", 1, "a.png (train) = c.png (validation)"),
        ("repeated_content", 1, "b.png = h.png"),
        ("identity_in_two_splits", 1, "p1: train, validation"),
        ("attribute_without_labels", 1, "Odd"),
        ("constant_attribute", 5, "Rare: present in 0 and absent in 5 train images"),
    ];
    for (kind, count, part) in expected {
        let (found, items) = found(&verification, kind);
        assert_eq!(found, count, "{kind}: {items}");
        assert!(items.contains(part), "{kind}: `{part}` is not in: {items}");
    }
    assert_eq!(verification.errors(), 9);
    let dataset = Dataset::open_despite_faults(&path, &TableOptions::default()).unwrap().0;
    let bad: Vec<usize> = verify::bad_images(&dataset, |_| {}).into_iter().map(|(index, _)| index).collect();
    assert_eq!(bad, [3, 4, 5]);

    // Accepted, the image that is cut short is a remark, and can be used.
    let verification = verify::verify(&path, &TableOptions::default(), Truncated::Accept, |_, _| {}).unwrap();
    assert_eq!((verification.decoded, verification.errors()), (5, 8));
    assert_eq!(found(&verification, "truncated_image"), (1, "g.jpg".to_owned()));
    let mut dataset = dataset;
    dataset.accept_truncated();
    let bad: Vec<usize> = verify::bad_images(&dataset, |_| {}).into_iter().map(|(index, _)| index).collect();
    assert_eq!(bad, [3, 4]);
    dataset.pixels(5, &Preparation::exact(Size::square(8))).unwrap();
    assert_eq!(dataset.clone().truncated_images(), ["g.jpg"]);
}
