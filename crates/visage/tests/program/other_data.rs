//! Results of one model on several datasets.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::fixture::{folder, line, recipe, squares, visage};

/// A new run of one epoch on the squares.
fn new_run(folder: &Path) -> PathBuf {
    let run = folder.join("run");
    let train = ["train", recipe().to_str().unwrap(), "--data", squares().to_str().unwrap(), "--set", "epochs=1"];
    visage(train.into_iter().chain(["--out", run.to_str().unwrap()])).done();
    run
}

/// A table of squares with these columns, and only the rows that are kept.
fn table(path: &Path, columns: &[usize], is_kept: impl Fn(&[&str]) -> bool) {
    let text = fs::read_to_string(squares().join("labels.csv")).unwrap();
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
        if number > 0 {
            if !is_kept(&line.split(',').collect::<Vec<_>>()) {
                continue;
            }
            cells[0] = squares().join(&cells[0]).display().to_string();
        }
        lines.push(columns.iter().map(|&column| cells[column].clone()).collect::<Vec<_>>().join(","));
    }
    fs::write(path, lines.join("\n") + "\n").unwrap();
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn results_on_other_data_replace_nothing_and_are_told_apart() {
    let folder = folder();
    let run = new_run(folder.path());
    let (shown, own) = (run.display(), squares().display());
    line(&format!("evaluate {shown} --data {own}")).done();
    line(&format!("audit {shown} --data {own}")).done();
    let kept = ["metrics-test.json", "predictions-test.safetensors", "audit.html", "audit-labels.csv"];
    let before: Vec<Vec<u8>> = kept.iter().map(|name| fs::read(run.join(name)).unwrap()).collect();

    let other = folder.path().join("fewer.csv");
    table(&other, &[0, 1, 2, 3], |cells| cells[0] != "images/80.png");
    let data = other.display();
    let printed = line(&format!("evaluate {shown} --data {data}"));
    assert!(printed.stdout.contains("15 images of the test split of fewer"), "{}", printed.stdout);
    let _ = printed.done();
    line(&format!("audit {shown} --data {data}")).done();
    let after: Vec<Vec<u8>> = kept.iter().map(|name| fs::read(run.join(name)).unwrap()).collect();
    assert!(before == after, "the results on the run's own data stay");
    let folders: Vec<PathBuf> =
        fs::read_dir(run.join("other-data")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(folders.len(), 1);
    assert!(kept.iter().all(|name| folders[0].join(name).is_file()), "{folders:?}");
    let name = folders[0].file_name().unwrap().to_str().unwrap();
    let metrics = read(&folders[0].join("metrics-test.json"));
    let fingerprint = metrics["dataset_fingerprint"].as_str().unwrap();
    assert_eq!(name, format!("fewer-{}", &fingerprint[..8]));

    // The card shows one of both, and says which.
    let card = |options: &str| {
        let path = folder.path().join("card.md");
        let ran = line(&format!("card {shown} --out {} {options}", path.display()));
        (ran.stderr.clone(), ran.code, fs::read_to_string(&path).unwrap_or_default())
    };
    let (said, _, text) = card("");
    assert!(said.contains("the evaluation on the test split of squares"), "{said}");
    assert!(said.contains("also evaluated on fewer") && said.contains("--dataset"), "{said}");
    assert!(text.contains("On 16 images of the test split of squares") && !text.contains("not the data"), "{text}");
    for choice in ["fewer", data.to_string().as_str(), &fingerprint[..10]] {
        let (said, _, text) = card(&format!("--dataset {choice}"));
        assert!(said.contains("the evaluation on the test split of fewer"), "{said}");
        assert!(text.contains("On 15 images of the test split of fewer") && text.contains(fingerprint), "{text}");
        assert!(text.contains("not the data that the model was trained on"), "{text}");
    }
    let (said, code, _) = card("--dataset nowhere");
    assert_eq!(code, 1);
    assert!(said.contains("has no metrics on nowhere"), "{said}");

    // Runs are compared on the data that all were evaluated on.
    let second = folder.path().join("second");
    fs::create_dir(&second).unwrap();
    let second = new_run(&second);
    line(&format!("evaluate {} --data {data}", second.display())).done();
    let compared = line(&format!("compare {shown} {}", second.display())).done();
    assert!(compared.contains("on 15 images of the test split of fewer"), "{compared}");
    let report = folder.path().join("report");
    line(&format!("report {shown} {} --out {}", second.display(), report.display())).done();
    let page = fs::read_to_string(report.join("report.html")).unwrap();
    assert!(page.contains("15 images of the test split of fewer") && !page.contains("16 images of"), "the same images");
}

#[test]
fn another_question_is_not_overwritten() {
    let folder = folder();
    let run = new_run(folder.path());
    let (run, data) = (run.display(), squares().display());
    line(&format!("evaluate {run} --data {data}")).done();
    let error = line(&format!("evaluate {run} --data {data} --threshold 0.25")).failed(1);
    assert!(error.contains("thresholds: the model's there, 0.25 for every attribute now"), "{error}");
    let error = line(&format!("evaluate {run} --data {data} --tta flip --only Red")).failed(1);
    assert!(error.contains("attributes: 2 attributes there, Red alone now") && error.contains("--force"), "{error}");
    line(&format!("calibrate {run} --data {data} --thresholds prevalence")).done();
    let card = line(&format!("card {run}"));
    assert!(card.stderr.contains("evaluate it again"), "{}", card.stderr);
    line(&format!("evaluate {run} --data {data}")).done();
    line(&format!("evaluate {run} --data {data} --threshold 0.25 --force")).done();
}

#[test]
fn a_table_needs_neither_splits_nor_every_attribute() {
    let folder = folder();
    let run = new_run(folder.path());
    let (run, red) = (run.display(), folder.path().join("red.csv"));
    table(&red, &[0, 2], |cells| cells[1] == "test");
    let data = red.display();
    let error = line(&format!("evaluate {run} --data {data}")).failed(1);
    assert!(error.contains("red lacks 1 of the model's attributes: Bright") && error.contains("--only Red"), "{error}");
    let ran = line(&format!("evaluate {run} --data {data} --only Red --json"));
    assert!(ran.stderr.contains("red assigns no splits: all are used: 16 images"), "{}", ran.stderr);
    let found = ran.json();
    assert_eq!((&found["split"], &found["images"]), (&"all".into(), &16.into()));
    assert_eq!(found["attributes"].as_array().unwrap().len(), 1);
    // The same images as the test split of the whole table: the same answers for the attribute.
    let whole = line(&format!("evaluate {run} --data {} --json", squares().display())).json();
    assert_eq!(found["attributes"][0], whole["attributes"][0]);
    let audit = line(&format!("audit {run} --data {data} --only Red --json")).json();
    assert_eq!((&audit["images"], audit["attributes"].as_array().unwrap().len()), (&16.into(), 1));
    let error = line(&format!("evaluate {run} --data {data} --only Rde")).failed(1);
    assert!(error.contains("Rde"), "{error}");

    let every = line(&format!("evaluate {run} --data {} --split all --json", squares().display())).json();
    assert_eq!((&every["split"], &every["images"]), (&"all".into(), &96.into()));
    let every = line(&format!("evaluate {run} --data {} --split all", squares().display()));
    assert!(every.stderr.contains("trained on some of these images"), "{}", every.stderr);
    assert!(every.stdout.contains("all 96 images of squares"), "{}", every.stdout);
    let text = line(&format!("audit {run} --data {} --split all", squares().display()));
    assert!(text.stderr.contains("was trained on these labels"), "{}", text.stderr);
    assert!(text.done().contains("on all images"));
}

#[test]
fn runs_on_other_splits_are_told_how_to_be_compared() {
    let folder = folder();
    let first = new_run(folder.path());
    let second = folder.path().join("second");
    fs::create_dir(&second).unwrap();
    let second = new_run(&second);
    let data = squares().display();
    line(&format!("evaluate {} --data {data}", first.display())).done();
    line(&format!("evaluate {} --data {data} --split validation", second.display())).done();
    let error = line(&format!("compare {} {}", first.display(), second.display())).failed(1);
    for expected in [
        "evaluated on different splits",
        "run on the test split of squares",
        "run on the validation split of squares",
        &format!("visage evaluate {} --data {data}", second.display()),
    ] {
        assert!(error.contains(expected), "{expected:?} in\n{error}");
    }
    line(&format!("evaluate {} --data {data}", second.display())).done();
    line(&format!("compare {} {}", first.display(), second.display())).done();
}

#[test]
fn runs_are_listed_with_their_results() {
    let folder = folder();
    let run = new_run(folder.path());
    let parent = folder.path().display();
    line(&format!("evaluate {} --data {}", run.display(), squares().display())).done();
    let listed = line(&format!("runs {parent} --json")).json();
    assert_eq!(listed[0]["test"]["accuracy"], read(&run.join("metrics-test.json"))["macro_average"]["accuracy"]);
    assert!(listed[0]["validation"]["average_precision"].is_number(), "{listed}");
    let table = line(&format!("runs {parent} --sort f1")).done();
    for expected in ["squares", "Validation: accuracy", "Test: accuracy", "validation_loss", "finished"] {
        assert!(table.contains(expected), "{expected:?} in\n{table}");
    }
}
