//! `visage ensemble` and test-time augmentation.

use std::path::Path;

use crate::fixture::{faces, faces_run, folder, line, run, squares, training_with, visage};

/// The probabilities of all images in a folder, which a model without calibration computes by the sigmoid.
fn probabilities(model: &Path, images: &Path, options: &str) -> Vec<f64> {
    let text = line(&format!("predict {} {} --format csv {options}", model.display(), images.display())).done();
    let rows =
        text.lines().skip(1).map(|row| row.split(',').skip(1).map(|cell| cell.parse().unwrap()).collect::<Vec<f64>>());
    rows.flatten().collect()
}

fn logit(probability: f64) -> f64 {
    (probability / (1.0 - probability)).ln()
}

#[test]
fn an_ensemble_answers_with_the_mean_of_the_logits() {
    let (first, data) = (&run().0, squares().display());
    let folder = folder();
    let (second, other) = (folder.path().join("second"), folder.path().join("other"));
    visage(training_with(
        &second,
        &["seed=6", "epochs=1", "architecture=resnet18", "stochastic_depth=none", "dropout=none"],
    ))
    .done();
    let out = folder.path().join("both.safetensors");
    let combine = format!("ensemble {} {} --out {}", first.display(), second.display(), out.display());
    let ran = line(&combine);
    assert!(ran.stderr.contains("the mean of 2 networks, efficientnet-lite0 + resnet18"), "{}", ran.stderr);
    let next = ran.stderr.lines().find_map(|line| line.split_once("visage calibrate").map(|(_, rest)| rest.to_owned()));
    let next = next.expect("the next command").replace("DATA", &data.to_string());
    ran.done();

    let [a, b, both] = [first, &second, &out].map(|model| probabilities(model, &squares().join("images"), ""));
    assert_eq!(both.len(), 2 * 96);
    for ((a, b), both) in a.iter().zip(&b).zip(&both) {
        let mean = (logit(*a) + logit(*b)) / 2.0;
        assert!((logit(*both) - mean).abs() < 1e-3 * mean.abs().max(1.0), "{a} {b} {both}");
    }
    // It is a model like others.
    line(&format!("calibrate{next}")).done();
    let found = line(&format!("evaluate {} --data {data} --json", out.display())).json();
    assert_eq!(found["architecture"], "efficientnet-lite0 + resnet18");
    assert!(found["thresholds"].as_str().unwrap().contains("validation"), "{}", found["thresholds"]);
    let graph = folder.path().join("both.onnx");
    line(&format!("export {} --format onnx --out {}", out.display(), graph.display())).done();
    let error = line(&format!("export {} --format torch", out.display())).failed(1);
    assert!(error.contains("a state dict holds one network"), "{error}");
    let heat = folder.path().join("heat");
    let image = squares().join("images/90.png");
    line(&format!("explain {} {} --out {}", out.display(), image.display(), heat.display())).done();

    // What exists is kept, and models that differ are refused by name.
    assert!(line(&combine).failed(1).contains("both.safetensors exists"));
    visage(training_with(&other, &["epochs=1", "input.size=40"])).done();
    let refused =
        format!("ensemble {} {} --out {}", first.display(), other.display(), folder.path().join("x").display());
    let error = line(&refused).failed(1);
    assert!(error.contains("other cannot be averaged with") && error.contains("how images are prepared"), "{error}");
}

#[test]
fn mirror_images_are_averaged_where_asked_and_remembered_by_calibration() {
    let (data, images) = (faces().display(), faces().join("Img"));
    let folder = folder();
    let model = folder.path().join("m.safetensors");
    let best = faces_run().join("best.safetensors");
    let [plain, flipped, none] = ["", "--tta flip", "--tta none"].map(|options| probabilities(&best, &images, options));
    assert_ne!(plain, flipped);
    assert_eq!(plain, none);
    let image = images.join("img_align_celeba/000001.jpg");
    let warned = |options: &str| {
        line(&format!("predict {} {} {options}", best.display(), image.display()))
            .stderr
            .contains("--tta none: `visage calibrate")
    };
    assert!(warned("--tta flip") && !warned("") && !warned("--tta none"));
    line(&format!("calibrate {} --data {data} --tta flip --out {}", best.display(), model.display())).done();
    assert_eq!(probabilities(&model, &images, ""), flipped);
    assert_eq!(probabilities(&model, &images, "--tta none"), plain);
    let found = line(&format!("evaluate {} --data {data} --json", model.display())).json();
    assert_eq!(found["test_time"], "flip");
    // The graph averages as well: the export compares its answers with the model's.
    let graph = folder.path().join("m.onnx");
    line(&format!("export {} --format onnx --raw-images --out {}", model.display(), graph.display())).done();
    let error = line(&format!("predict {} x.png --tta twice", best.display())).failed(2);
    assert!(error.contains("write `none` or `flip`"), "{error}");
}
