//! The effects of recipe options on training.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::fixture::{folder, line, recipe, run, squares, training_with, visage};

/// A column of `steps.csv` or `epochs.csv`.
fn column(run: &Path, table: &str, name: &str) -> Vec<f64> {
    let text = fs::read_to_string(run.join(table)).unwrap();
    let mut lines = text.lines();
    let at = lines.next().unwrap().split(',').position(|heading| heading == name).unwrap();
    lines.map(|line| line.split(',').nth(at).unwrap().parse().unwrap()).collect()
}

/// The floating-point tensors of a safetensors file.
fn tensors(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let file = fs::read(path).unwrap();
    let (length, rest) = file.split_at(8);
    let (header, data) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
    let header: BTreeMap<String, Value> = serde_json::from_slice(header).unwrap();
    header
        .into_iter()
        .filter(|(_, tensor)| tensor["dtype"] == "F32")
        .map(|(name, tensor)| {
            let [start, end] = [0, 1].map(|i| tensor["data_offsets"][i].as_u64().unwrap() as usize);
            let (numbers, _) = data[start..end].as_chunks::<4>();
            (name, numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        })
        .collect()
}

/// Trains with these changes, and returns the run folder.
fn trained(folder: &Path, name: &str, changes: &[&str]) -> std::path::PathBuf {
    let run = folder.join(name);
    visage(training_with(&run, changes)).done();
    run
}

#[test]
fn an_attribute_with_one_answer_is_refused_or_left_out() {
    let home = folder();
    let (table, run) = (home.path().join("labels.csv"), home.path().join("run"));
    let squares_table = fs::read_to_string(squares().join("labels.csv")).unwrap();
    // No splits: what is left out decides what is drawn, so that a resumed run and an evaluation draw the same.
    let rows: Vec<String> = squares_table
        .lines()
        .enumerate()
        .map(|(number, line)| {
            let fields: Vec<&str> = line.split(',').collect();
            let image = if number == 0 { "image".into() } else { squares().join(fields[0]).display().to_string() };
            format!("{image},{},{},{}", fields[2], fields[3], if number == 0 { "Square" } else { "1" })
        })
        .collect();
    fs::write(&table, rows.join("\n")).unwrap();
    let (table, run) = (table.display(), run.display());
    let warned = line(&format!("data inspect {table}")).stderr;
    assert!(warned.contains("Square is present in every image") && warned.contains("--drop-constant"), "{warned}");
    let verified = line(&format!("data verify {table}")).stdout;
    assert!(
        verified.contains("Square: present in 96 and absent in 0 train images, which training refuses"),
        "{verified}"
    );
    let train = format!("train {} --data {table} --out {run} --set epochs=1 --threads 2", recipe().display());
    let error = line(&train).failed(1);
    for part in ["1 attribute of labels is always present or always absent", "Square (", "--drop-constant"] {
        assert!(error.contains(part), "{part:?} in\n{error}");
    }
    let ran = line(&format!("{train} --drop-constant"));
    assert!(ran.stderr.contains("warning: left out, always present or always absent"), "{}", ran.stderr);
    ran.done();
    line(&format!("train --resume --out {run} --data {table} --threads 2")).done();
    let metrics = line(&format!("evaluate {run} --data {table} --json")).json();
    assert_eq!(metrics["attributes"].as_array().unwrap().len(), 2, "{metrics}");
}

#[test]
fn types_of_16_bits_follow_the_curve_of_f32() {
    let folder = folder();
    let plain = [
        "architecture=resnet18",
        "learning_rate=1e-4",
        "schedule.kind=constant",
        "batch_size=16",
        "noise=0",
        "epochs=5",
    ];
    let curve = |precision: &str| {
        let precision = format!("precision={precision}");
        let run = trained(folder.path(), &precision, &[&plain[..], &[&precision]].concat());
        (column(&run, "epochs.csv", "train_loss"), tensors(&run.join("best.safetensors"))["fc.weight"].clone())
    };
    let (f32_curve, f32_weights) = curve("f32");
    for precision in ["bf16", "f16"] {
        let (losses, weights) = curve(precision);
        // From an epoch by which f16 has found its loss scale; the steps it skipped until then put f32 ahead.
        for (epoch, (loss, expected)) in losses.iter().zip(&f32_curve).enumerate().skip(3) {
            // A twentieth of where the curve begins.
            let close = (loss - expected).abs() < 0.05 * f32_curve[0];
            assert!(close, "{precision}, epoch {epoch}: {loss}, f32 {expected}");
        }
        assert_ne!(weights, f32_weights, "{precision} rounds");
        // Weights are f32: some need more bits than the type has.
        assert!(weights.iter().any(|weight| weight.to_bits() & 0x1FFF != 0), "{precision}");
    }
}

#[test]
fn steps_that_overflow_f16_are_skipped_and_counted() {
    let folder = folder();
    let run = folder.path().join("half");
    let output = visage(training_with(&run, &["precision=f16", "epochs=1"])).done();
    let norms = column(&run, "steps.csv", "gradient_norm");
    let overflowed = norms.iter().filter(|norm| !norm.is_finite()).count();
    // The scale begins high on purpose, and falls until the gradients fit.
    assert!((1..norms.len()).contains(&overflowed), "{norms:?}");
    assert!(norms[overflowed..].iter().all(|norm| norm.is_finite()), "{norms:?}");
    let record: Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["result"]["skipped_steps"], overflowed);
    assert!(output.contains("whose gradients overflowed f16"), "{output}");
}

