//! Tables as people have them: choices on the command line, which a run and its model remember.

use std::fs;
use std::path::Path;

use serde_json::Value;
use visage_weights::TensorValues;

use crate::fixture::{folder, line, recipe, squares, training};

/// A table of the squares with their labels in one column of words.
fn tagged(path: &Path) {
    let mut table = "photo,part,tags\n".to_owned();
    for index in 0..96 {
        let tags = [(index % 2 == 0, "red"), (index % 3 == 0, "bright")];
        let tags: Vec<&str> = tags.into_iter().filter(|(present, _)| *present).map(|(_, tag)| tag).collect();
        let part = ["a", "a", "a", "a", "b", "c"][index / 16];
        let tags = if tags.is_empty() { "none".to_owned() } else { tags.join("|") };
        table += &format!("{},{part},{tags}\n", squares().join(format!("images/{index:02}.png")).display());
    }
    fs::write(path, table).unwrap();
}

#[test]
fn a_run_and_its_model_remember_how_the_table_was_read() {
    let home = folder();
    let (table, run) = (home.path().join("tags.csv"), home.path().join("run"));
    tagged(&table);
    let choices =
        "--label-column tags --split-column part --split-values a=train,b=validation,c=test --attributes red,bright";
    let (table, run) = (table.display(), run.display());
    let inspected = line(&format!("data inspect {table} {choices} --json")).json();
    assert_eq!(inspected["splits"]["train"]["images"], 64);
    assert_eq!(inspected["attributes"][0]["name"], "bright");
    assert_eq!(inspected["attributes"][1]["present"], 48);
    let understood = inspected["understood"].as_str().unwrap();
    for part in ["images in `photo`", "splits in `part`", "labels in `tags`, separated by `|`"] {
        assert!(understood.contains(part), "{part} in {understood}");
    }
    let refused = line(&format!("data inspect {table}")).failed(1);
    assert!(refused.contains("tags.csv, line 1") && refused.contains("--label-column"), "{refused}");

    line(&format!("train {} --data {table} --out {run} --set epochs=1 --threads 2 {choices}", recipe().display()))
        .done();
    let metrics = line(&format!("evaluate {run} --data {table} --json --threads 2")).json();
    assert_eq!(metrics["attributes"].as_array().unwrap().len(), 2, "{metrics}");
    let record = fs::read_to_string(home.path().join("run/run.json")).unwrap();
    assert!(record.contains(r#""label_column": "tags""#), "{record}");
    let resumed = line(&format!("train --resume --out {run} --data {table} --threads 2"));
    assert!(!resumed.stderr.contains("other data") && !resumed.stderr.contains("no attributes"), "{}", resumed.stderr);
}

/// Names with characters that would change colours, move the cursor or reorder text.
#[test]
fn names_from_files_reach_the_terminal_visibly() {
    let home = folder();
    let image = squares().join("images/00.png");
    let write = |name: &str, header: &str, row: &str| {
        let path = home.path().join(name);
        fs::write(&path, format!("{header}\n{},train,{row}\n", image.display())).unwrap();
        path.display().to_string()
    };
    let named = write("named.csv", "image,split,Hat\u{202e}gpj,Red\u{1b}[31m", "1,0");
    let unreadable = write("unreadable.csv", "image,split,Red", "no\u{1b}[2J\u{2066}number");
    for command in
        [format!("data inspect {named}"), format!("data inspect {named} --json"), format!("data inspect {unreadable}")]
    {
        let ran = line(&command);
        let all = ran.stdout + &ran.stderr;
        assert!(!all.contains(['\u{1b}', '\u{202e}', '\u{2066}']), "{all:?}");
        assert_eq!(all.contains("\\u202E"), command.contains("named.csv"), "{all}");
    }
}

#[test]
fn soft_labels_train_and_a_lone_training_table_is_divided() {
    let home = folder();
    let data = home.path().join("data");
    fs::create_dir(&data).unwrap();
    let mut table = "image,Red\n".to_owned();
    for index in 0..64 {
        let image = squares().join(format!("images/{index:02}.png"));
        table += &format!("{},{}\n", image.display(), if index % 2 == 0 { 0.9 } else { 0.1 });
    }
    fs::write(data.join("train.csv"), table).unwrap();
    fs::write(data.join("test.csv"), format!("image\n{}\n", squares().join("images/70.png").display())).unwrap();
    let train = format!(
        "train {} --data {} --out {} --set epochs=1 --threads 2",
        recipe().display(),
        data.display(),
        home.path().join("run").display()
    );
    let refused = line(&train).failed(1);
    assert!(refused.contains("train.csv, line 2") && refused.contains("--soft-labels"), "{refused}");
    let ran = line(&format!("{train} --soft-labels"));
    for part in ["test.csv holds no labels", "no validation split: drew 10 % of the training images"] {
        assert!(ran.stderr.contains(part), "{part:?} in\n{}", ran.stderr);
    }
    ran.done();
    let (run, list) = (home.path().join("run"), data.join("test.csv"));
    let answers = line(&format!("predict {} {} --format csv", run.display(), list.display())).done();
    assert!(answers.lines().count() == 2 && answers.contains("images/70.png"), "{answers}");

    // The log loss is measured against the probabilities of the table.
    let metrics = home.path().join("metrics.json");
    let split = format!("--split validation --out {}", metrics.display());
    line(&format!("evaluate {} --data {} --soft-labels {split}", run.display(), data.display())).done();
    let metrics: Value = serde_json::from_slice(&fs::read(&metrics).unwrap()).unwrap();
    let file = visage_weights::read(&home.path().join("metrics.predictions.safetensors")).unwrap();
    let values = |name: &str| file.tensors[name].data.clone();
    let (TensorValues::F32(predicted), TensorValues::F32(targets)) = (values("probabilities"), values("targets"))
    else {
        panic!("{:?}", file.tensors.keys());
    };
    assert!(targets.iter().all(|target| [0.1, 0.9].contains(target)), "{targets:?}");
    let cells = predicted.iter().zip(&targets).map(|(&p, &target)| (f64::from(p), f64::from(target)));
    let losses: Vec<f64> = cells.map(|(p, target)| -target * p.ln() - (1.0 - target) * (1.0 - p).ln()).collect();
    let (found, expected) = (&metrics["micro_average"]["log_loss"], losses.iter().sum::<f64>());
    assert!((found.as_f64().unwrap() - expected / losses.len() as f64).abs() < 1e-9, "{found} {losses:?}");

    // A list with two columns of images needs a choice.
    let [first, second] = [71, 72].map(|image| squares().join(format!("images/{image}.png")));
    fs::write(&list, format!("before,after\n{},{}\n", first.display(), second.display())).unwrap();
    let ambiguous = line(&format!("predict {} {} --format csv", run.display(), list.display())).failed(1);
    assert!(ambiguous.contains("--image-column"), "{ambiguous}");
    let chosen =
        line(&format!("predict {} {} --format csv --image-column after", run.display(), list.display())).done();
    assert!(chosen.contains("images/72.png") && !chosen.contains("images/71.png"), "{chosen}");
}

#[test]
fn a_model_is_never_trained_on_the_minority_of_a_dataset() {
    let home = folder();
    let copy = home.path().join("squares");
    fs::create_dir_all(copy.join("images")).unwrap();
    fs::copy(squares().join("labels.csv"), copy.join("labels.csv")).unwrap();
    for index in 0..40 {
        let name = format!("images/{index:02}.png");
        fs::copy(squares().join(&name), copy.join(&name)).unwrap();
    }
    let mut arguments = training(&home.path().join("run"));
    let data = arguments.iter().position(|argument| argument == squares().to_str().unwrap()).unwrap();
    arguments[data] = copy.display().to_string();
    arguments.push("--skip-bad-images".to_owned());
    let error = crate::fixture::visage(&arguments).failed(1);
    assert!(error.contains("56 of 96 images of squares cannot be used"), "{error}");
    assert!(!home.path().join("run").exists());
}
