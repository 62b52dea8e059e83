//! `visage calibrate`.

use std::fs;

use serde_json::Value;

use crate::fixture::{folder, line, run, squares};

#[test]
fn calibration_and_thresholds_travel_in_the_model_file() {
    let (run, data) = (&run().0, squares().display());
    let folder = folder();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (before, best) = (fs::read(run.join("best.safetensors")).unwrap(), run.join("best.safetensors"));
    let calibrate = format!("calibrate {} --data {data} --out {} --json", best.display(), path("m.safetensors"));
    let output = line(&format!("{calibrate} --method isotonic --thresholds recall=0.9")).json();
    assert_eq!((&output["calibration"], &output["images"]), (&"isotonic".into(), &16.into()));
    assert_eq!(output["thresholds"], serde_json::json!({"recall": 0.9}));
    assert!(output["ece_before"].is_number() && output["ece_after"].is_number(), "{output}");
    assert_eq!(fs::read(&best).unwrap(), before, "--out leaves the model as it was");

    // On the images it was fitted to, isotonic regression is calibrated and the recall is as wanted.
    let found = line(&format!("evaluate {} --data {data} --split val --json", path("m.safetensors"))).json();
    assert_eq!(found["calibration"], "isotonic");
    assert!(found["thresholds"].as_str().unwrap().contains("a recall of 0.9 or more"), "{}", found["thresholds"]);
    for (attribute, output) in
        found["attributes"].as_array().unwrap().iter().zip(output["attributes"].as_array().unwrap())
    {
        assert!(attribute["recall"].as_f64().unwrap() >= 0.9, "{attribute}");
        assert_eq!((&attribute["threshold"], &attribute["f1"]), (&output["threshold"], &output["f1"]));
    }
    // What predicts says what the file says.
    let predict = |model: &str| -> Value {
        let images = squares().join("images/70.png");
        let text = line(&format!("predict {model} {} --format json", images.display())).done();
        serde_json::from_str(&text).unwrap()
    };
    let probability = |model: &str| predict(model)["attributes"]["Red"]["probability"].as_f64().unwrap();
    let best = best.display().to_string();
    assert_ne!(probability(&path("m.safetensors")), probability(&best));

    // In place, and back: a temperature keeps the order, and `none` is the plain sigmoid again.
    let model = path("m.safetensors");
    line(&format!("calibrate {model} --data {data} --method temperature --thresholds 0.5")).done();
    let found = line(&format!("evaluate {model} --data {data} --json")).json();
    assert_eq!((&found["calibration"], &found["attributes"][0]["threshold"]), (&"temperature".into(), &0.5.into()));
    line(&format!("calibrate {model} --data {data} --method none --thresholds best-f1")).done();
    assert_eq!(probability(&model), probability(&best));
}

#[test]
fn thresholds_by_prevalence_and_smoothed_over_the_attributes() {
    let (run, data) = (run().0.display(), squares().display());
    let folder = folder();
    let model = folder.path().join("m.safetensors").display().to_string();
    let rules = [
        ("prevalence", serde_json::json!("prevalence"), "as many predicted positives as positives"),
        ("smooth-f1", serde_json::json!("smooth_f1"), "best F1 of each attribute, smoothed over the attributes"),
        ("balanced", serde_json::json!({"balanced": 1.0}), "best F1 + 1 x accuracy of each attribute"),
        ("balanced=2.5", serde_json::json!({"balanced": 2.5}), "best F1 + 2.5 x accuracy of each attribute"),
    ];
    for (written, rule, words) in rules {
        let output = line(&format!("calibrate {run} --data {data} --out {model} --thresholds {written} --json")).json();
        assert_eq!(output["thresholds"], rule);
        let found = line(&format!("evaluate {model} --data {data} --split val --json")).json();
        let text = found["thresholds"].as_str().unwrap();
        assert!(text.contains(words) && text.ends_with("on the validation split"), "{text}");
        for (attribute, output) in
            found["attributes"].as_array().unwrap().iter().zip(output["attributes"].as_array().unwrap())
        {
            assert_eq!((&attribute["threshold"], &attribute["f1"]), (&output["threshold"], &output["f1"]));
        }
    }
}

#[test]
fn a_checkpoint_keeps_what_training_resumes_from() {
    let (run, data) = (&run().0, squares().display());
    let folder = folder();
    let model = folder.path().join("last.safetensors");
    fs::copy(run.join("last.safetensors"), &model).unwrap();
    let size = || fs::metadata(&model).unwrap().len();
    let before = size();
    let output = line(&format!("calibrate {} --data {data} --method temperature", model.display())).done();
    assert!(output.contains("expected calibration error, mean over the attributes"), "{output}");
    assert!(size().abs_diff(before) < 4096, "{before} bytes became {}", size());
}

#[test]
fn wrong_options_are_refused() {
    let (run, data) = (run().0.display(), squares().display());
    for wrong in ["precision=1.5", "balanced=-1", "balanced=", "balanced=inf", "prevalence=0.5", "smoothest"] {
        let error = line(&format!("calibrate {run} --data {data} --thresholds {wrong}")).failed(2);
        assert!(error.contains("`smooth-f1`, `balanced`"), "{error}");
    }
    line(&format!("calibrate {run} --data {data} --method magic")).failed(2);
}
