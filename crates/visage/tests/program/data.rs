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
    line(&format!("data synth {} --images 120 --seed 4 --size 64x52 --threads 1", path.display())).done();
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
    // Of 96, every third is bright; 12 labels are unknown, 4 of them of bright images.
    assert_eq!((&bright["present"], &bright["absent"], &bright["unknown"]), (&28.into(), &56.into(), &12.into()));
    // Of the 64 training images, 22 are bright, 3 of them with unknown labels (15, 39, 63).
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

/// A copy of the squares without one image and with another damaged.
fn damaged_squares() -> tempfile::TempDir {
    let home = folder();
    let copy = home.path().join("squares");
    fs::create_dir_all(copy.join("images")).unwrap();
    for entry in fs::read_dir(squares().join("images")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join("images").join(entry.file_name())).unwrap();
    }
    fs::copy(squares().join("labels.csv"), copy.join("labels.csv")).unwrap();
    fs::remove_file(copy.join("images/05.png")).unwrap();
    fs::write(copy.join("images/70.png"), b"no picture").unwrap();
    home
}

#[test]
fn verify_reports_everything_and_fails() {
    let whole = line(&format!("data verify {}", faces().display())).done();
    assert!(whole.contains("120 images, 120 decoded"), "{whole}");
    let home = damaged_squares();
    let path = home.path().join("squares");
    let ran = line(&format!("data verify {}", path.display()));
    for part in ["96 images, 94 decoded", "error: missing image files: 1", "images/05.png", "images/70.png"] {
        assert!(ran.stdout.contains(part), "{part:?} in\n{}", ran.stdout);
    }
    // The squares have duplicates in several splits.
    assert!(ran.stdout.contains("error: images that are in more than one split"), "{}", ran.stdout);
    assert!(ran.failed(1).contains("error: squares has "));
    let ran = line(&format!("data verify {} --json --threads 1", path.display()));
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&found["decoded"], &found["findings"][0]["kind"]), (&94.into(), &"missing_image".into()));
}

#[test]
fn a_partly_copied_dataset_is_reported_and_can_be_trained_on_without_the_missing_images() {
    let home = damaged_squares();
    let path = home.path().join("squares");
    let inspected = line(&format!("data inspect {}", path.display()));
    assert!(
        inspected.stderr.contains("1 of 96 images is missing (1.04 %), from images/05.png"),
        "{}",
        inspected.stderr
    );
    let train = format!(
        "train {} --data {} --out {} --set epochs=1 --threads 2",
        crate::fixture::recipe().display(),
        path.display(),
        home.path().join("run").display()
    );
    let error = line(&train).failed(1);
    assert!(error.contains("1 of 96 images") && error.contains("--skip-bad-images"), "{error}");
    let ran = line(&format!("{train} --skip-bad-images"));
    for part in ["2 of 96 images are left out", "images/05.png: there is no file at", "images/70.png: "] {
        assert!(ran.stderr.contains(part), "{part:?} in\n{}", ran.stderr);
    }
    ran.done();
}

#[test]
fn a_broken_image_is_found_before_the_first_step() {
    let home = damaged_squares();
    let path = home.path().join("squares");
    fs::copy(path.join("images/06.png"), path.join("images/05.png")).unwrap();
    let run = home.path().join("run");
    let train = format!(
        "train {} --data {} --out {} --set epochs=1 --threads 2",
        crate::fixture::recipe().display(),
        path.display(),
        run.display()
    );
    let error = line(&train).failed(1);
    for part in ["1 of 96 images of squares cannot be used, first images/70.png: ", "--skip-bad-images", "data verify"]
    {
        assert!(error.contains(part), "{part:?} in\n{error}");
    }
    assert!(!run.exists(), "nothing was begun");
    let ran = line(&format!("{train} --skip-bad-images"));
    assert!(ran.stderr.contains("1 of 96 images is left out"), "{}", ran.stderr);
    ran.done();
    fs::copy(path.join("images/06.png"), path.join("images/70.png")).unwrap();
    let ran = line(&train.replace("/run", "/whole"));
    assert!(ran.stderr.contains("the headers of 96 image files are readable"), "{}", ran.stderr);
    ran.done();
    // An image that is cut short has a readable header.
    let image = fs::read(path.join("images/07.png")).unwrap();
    fs::write(path.join("images/07.png"), &image[..image.len() / 2]).unwrap();
    let error = line(&train.replace("/run", "/cut")).failed(1);
    assert!(error.contains("images/07.png") && error.contains("--skip-bad-images"), "{error}");
}

