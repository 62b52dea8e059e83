//! `visage export`. `tests/onnx` checks the files with other programs.

use std::fs;

use crate::fixture::{folder, line, run, squares};

#[test]
fn an_onnx_file_is_checked_and_written() {
    let (folder, model) = (folder(), run().0.display());
    for raw in ["", "--raw-images", "--raw-images --any-size"] {
        let out = folder.path().join("model.onnx");
        let ran = line(&format!("export {model} --format onnx --out {} {raw}", out.display()));
        let output = ran.stderr.clone();
        ran.done();
        assert!(output.contains("checked on 4 sample images"), "{output}");
        let bytes = fs::read(&out).unwrap();
        for text in ["uses_to_avoid", "\"Red\"", "probabilities", "logits"] {
            assert!(bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
        }
        assert_eq!(bytes.windows(9).any(|window| window == b"Transpose"), !raw.is_empty());
    }
}

#[test]
fn visage_reads_the_state_dicts_it_writes() {
    let (folder, model) = (folder(), run().0.display());
    for extension in ["pth", "safetensors"] {
        let out = folder.path().join(format!("model.{extension}"));
        line(&format!("export {model} --format torch --out {}", out.display())).done();
        let output = line(&format!("weights {}", out.display())).done();
        assert!(output.contains("efficientnet-lite0"), "{output}");
    }
    // The safetensors file contains the card, so it is still a model file.
    let predict = |model: &str| {
        let image = squares().join("images/00.png");
        line(&format!("predict {model} {} --format csv", image.display())).done()
    };
    assert_eq!(predict(&folder.path().join("model.safetensors").display().to_string()), predict(&model.to_string()));
}

#[test]
fn wrong_options_are_refused() {
    let (folder, model) = (folder(), run().0.display());
    let out = folder.path().join("model.bin");
    let error = line(&format!("export {model} --format torch --out {}", out.display())).failed(1);
    assert!(error.contains("model.bin: a state dict is written as .pth, .pt or .safetensors"), "{error}");
    let error = line(&format!("export {model} --format torch --raw-images")).failed(2);
    assert!(error.contains("--raw-images goes with --format onnx"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_int8_graph_is_evaluated_beside_the_float_one() {
    let (folder, model, data) = (folder(), run().0.display(), squares().display());
    let [float, int8] = ["float.onnx", "int8.onnx"].map(|name| folder.path().join(name));
    line(&format!("export {model} --format onnx --out {}", float.display())).done();
    let output = line(&format!("export {model} --format onnx --int8 --data {data} --out {}", int8.display())).done();
    assert!(
        output
            .starts_with("in int8, calibrated on 16 images of the validation split, evaluated on 16 of the test split")
    );
    let most = output.lines().next().unwrap().rsplit(' ').nth(2).unwrap().parse::<f64>();
    assert!(most.is_ok_and(|most| most < 0.05), "{output}");
    let cells = |name: &str| -> Vec<f64> {
        let row = output.lines().find(|line| line.starts_with(name)).unwrap();
        row.split_whitespace().rev().take(3).map(|cell| cell.parse().unwrap()).collect()
    };
    let [difference, after, before] = cells("Accuracy")[..] else { panic!("{output}") };
    assert!((after - before - difference).abs() < 2e-4, "{output}");
    // The float model has the metrics of `evaluate`.
    let evaluated = line(&format!("evaluate {model} --data {data} --json")).json();
    let expected = evaluated["macro_average"]["accuracy"].as_f64().unwrap();
    assert!((before - expected).abs() < 1e-4, "{output}");
    let [float, int8] = [float, int8].map(|path| fs::read(path).unwrap());
    assert!(int8.len() * 3 < float.len(), "{} {}", int8.len(), float.len());
    assert!(int8.windows(16).any(|window| window == b"DequantizeLinear"));

    for (options, code, expected) in [
        (format!("--format torch --int8 --data {data}"), 2, "--int8 goes with --format onnx"),
        ("--format onnx --int8".to_owned(), 2, "--data <PATH>"),
        (format!("--format onnx --int8 --data {}/none.csv", folder.path().display()), 1, "none.csv"),
    ] {
        let error = line(&format!("export {model} {options} --out {}/x.onnx", folder.path().display())).failed(code);
        assert!(error.contains(expected), "{error}");
    }
    assert!(!folder.path().join("x.onnx").exists());
}
