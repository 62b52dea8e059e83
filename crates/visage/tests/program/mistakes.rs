//! Errors for wrong usage and bad files.

use std::fs;
use std::path::Path;

use crate::fixture::{faces, folder, line, run, squares};

/// The exit code and parts of standard error for a command line.
fn refused(arguments: &str, code: i32, expected: &[&str]) {
    let error = line(arguments).failed(code);
    for expected in expected {
        assert!(error.contains(expected), "{arguments}: {expected:?} in\n{error}");
    }
    assert!(!error.contains("panicked") && !error.contains('\x1b'), "{error}");
}

#[test]
fn wrong_usage_is_explained() {
    let data = squares().display();
    refused("trian", 2, &["trian", "train"]);
    refused("train --data x", 2, &["RECIPE"]);
    refused(&format!("train enhansed --data {data}"), 2, &["did you mean `enhanced`?"]);
    refused(
        &format!("train baseline --data {data} --set lerning_rate=1"),
        2,
        &["no key `lerning_rate`", "did you mean `optimizer.learning_rate`?"],
    );
    refused(&format!("train baseline --data {data} --epochs 2.5"), 2, &["epochs must be a whole number, not 2.5"]);
    refused(&format!("train baseline --data {data} --lr fast"), 2, &["learning_rate must be a number, not fast"]);
    refused(&format!("train baseline --data {data} --seed -1"), 2, &["seed must be a whole number of at least 0"]);
    refused(&format!("train baseline --data {data} --epoch 2"), 2, &["a similar argument exists: '--epochs'"]);
    refused(&format!("train baseline --data {data} --patience 2"), 2, &["--set training.patience=VALUE"]);
    refused("bench train --arch resnet18 --size 64 --batch x", 2, &["--batch must be a whole number, not \"x\""]);
    refused("predict m x.png --top 0", 2, &["--top must be a whole number of at least 1, not \"0\""]);
    refused("lr-find baseline --data d --steps 1", 2, &["--steps must be a whole number of at least 2"]);
    refused("lr-find baseline --data d --start 1e-x", 2, &["--start must be a number, not \"1e-x\""]);
    refused("evaluate m --data d --split tset", 2, &["`tset` is not a split"]);
    refused("evaluate m --data d --threshold 2", 2, &["a number from 0 to 1"]);
    refused("bench train --arch resnet81 --size 64 --batch 4", 2, &["resnet81", "resnet18"]);
    refused("bench train --arch resnet18 --size 16 --batch 4", 2, &["at least 32 pixels"]);
    refused("data synth x --images 100 --splits 1,2", 2, &["three fractions"]);
    for help in ["--help", "train --help", "data synth --help", "--version"] {
        assert!(!line(help).done().is_empty());
    }
}

#[test]
fn a_missing_file_is_named() {
    refused("data inspect /nowhere/at/all", 1, &["cannot read /nowhere/at/all", "cause: "]);
    refused("train baseline --data /nowhere", 1, &["cannot read /nowhere"]);
    refused("train /nowhere.toml --data /nowhere", 1, &["/nowhere.toml"]);
    refused("predict /nowhere.safetensors x.png", 1, &["/nowhere.safetensors"]);
    refused(&format!("evaluate {0} --data {0}", squares().display()), 1, &["there is no model in", "help: "]);
    refused(&format!("train --resume --out /nowhere --data {}", squares().display()), 1, &["/nowhere is not a run"]);
}

#[test]
fn a_recipe_is_checked_first() {
    let folder = folder();
    let path = folder.path().join("mine.toml");
    fs::write(&path, "[model]\narchitecture = \"resnet18\"\n[input]\nsize = 64\n[training]\nepoks = 3\n").unwrap();
    refused(
        &format!("train {} --data x", path.display()),
        1,
        &["mine.toml, line 6", "did you mean `training.epochs`?"],
    );
    fs::write(&path, "[model]\narchitecture = \"resnet18\"\n[input]\nsize = 16\n").unwrap();
    refused(&format!("train {} --data x", path.display()), 1, &["line 4", "at least 32 pixels a side"]);
}

#[test]
fn a_bad_table_is_named_with_its_line() {
    let folder = folder();
    let path = folder.path().join("labels.csv");
    fs::write(&path, "image,split,Smiling\na.jpg,train,1\nb.jpg,train,maybe\n").unwrap();
    refused(&format!("data inspect {}", path.display()), 1, &["labels.csv, line 3", "`maybe` in column `Smiling`"]);
    fs::write(&path, "image,split,Smiling\na.jpg,train,1\nb.jpg,train,0\nc.jpg,val,1\n").unwrap();
    let out = folder.path().join("run");
    let train = format!("train baseline --data {} --out {}", path.display(), out.display());
    refused(&train, 1, &["3 of 3 images of dataset `labels` are missing", "`a.jpg`", "--skip-bad-images"]);
}

#[test]
fn attributes_missing_from_a_dataset_are_named() {
    refused(
        &format!("evaluate {} --data {}", run().0.display(), faces().display()),
        1,
        &["faces lacks 2 of the model's attributes: Red, Bright"],
    );
}

#[test]
fn an_empty_split_suggests_another() {
    let folder = folder();
    let path = folder.path().join("labels.csv");
    fs::write(&path, "image,split,Red,Bright\na.jpg,train,1,0\nb.jpg,val,0,1\n").unwrap();
    refused(
        &format!("evaluate {} --data {}", run().0.display(), path.display()),
        1,
        &["has no test images", "--split validation"],
    );
}

#[test]
fn a_damaged_model_is_refused() {
    let folder = folder();
    let model = fs::read(run().0.join("best.safetensors")).unwrap();
    let picture = squares().join("images/00.png");
    let predict = |path: &Path| format!("predict {} {}", path.display(), picture.display());
    let cut = folder.path().join("cut.safetensors");
    fs::write(&cut, &model[..model.len() / 2]).unwrap();
    refused(&predict(&cut), 1, &["cut.safetensors", "truncated"]);
    let foreign = folder.path().join("foreign.safetensors");
    fs::write(&foreign, "these are not the weights you are looking for").unwrap();
    refused(&predict(&foreign), 1, &["foreign.safetensors"]);
    refused(&predict(&picture), 1, &["00.png"]);
}

#[test]
fn a_run_folder_is_not_overwritten() {
    let (run, data) = (run().0.display(), squares().display());
    refused(&format!("train baseline --data {data} --out {run}"), 1, &["already holds a run", "--resume"]);
    refused(&format!("train baseline --data {data} --out {data}"), 1, &["is not empty and is not a run"]);
    refused(&format!("train baseline --data {data} --out {run} --resume"), 1, &["started with another recipe"]);
    refused(
        &format!("train --data {} --out {run} --resume", faces().display()),
        1,
        &["trained on other data", "it had 64 training images, this one has 96", "this one lacks Red, Bright"],
    );
}