#[test]
fn training_from_a_pack_gives_the_same_bits() {
    let home = folder();
    let pack = home.path().join("squares.pack");
    let recipe = crate::fixture::recipe().display();
    let packed = line(&format!("data pack {} {} --recipe {recipe}", squares().display(), pack.display())).done();
    for part in ["96 images of 32x32", "to read and prepare", "an epoch of 64 training images saves"] {
        assert!(packed.contains(part), "{part:?} in\n{packed}");
    }
    let run = home.path().join("run");
    let mut arguments = crate::fixture::training(&run);
    let data = arguments.iter().position(|argument| argument == "--data").unwrap() + 1;
    arguments[data] = pack.display().to_string();
    crate::fixture::visage(arguments).done();
    let (source_run, ..) = crate::fixture::run();
    let weights = |run: &std::path::Path| {
        let bytes = fs::read(run.join("best.safetensors")).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[8 + header..].to_vec()
    };
    assert!(weights(&run) == weights(source_run), "the weights differ");
    // The losses of every step, without the two columns of times.
    let losses = |run: &std::path::Path| {
        let table = fs::read_to_string(run.join("steps.csv")).unwrap();
        table.lines().map(|line| line.rsplitn(3, ',').last().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(losses(&run), losses(source_run));
    let other =
        format!("train {recipe} --data {} --out {} --set size=48", pack.display(), home.path().join("x").display());
    let error = line(&other).failed(1);
    assert!(error.contains("resized to 32x32") && error.contains("resized to 48x48"), "{error}");
}

#[test]
fn converted_datasets_have_the_same_contents() {
    let home = folder();
    let print = |path: &std::path::Path| line(&format!("data inspect {} --json", path.display())).json();
    let source = print(faces());
    for (form, name) in [("celeba", "celeba"), ("csv", "faces.zip"), ("parquet", "hub"), ("webdataset", "shards")] {
        let out = home.path().join(name);
        line(&format!("data convert {} {} --to {form}", faces().display(), out.display())).done();
        let copy = print(&out);
        for key in ["images", "splits", "images_without_split"] {
            assert_eq!(copy[key], source[key], "{form}: {key}");
        }
        let by_name = |found: &serde_json::Value| {
            let mut attributes = found["attributes"].as_array().unwrap().clone();
            attributes.sort_by_key(|attribute| attribute["name"].as_str().unwrap().to_owned());
            attributes
        };
        assert_eq!(by_name(&copy), by_name(&source), "{form}");
    }
}

#[test]
fn inspect_shows_which_attributes_come_together() {
    let found = line(&format!("data inspect {} --json", squares().display())).json();
    let associations = &found["associations"];
    // Every second is red, every third bright: of 96, 16 are both, but for the two that are unknown.
    assert_eq!(associations["co_occurrence"][0], serde_json::json!([48, 16]));
    assert_eq!(associations["pairs"][0]["both"], 16);
    let table = line(&format!("data inspect {}", faces().display())).done();
    assert!(table.contains("Strongest correlations"), "{table}");
}

#[test]
fn preview_shows_what_training_sees() {
    let home = folder();
    let page = |name: &str, set: &str| {
        let out = home.path().join(name);
        let recipe = crate::fixture::recipe().display();
        let set: String = set.split_whitespace().map(|change| format!(" --set {change}")).collect();
        let path = squares().display();
        line(&format!("data preview {path} --recipe {recipe} --out {} --images 3 --epochs 2{set}", out.display()))
            .done();
        fs::read_to_string(out).unwrap()
    };
    let first = page("a.html", "mixup=1");
    // Three rows of the prepared image and two epochs.
    assert_eq!(first.matches("data:image/png;base64,").count(), 9);
    for part in ["images/00.png</b><br>Red, Bright", "<th>epoch 2", " %, and "] {
        assert!(first.contains(part), "{part:?} in\n{}", &first[..600]);
    }
    assert_eq!(first, page("b.html", "mixup=1"), "the same draws");
    let all = "crop=1 shift_scale_rotate=1 brightness_contrast=1 blur=1 erasing=1 cutmix=0.5";
    let third = page("c.html", all);
    assert_ne!(first, third);
    // Each change is named below the image.
    for part in ["<br>cropped to ", "<br>shifted by ", "<br>brightness ", "<br>blurred over ", "<br>erased "] {
        assert_eq!(third.matches(part).count(), 6, "{part}");
    }
    assert_eq!(page("d.html", "flip=0 noise=0").matches("<br>unchanged").count(), 6);
    assert_eq!(page("e.html", "flip=1 noise=1").matches("<br>flipped<br>noise of standard deviation ").count(), 6);
}
