//! `visage data`.

use std::fs;

use crate::fixture::{faces, folder, line, squares};

#[test]
fn synth_draws_a_dataset_that_inspect_reads() {
    let found = line(&format!("data inspect {} --json", faces().display())).json();
    assert_eq!(found["images"], 120);
    assert_eq!(found["attributes"].as_array().unwrap().len(), 40);
    let splits = ["train", "validation", "test"].map(|split| found["splits"][split]["images"].as_u64().unwrap());
    assert_eq!(splits.iter().sum::<u64>(), 120);
    assert!(splits.iter().all(|&images| images > 0), "{splits:?}");

    let again = folder();
    let path = again.path().join("faces");
    line(&format!("data synth {} --images 120 --seed 3 --size 64x52 --threads 1", path.display())).done();
    let image = |root: &std::path::Path| fs::read(root.join("Img/img_align_celeba/000007.jpg")).unwrap();
    assert_eq!(image(&path), image(faces()), "the same seed draws the same faces, with any number of threads");
    let error = line(&format!("data synth {} --images 120", path.display())).failed(1);
    assert!(error.contains("is not empty"), "{error}");
}

#[test]
fn inspect_counts_what_the_table_says() {
    let found = line(&format!("data inspect {} --json", squares().display())).json();
    assert_eq!(found["dataset"], "squares");
    let train = &found["splits"]["train"];
    assert_eq!(train["images"], 64);
    let bright = &found["attributes"][1];
    assert_eq!(bright["name"], "Bright");
    // Of 96, every third is bright; 12 are unknown, of which 4 would be.
    assert_eq!((&bright["present"], &bright["absent"], &bright["unknown"]), (&28.into(), &56.into(), &12.into()));
    // Of the 64 to train on, 22 are bright, and 3 of those are among the 8 unknown (15, 39, 63).
    let (present, absent) = (19.0, 37.0);
    let close = |value: &serde_json::Value, expected: f64| (value.as_f64().unwrap() - expected).abs() < 1e-6;
    assert!(close(&bright["prevalence"]["train"], present / (present + absent)), "{bright}");
    assert!(close(&bright["weights"]["pos_weight"]["present"], absent / present), "{bright}");
    assert!(close(&bright["weights"]["inverse_frequency"]["absent"], (present + absent) / 2.0 / absent), "{bright}");
    assert!(close(&train["majority_accuracy"], (0.5 + absent / (present + absent)) / 2.0), "{train}");

    let table = line(&format!("data inspect {}", squares().display())).done();
    for expected in ["squares: 96 images, 2 attributes", "train           64", "50.00 %", "1.947 / 1.000"] {
        assert!(table.contains(expected), "{expected:?} in\n{table}");
    }
}

#[test]
fn inspect_needs_no_images_and_warns() {
    let folder = folder();
    let table = folder.path().join("labels.csv");
    fs::write(&table, "image,split,Rare,Both\na.jpg,train,0,1\nb.jpg,train,0,0\nc.jpg,val,1,1\n").unwrap();
    let ran = line(&format!("data inspect {}", table.display()));
    for expected in ["warning: there are no test images", "Rare is present in 0 and absent in 2 training images"] {
        assert!(ran.stderr.contains(expected), "{expected:?} in\n{}", ran.stderr);
    }
    ran.done();
}