#[test]
fn a_frozen_backbone_stays_and_frozen_norms_stay() {
    let folder = folder();
    let start = run().0.join("best.safetensors");
    let weights = format!("weights={}", start.display());
    let before = tensors(&start);
    let changed = |changes: &[&str]| -> Vec<String> {
        let run = trained(folder.path(), &changes.join(" "), &[&[&weights, "epochs=1"], changes].concat());
        let after = tensors(&run.join("best.safetensors"));
        after.into_iter().filter(|(name, values)| before[name] != *values).map(|(name, _)| name).collect()
    };
    assert_eq!(changed(&["freeze_backbone_epochs=1"]), ["classifier.bias", "classifier.weight"]);
    let moved = changed(&["freeze_norms=true"]);
    assert!(moved.contains(&"conv_stem.weight".to_owned()));
    assert!(!moved.iter().any(|name| name.contains("bn")), "{moved:?}");
    assert!(changed(&["epochs=1"]).iter().any(|name| name.contains("running_mean")));
}

#[test]
fn accumulated_batches_make_one_step() {
    let folder = folder();
    let run = trained(folder.path(), "accumulated", &["epochs=1", "accumulate=3"]);
    // 64 images in batches of 8, three a step: two whole steps and one of the two batches left.
    assert_eq!(column(&run, "steps.csv", "step"), [1.0, 2.0, 3.0]);
    // With frozen normalisation layers, which do not depend on the batch, a step of four batches equals one of a batch four
    // times as large.
    let weights = format!("weights={}", self::run().0.join("best.safetensors").display());
    let alike = [&weights, "epochs=1", "freeze_norms=true", "stochastic_depth=0", "dropout=0"];
    let [large, accumulated] = [["batch_size=32", "accumulate=1"], ["batch_size=8", "accumulate=4"]].map(|how| {
        let run = trained(folder.path(), how[1], &[&alike[..], &how].concat());
        (column(&run, "steps.csv", "loss"), column(&run, "steps.csv", "gradient_norm"))
    });
    for (large, accumulated) in [(large.0, accumulated.0), (large.1, accumulated.1)] {
        assert_eq!(large.len(), 2);
        let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-3 * a.abs();
        assert!(large.iter().zip(&accumulated).all(close), "{large:?}, {accumulated:?}");
    }
}

#[test]
fn activation_checkpointing_changes_nothing() {
    let folder = folder();
    let [kept, recomputed] = ["checkpoint_activations=false", "checkpoint_activations=true"].map(|how| {
        let run = trained(folder.path(), how, &["epochs=1", how]);
        tensors(&run.join("best.safetensors"))
    });
    assert!(kept == recomputed, "the weights differ");
}

