//! Exports of annotation programs, in the forms that their documentation gives, and class folders.

use image::ImageFormat;
use visage_data::Label::{self, Absent, Present, Unknown};
use visage_data::{Dataset, Split, TableOptions};

use crate::fixtures::{Entry, archive, encoded, folder, text};

fn png(name: &str) -> Entry {
    (name.to_owned(), encoded(1, ImageFormat::Png))
}

/// Form, attributes and labels, which are the same in a folder and in an archive. The images are there.
fn check(entries: &[Entry], form: &str, attributes: &[&str], expected: &[(&str, Option<Split>, &[Label])]) {
    for (_home, path) in [folder(entries), archive(entries)] {
        let dataset = Dataset::open(&path).unwrap();
        assert_eq!(
            (dataset.form(), dataset.attributes()),
            (form, &attributes.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>()[..])
        );
        let rows: Vec<_> = dataset.samples().iter().map(|s| (s.image.as_str(), s.split, &*s.labels)).collect();
        assert_eq!(rows, expected);
        // A column of splits is mentioned where there is one.
        let has_splits = expected.iter().any(|(_, split, _)| split.is_some());
        assert!(has_splits || !dataset.understood().contains("splits"), "{}", dataset.understood());
        dataset.require_images(&(0..expected.len()).collect::<Vec<_>>()).unwrap();
    }
}

#[test]
fn coco() {
    let json = r#"{"info": {}, "licenses": [], "images": [
        {"id": 9, "file_name": "a.png", "width": 22, "height": 27}, {"id": 4, "file_name": "b.png"}],
        "annotations": [
        {"id": 1, "image_id": 9, "category_id": 7, "bbox": [0, 0, 2, 2], "segmentation": [[1, 2]], "iscrowd": 0},
        {"id": 2, "image_id": 9, "category_id": 7}, {"id": 3, "image_id": 9, "category_id": 3}],
        "categories": [{"id": 3, "name": "hat", "supercategory": "x"}, {"id": 5, "name": "never"}, {"id": 7, "name": "dog"}]}"#;
    let entries = [text("annotations/instances_val2017.json", json), png("val2017/a.png"), png("val2017/b.png")];
    let validation = Some(Split::Validation);
    let rows: [(&str, Option<Split>, &[Label]); 2] =
        [("a.png", validation, &[Present, Absent, Present]), ("b.png", validation, &[Absent, Absent, Absent])];
    check(&entries, "COCO", &["hat", "never", "dog"], &rows);
}

#[test]
fn label_studio() {
    let json = r#"[{"id": 1, "data": {"image": "/data/upload/3/0a1b2c3d-a.png"}, "annotations": [
        {"id": 8, "was_cancelled": false, "result": [{"from_name": "look", "to_name": "image", "type": "choices",
        "value": {"choices": ["hat", "dog"]}}]}]},
        {"id": 2, "data": {"image": "/data/local-files/?d=img/b.png"}, "annotations": [
        {"was_cancelled": true, "result": []}]},
        {"id": 3, "data": {"image": "s3://bucket/img/c.png"}, "annotations": [
        {"result": [{"from_name": "look", "type": "choices", "value": {"choices": ["dog"]}}]}]}]"#;
    let minimal = r#"[{"image": "/data/upload/3/0a1b2c3d-a.png", "id": 1, "annotator": 1, "annotation_id": 1, "lead_time": 3.2,
        "look": {"choices": ["hat", "dog"]}, "created_at": "x", "updated_at": "y"},
        {"image": "/data/upload/3/0a1b2c3d-c.png", "id": 3, "annotator": 1, "annotation_id": 2, "lead_time": 1.0, "look": "dog"}]"#;
    let images = [png("img/a.png"), png("img/b.png"), png("img/c.png")];
    let entries = [&[text("export.json", json)], &images[..]].concat();
    let rows: [(&str, Option<Split>, &[Label]); 3] = [
        ("a.png", None, &[Present, Present]),
        ("img/b.png", None, &[Unknown, Unknown]),
        ("bucket/img/c.png", None, &[Present, Absent]),
    ];
    check(&entries, "Label Studio", &["dog", "hat"], &rows);
    let entries = [&[text("export.json", minimal)], &images[..]].concat();
    let rows: [(&str, Option<Split>, &[Label]); 2] =
        [("a.png", None, &[Present, Present]), ("c.png", None, &[Present, Absent])];
    check(&entries, "Label Studio", &["dog", "hat"], &rows);
}

#[test]
fn fiftyone() {
    let dataset = r#"{"samples": [
        {"filepath": "data/a.png", "tags": ["train"], "metadata": null,
         "ground_truth": {"_cls": "Classifications", "classifications": [{"_cls": "Classification", "label": "hat"}]}},
        {"filepath": "data/b.png", "tags": ["x", "test"], "ground_truth": {"_cls": "Classifications", "classifications": []}}]}"#;
    let entries = [text("samples.json", dataset), png("data/a.png"), png("data/b.png")];
    let rows: [(&str, Option<Split>, &[Label]); 2] =
        [("data/a.png", Some(Split::Train), &[Present]), ("data/b.png", Some(Split::Test), &[Absent])];
    check(&entries, "FiftyOne", &["hat"], &rows);
    let classification = r#"{"classes": ["dog", "hat"], "labels": {"a": 1, "b": ["dog", "hat"], "c": null}}"#;
    let entries = [text("labels.json", classification), png("data/a.png"), png("data/b.png"), png("data/c.png")];
    let rows: [(&str, Option<Split>, &[Label]); 3] = [
        ("data/a.png", None, &[Absent, Present]),
        ("data/b.png", None, &[Present, Present]),
        ("data/c.png", None, &[Unknown, Unknown]),
    ];
    check(&entries, "FiftyOne", &["dog", "hat"], &rows);
}

