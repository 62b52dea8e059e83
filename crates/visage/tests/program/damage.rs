//! Damaged files of a run: each error names the file and a remedy, and the remedy works.

use std::fs;
use std::path::{Path, PathBuf};

use visage_weights::TensorFile;

use crate::fixture::{Ran, folder, line, run, squares, training, training_with, visage};
use crate::resume::{assert_same_run, copy, start, wait_for};

/// A copy of the finished run, evaluated.
fn evaluated(folder: &Path) -> PathBuf {
    let copied = folder.join("copied");
    copy(&run().0, &copied);
    evaluate(&copied).done();
    copied
}

fn evaluate(model: &Path) -> Ran {
    line(&format!("evaluate {} --data {}", model.display(), squares().display()))
}

fn predict(model: &Path) -> Ran {
    line(&format!("predict {} {}", model.display(), squares().join("images/00.png").display()))
}

fn resume(run: &Path) -> Ran {
    line(&format!("train --resume --out {} --data {} --threads 2", run.display(), squares().display()))
}

fn report(run: &Path) -> Ran {
    line(&format!("report {}", run.display()))
}

/// Asserts that a command failed with these parts in its message.
fn assert_says(ran: Ran, parts: &[&str]) {
    let error = ran.failed(1);
    for part in parts {
        assert!(error.contains(part), "{part} in\n{error}");
    }
    assert!(!error.contains("panicked"), "{error}");
}

/// Cuts a file in half.
fn cut(path: &Path) {
    let whole = fs::read(path).unwrap();
    fs::write(path, &whole[..whole.len() / 2]).unwrap();
}

#[test]
fn a_damaged_record_leaves_the_model() {
    let folder = folder();
    let run = evaluated(folder.path());
    fs::write(run.join("run.json"), "{").unwrap();
    let best = run.join("best.safetensors");
    let weights = format!("weights={}", best.display());
    let parts = ["run.json, line 1", "evaluate and predict work", &format!("--set {weights}")];
    assert_says(resume(&run), &parts);
    assert_says(report(&run), &parts);
    evaluate(&best).done();
    predict(&run).done();
    visage(training_with(&folder.path().join("new"), &[&weights, "epochs=1"])).done();
}

#[test]
fn a_damaged_recipe_is_written_again_from_the_model() {
    let folder = folder();
    let run = evaluated(folder.path());
    let (recipe, model) = (run.join("recipe.toml"), run.join("best.safetensors"));
    let original = fs::read(&recipe).unwrap();
    let command = format!("visage recipe show {} > {}", model.display(), recipe.display());
    for (damage, part) in
        [(&b"[training]\nepochs = = 3"[..], "recipe.toml, line 2"), (b"\xFF\xFE\0", "recipe.toml is not UTF-8 text")]
    {
        fs::write(&recipe, damage).unwrap();
        assert_says(resume(&run), &[part, &command]);
        assert_says(report(&run), &[part, &command]);
    }
    fs::remove_file(&recipe).unwrap();
    assert_says(resume(&run), &["recipe.toml is missing", &command]);
    fs::write(&recipe, line(&format!("recipe show {}", model.display())).done()).unwrap();
    assert_eq!(fs::read(&recipe).unwrap(), original);
    resume(&run).done();
    report(&run).done();
}

#[test]
fn damaged_tables_are_removed() {
    let folder = folder();
    let run = evaluated(folder.path());
    for name in ["steps.csv", "epochs.csv"] {
        let table = run.join(name);
        for damage in [&b"PK\x03\x04, not a table\n"[..], b"\xFF\xFE\n"] {
            fs::write(&table, damage).unwrap();
            let parts = [&format!("{name}, line 1"), "restore it, or remove it"];
            assert_says(resume(&run), &parts);
            assert_says(report(&run), &parts);
        }
        fs::remove_file(&table).unwrap();
        resume(&run).done();
        report(&run).done();
    }
}