#[test]
fn the_moving_average_is_the_model_and_training_continues_from_the_weights() {
    let folder = folder();
    let run = trained(folder.path(), "average", &["ema_decay=0.5", "epochs=1"]);
    let last = tensors(&run.join("last.safetensors"));
    let (average, weights) = (&last["classifier.weight"], &last["training.weights.classifier.weight"]);
    assert_ne!(average, weights);
    assert_eq!(average.len(), weights.len());
    // The weights are those of a run without an average.
    let plain = tensors(&trained(folder.path(), "plain", &["epochs=1"]).join("best.safetensors"));
    assert_eq!(*weights, plain["classifier.weight"]);
}

#[test]
fn learning_rates_follow_the_schedule() {
    let folder = folder();
    let run = trained(
        folder.path(),
        "rates",
        &["schedule.kind=step", "step_epochs=1", "factor=0.5", "warmup_epochs=0.5", "warmup_start=0.5", "epochs=2"],
    );
    let rates = column(&run, "steps.csv", "learning_rate");
    // Eight steps an epoch, of which the first four climb.
    let expected: Vec<f64> = (0..16)
        .map(|step| {
            2e-3 * if step < 4 { 0.5 + 0.125 * f64::from(step) } else { 1.0 } * if step < 8 { 1.0 } else { 0.5 }
        })
        .collect();
    assert!(rates.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12), "{rates:?}");

    // No epoch is better than the one before by half, so that every epoch halves the rate.
    let run = trained(
        folder.path(),
        "plateau",
        &["schedule.kind=plateau", "factor=0.5", "plateau_patience=0", "plateau_threshold=0.999"],
    );
    let rates = column(&run, "epochs.csv", "learning_rate");
    assert!(rates.iter().zip([2e-3, 2e-3, 1e-3]).all(|(a, b)| (a - b).abs() < 1e-12), "{rates:?}");
}

#[test]
fn divergence_is_reported_with_its_circumstances() {
    let folder = folder();
    let run = folder.path().join("diverged");
    let changes = ["optimizer.kind=sgd", "learning_rate=1e30", "schedule.kind=constant"];
    let error = visage(training_with(&run, &changes)).failed(1);
    for part in ["training diverged: at step", "learning rate of 1e30", "images/", "checkpoint", "optimizer.clip_norm"]
    {
        assert!(error.contains(part), "{part} in\n{error}");
    }
    let record: Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["status"], "failed");
}

#[test]
fn a_learning_rate_is_found() {
    let folder = folder();
    let (csv, plot) = (folder.path().join("curve.csv"), folder.path().join("curve.svg"));
    let data = squares().display();
    let arguments = format!(
        "lr-find {} --data {data} --steps 24 --start 1e-5 --end 10 --batch-size 8 --csv {} --plot {}",
        recipe().display(),
        csv.display(),
        plot.display()
    );
    let output = line(&arguments).done();
    assert!(output.contains("--set learning_rate="), "{output}");
    let rows = fs::read_to_string(&csv).unwrap();
    assert!(rows.starts_with("learning_rate,loss,smoothed\n") && rows.lines().count() > 10, "{rows}");
    let drawn = fs::read_to_string(&plot).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.contains("Learning rate range test"), "{drawn}");
    let curve = line(&format!("{arguments} --json")).json();
    let suggestion = curve["suggestion"].as_f64().unwrap();
    assert!((1e-5..10.0).contains(&suggestion), "{suggestion}");
    assert!(line(&format!("lr-find baseline --data {data} --start 1 --end 0.1")).failed(2).contains("--start"));
}

#[test]
fn tensorboard_events_are_written() {
    let folder = folder();
    let run = folder.path().join("tensorboard-run");
    let mut arguments = training_with(&run, &["epochs=1"]);
    arguments.push("--tensorboard".to_owned());
    visage(arguments).done();
    let files: Vec<_> = fs::read_dir(run.join("tensorboard")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    let bytes = fs::read(&files[0]).unwrap();
    let has = |tag: &str| bytes.windows(tag.len()).filter(|window| *window == tag.as_bytes()).count();
    assert_eq!((has("train/loss"), has("validation/f1")), (8, 1));
}
