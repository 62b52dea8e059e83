//! `visage audit`.

use std::fs;

use crate::fixture::{faces, faces_run, folder, line, run, squares};

#[test]
fn doubtful_labels_and_duplicates_are_listed() {
    let (run, data) = (&run().0, squares());
    let folder = folder();
    let other = folder.path().join("squares");
    fs::create_dir_all(other.join("images")).unwrap();
    for entry in fs::read_dir(data.join("images")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, other.join("images").join(path.file_name().unwrap())).unwrap();
    }
    // The last test image a second time, labelled otherwise.
    fs::copy(other.join("images/95.png"), other.join("images/again.png")).unwrap();
    let table = fs::read_to_string(data.join("labels.csv")).unwrap() + "images/again.png,test,1,\n";
    fs::write(other.join("labels.csv"), table).unwrap();

    let out = folder.path().join("audit");
    let audit = format!("audit {} --data {} --split test --out {}", run.display(), other.display(), out.display());
    let told = line(&format!("{audit} --share 0.5")).done();
    for expected in [
        "labels of 17 images",
        "the most doubtful",
        "Suspected",
        "too rare to say anything",
        "1 pair of images that show the same, 1 of them",
    ] {
        assert!(told.contains(expected), "{expected:?} in\n{told}");
    }
    // 17 labels of Red, and 14 of Bright: half of them.
    let labels = fs::read_to_string(out.join("audit-labels.csv")).unwrap();
    let rows: Vec<Vec<&str>> = labels.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0], ["rank", "image", "attribute", "label", "probability", "confidence", "suspect"]);
    assert_eq!(rows.len(), 1 + 16);
    let confidences: Vec<f32> = rows[1..].iter().map(|row| row[5].parse().unwrap()).collect();
    assert!(confidences.is_sorted(), "the least sure first: {confidences:?}");
    let duplicates = fs::read_to_string(out.join("audit-duplicates.csv")).unwrap();
    assert!(duplicates.contains("images/95.png,images/again.png,0.000,Red\n"), "{duplicates}");

    let json = line(&format!("{audit} --json")).json();
    assert_eq!((&json["images"], &json["labels"]), (&17.into(), &31.into()));
}

#[test]
fn labels_the_model_was_trained_on_are_audited_with_a_warning() {
    let folder = folder();
    let (run, data, out) = (faces_run().display(), faces().display(), folder.path().display());
    let ran = line(&format!("audit {run} --data {data} --split train,val,test --out {out} --json"));
    assert!(ran.stderr.contains("warning: the model was trained on these labels"), "{}", ran.stderr);
    let json = ran.json();
    assert_eq!((&json["images"], json["attributes"].as_array().unwrap().len()), (&120.into(), 40));
    line(&format!("audit {run} --data {data} --share 0")).failed(2);
}