/// What remains of a file that is cut at the end of a line may be a whole recipe, or a whole table.
#[test]
fn a_recipe_or_a_table_that_lost_its_end_is_noticed() {
    let folder = folder();
    let run = evaluated(folder.path());
    let path = run.join("recipe.toml");
    let recipe = fs::read_to_string(&path).unwrap();
    let (mut at, mut valid) = (0, 0);
    for line in recipe.split_inclusive('\n') {
        if line.starts_with('[') {
            fs::write(&path, &recipe[..at]).unwrap();
            let error = resume(&run).failed(1);
            assert!(error.contains("recipe.toml") && error.contains("visage recipe show"), "{error}");
            valid += usize::from(error.contains("recipe.toml was changed"));
            assert!(fs::read_to_string(&path).unwrap() == recipe[..at], "nothing was written");
        }
        at += line.len();
    }
    assert!(valid > 0, "no part of the recipe is a recipe");
    fs::write(&path, &recipe[..recipe.rfind("\n[").unwrap() + 1]).unwrap();
    visage([
        "train",
        "--resume",
        "--accept-changes",
        "--threads",
        "2",
        "--out",
        run.to_str().unwrap(),
        "--data",
        squares().to_str().unwrap(),
    ])
    .done();
    fs::write(&path, &recipe).unwrap();

    for name in ["steps.csv", "epochs.csv"] {
        let table = run.join(name);
        let whole = fs::read_to_string(&table).unwrap();
        let lost = whole.trim_end().rfind('\n').unwrap() + 1;
        fs::write(&table, &whole[..lost]).unwrap();
        assert_says(resume(&run), &[name, "the rows end with number", "restore it, or remove it"]);
        fs::write(&table, &whole).unwrap();
    }
    resume(&run).done();
}

#[test]
fn weights_that_are_not_numbers_are_refused_everywhere() {
    let folder = folder();
    let model = folder.path().join("model.safetensors");
    let whole = visage_weights::read(&run().0.join("best.safetensors")).unwrap();
    let image = squares().join("images/00.png");
    for value in [f32::NAN, f32::INFINITY] {
        let mut file = whole.clone();
        let (name, tensor) = file.tensors.iter_mut().find(|(name, _)| name.ends_with("weight")).unwrap();
        let mut values = tensor.data.as_f32().unwrap().to_vec();
        values[0] = value;
        let name = name.clone();
        *tensor = visage_weights::Tensor::new(tensor.shape.clone(), values);
        visage_weights::write_safetensors(&model, &file).unwrap();
        let (model, data, image) = (model.display(), squares().display(), image.display());
        let new = folder.path().join("new");
        for command in [
            format!("predict {model} {image}"),
            format!("evaluate {model} --data {data}"),
            format!("explain {model} {image} --out {}", new.display()),
            format!("export {model} --format onnx --out {}", new.display()),
            format!("serve {model} --port 0"),
        ] {
            assert_says(line(&command), &["model.safetensors: its weights are unusable: ", &name, &value.to_string()]);
        }
        let weights = format!("weights={model}");
        assert_says(visage(training_with(&new, &[&weights])), &["its weights are unusable"]);
        assert!(!new.exists());
    }
}

#[test]
fn damaged_metrics_and_predictions_are_written_again() {
    let folder = folder();
    let run = evaluated(folder.path());
    let compare = || line(&format!("compare {0} {0}", run.display()));
    for (name, part) in [
        ("metrics-test.json", "write it again with visage evaluate"),
        ("predictions-test.safetensors", "write them again with visage evaluate"),
    ] {
        let original = fs::read(run.join(name)).unwrap();
        cut(&run.join(name));
        assert_says(report(&run), &[name, part]);
        assert_says(compare(), &[name, part]);
        evaluate(&run).done();
        assert!(fs::read(run.join(name)).unwrap() == original, "{name}");
        report(&run).done();
    }
}