#[test]
fn cvat() {
    let xml = r#"<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta/>
  <image id="0" name="a.png" subset="Train" width="22" height="27"><tag label="dog" source="manual"></tag>
    <box label="dog" xtl="1" ytl="1" xbr="2" ybr="2"/><tag label="hat" source="manual"></tag></image>
  <image id="1" name="b.png" subset="Validation" width="22" height="27"></image>
</annotations>"#;
    let rows: [(&str, Option<Split>, &[Label]); 2] =
        [("a.png", Some(Split::Train), &[Present, Present]), ("b.png", Some(Split::Validation), &[Absent, Absent])];
    check(&[text("annotations.xml", xml), png("images/a.png"), png("images/b.png")], "CVAT", &["dog", "hat"], &rows);
    let attributes = r#"<annotations><image id="0" name="a.png"><tag label="face" source="manual">
        <attribute name="smiling">true</attribute><attribute name="age">old</attribute></tag></image>
        <image id="1" name="b.png"><tag label="face"><attribute name="smiling">false</attribute></tag></image></annotations>"#;
    let rows: [(&str, Option<Split>, &[Label]); 2] = [("a.png", None, &[Present]), ("b.png", None, &[Absent])];
    check(&[text("annotations.xml", attributes), png("a.png"), png("b.png")], "CVAT", &["smiling"], &rows);
}

#[test]
fn class_folders() {
    let two = [png("train/cat/1.png"), png("train/dog/1.png"), png("val/dog/2.png"), png("test/9.png")];
    let train = Some(Split::Train);
    let rows: [(&str, Option<Split>, &[Label]); 3] = [
        ("train/cat/1.png", train, &[Absent]),
        ("train/dog/1.png", train, &[Present]),
        ("val/dog/2.png", Some(Split::Validation), &[Present]),
    ];
    check(&two, "class folders", &["dog"], &rows);
    let three = [png("all/cat/1.png"), png("all/dog, big/x/1.png"), png("all/elk/1.png")];
    let rows: [(&str, Option<Split>, &[Label]); 3] = [
        ("all/cat/1.png", None, &[Present, Absent, Absent]),
        ("all/dog, big/x/1.png", None, &[Absent, Present, Absent]),
        ("all/elk/1.png", None, &[Absent, Absent, Present]),
    ];
    check(&three, "class folders", &["cat", "dog, big", "elk"], &rows);
    let choose = |entries: &[Entry], attribute: &str| {
        let (_home, path) = folder(entries);
        let options = TableOptions { attributes: vec![attribute.to_owned()], ..TableOptions::default() };
        Dataset::open_with(&path, &options)
    };
    let elks = choose(&three, "elk").unwrap();
    assert_eq!(elks.attributes(), ["elk"]);
    assert_eq!(elks.samples().iter().map(|s| s.labels[0]).collect::<Vec<_>>(), [Absent, Absent, Present]);
    assert_eq!(choose(&two, "dog").unwrap().samples()[0].labels[..], [Absent]);
    assert!(choose(&two, "cow").is_err());
    let (_home, path) = folder(&[png("images/1.png"), png("masks/1.png")]);
    assert!(Dataset::open(&path).is_err());
}

#[test]
fn shards_of_img2dataset_with_labels_beside_its_own_columns() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("00000.tar");
    let mut shard = tar::Builder::new(std::fs::File::create(&path).unwrap());
    let mut add = |name: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        shard.append_data(&mut header, name, content).unwrap();
    };
    for (key, class, hat) in [("000000000", "1", "yes"), ("000000001", "0", "no")] {
        let json = format!(
            r#"{{"url": "http://x/{key}.jpg", "caption": "a, b", "key": "{key}", "status": "success", "error_message": null,
            "width": 22, "height": 27, "original_width": 44, "exif": "{{}}", "sha256": "0f", "hat": "{hat}"}}"#
        );
        add(&format!("{key}.png"), &encoded(1, ImageFormat::Png));
        add(&format!("{key}.json"), json.as_bytes());
        add(&format!("{key}.cls"), class.as_bytes());
    }
    shard.into_inner().unwrap();
    let dataset = Dataset::open(&path).unwrap();
    assert_eq!(dataset.attributes(), ["hat", "cls"]);
    let labels: Vec<&[Label]> = dataset.samples().iter().map(|sample| &*sample.labels).collect();
    assert_eq!(labels, [[Present, Present], [Absent, Absent]]);
    assert!(dataset.understood().contains("left out img2dataset's url, caption"), "{}", dataset.understood());
}