#[test]
fn the_last_checkpoint_stands_in_for_a_damaged_best_one() {
    let folder = folder();
    let run = evaluated(folder.path());
    let [best, last] = ["best.safetensors", "last.safetensors"].map(|name| run.join(name));
    cut(&best);
    let parts = ["best.safetensors: truncated", "of epoch 3, is whole; use it instead:", last.to_str().unwrap()];
    assert_says(predict(&run), &parts);
    assert_says(predict(&best), &parts);
    assert_says(evaluate(&run), &parts);
    assert_says(line(&format!("card {}", run.display())), &parts);
    assert_says(line(&format!("serve {} --port 0", run.display())), &parts);
    predict(&last).done();

    assert_says(resume(&run), &["best.safetensors: the best checkpoint of the run is damaged", "remove it and resume"]);
    fs::remove_file(&best).unwrap();
    let summary = resume(&run).done();
    assert!(summary.contains("last.safetensors is the model"), "{summary}");
    predict(&run).done();

    cut(&last);
    assert_says(resume(&run), &["last.safetensors", "no other checkpoint of the run is whole", "with --out"]);
    visage(training_with(&folder.path().join("new"), &["epochs=1"])).done();
}

#[test]
fn the_model_of_a_finished_run_outlives_its_last_checkpoint() {
    let folder = folder();
    let run = evaluated(folder.path());
    let [best, last] = ["best.safetensors", "last.safetensors"].map(|name| run.join(name));
    let model = fs::read(&best).unwrap();
    let weights = format!("weights={}", best.display());
    cut(&last);
    let parts = ["last.safetensors: cannot resume from this checkpoint", "predict and evaluate", &weights];
    assert_says(resume(&run), &parts);
    assert_says(predict(&last), &["last.safetensors: truncated", "use it instead:", best.to_str().unwrap()]);
    fs::remove_file(&last).unwrap();
    assert_says(resume(&run), &[&parts[..], &["it is missing"]].concat());
    assert!(fs::read(&best).unwrap() == model, "nothing was trained");
    predict(&run).done();
    evaluate(&run).done();
    visage(training_with(&folder.path().join("new"), &[&weights, "epochs=1"])).done();
}

#[test]
fn an_unfinished_run_resumes_from_its_best_checkpoint() {
    let folder = folder();
    let killed = folder.path().join("killed");
    let [best, last] = ["best.safetensors", "last.safetensors"].map(|name| killed.join(name));
    let mut child = start(&training(&killed));
    // The epoch's row is written between both checkpoints.
    let rows = || fs::read_to_string(killed.join("epochs.csv")).map_or(0, |text| text.lines().count());
    wait_for(&mut child, || rows() > 1 && best.is_file() && last.is_file());
    assert!(child.try_wait().unwrap().is_none(), "it was to be killed in the second epoch");
    child.kill().unwrap();
    child.wait().unwrap();

    let whole = visage_weights::read(&last).unwrap();
    let without = |change: fn(&mut TensorFile)| {
        let mut file = whole.clone();
        change(&mut file);
        visage_weights::write_safetensors(&last, &file).unwrap();
    };
    let copying = format!("cp {} {}", best.display(), last.display());
    let damages: [(&str, &dyn Fn()); 5] = [
        ("incomplete", &|| without(|file| drop(file.tensors.pop_last()))),
        ("position of the run", &|| without(|file| drop(file.metadata.insert("visage.training".into(), "{}".into())))),
        ("card", &|| without(|file| drop(file.metadata.remove("visage")))),
        ("not a weight file", &|| fs::write(&last, [0u8; 5000]).unwrap()),
        ("truncated", &|| cut(&last)),
    ];
    for (part, damage) in damages {
        visage_weights::write_safetensors(&last, &whole).unwrap();
        damage();
        assert_says(resume(&killed), &["last.safetensors: cannot resume", part, "of epoch", &copying]);
    }
    fs::copy(&best, &last).unwrap();
    resume(&killed).done();
    assert_same_run(&killed, &run().0);
}
