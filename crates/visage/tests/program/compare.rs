//! `visage compare`.

use std::fs;

use serde_json::Value;

use crate::fixture::{faces, faces_run, folder, line, run, squares};

#[test]
fn runs_are_compared_side_by_side() {
    let (run, data) = (run().0.display(), squares().display());
    line(&format!("evaluate {run} --data {data}")).done();
    let folder = folder();
    // The same model, predicting nothing as present.
    let never = folder.path().join("never.json");
    line(&format!("evaluate {run} --data {data} --threshold 1 --out {}", never.display())).done();

    let table = line(&format!("compare {run} {} --attributes", never.display())).done();
    for expected in [
        "on 16 images of the test split",
        "macro average",
        "(majority class)",
        "never.json",
        "*",
        "never.json collapses: it predicts 0.00 % as present, where 50.00 % are",
        "never.json minus run",
        "95 % interval",
        "by accuracy (McNemar's exact test) and F1 (paired bootstrap)",
    ] {
        assert!(table.contains(expected), "{expected:?} in\n{table}");
    }
    let json: Value = line(&format!("compare {run} {} --json", never.display())).json();
    assert_eq!(json["split"], "test");
    assert_eq!(json["evaluations"], serde_json::json!(["run", "never.json"]));
    assert_eq!(json["macro_average"]["recall"]["values"][1], 0.0);
    let red = &json["attributes"][0];
    let interval: Vec<f64> = serde_json::from_value(red["recall"]["intervals"][0].clone()).unwrap();
    assert!(interval[0] <= interval[1] && interval[1] <= 0.0, "{interval:?}");
    assert!(red["changes"][0]["accuracy_p"].as_f64().unwrap() <= 1.0, "{red}");
    assert_eq!(json, line(&format!("compare {run} {} --json", never.display())).json(), "the same draws each time");

    // Nothing is published on squares.
    let output = line(&format!("compare {run} {} --published", never.display())).done();
    assert!(output.contains("there are no published results for these attributes"), "{output}");
    fs::remove_file(folder.path().join("never.predictions.safetensors")).unwrap();
    let output = line(&format!("compare {run} {}", never.display())).done();
    assert!(
        output.contains("no intervals and no tests") && output.contains("of never.json; evaluate again"),
        "{output}"
    );
    let garbage = folder.path().join("never.predictions.safetensors");
    fs::write(&garbage, b"garbage").unwrap();
    let error = line(&format!("compare {run} {}", never.display())).failed(1);
    assert!(error.contains("never.predictions.safetensors"), "{error}");
}

#[test]
fn runs_on_other_data_are_compared_on_common_images_or_refused() {
    let (run, data) = (&run().0, squares());
    let folder = folder();
    let out = |name: &str| folder.path().join(name).display().to_string();
    let evaluate = |data: &std::path::Path, out: &str| {
        line(&format!("evaluate {} --data {} --out {out}", run.display(), data.display())).done();
    };
    evaluate(data, &out("all.json"));
    let table = fs::read_to_string(data.join("labels.csv")).unwrap();
    let other = folder.path().join("other");
    fs::create_dir_all(other.join("images")).unwrap();
    for entry in fs::read_dir(data.join("images")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, other.join("images").join(path.file_name().unwrap())).unwrap();
    }

    // Without the first two of the sixteen test images.
    let fewer: Vec<&str> = table.lines().filter(|line| !line.contains("80.png") && !line.contains("81.png")).collect();
    fs::write(other.join("labels.csv"), fewer.join("\n")).unwrap();
    evaluate(&other, &out("fewer.json"));
    let output = line(&format!("compare {} {}", out("all.json"), out("fewer.json"))).done();
    for expected in
        ["on 14 images", "all.json without 2 images: not every run was evaluated on them", "no significant difference"]
    {
        assert!(output.contains(expected), "{expected:?} in\n{output}");
    }
    fs::remove_file(out("fewer.predictions.safetensors")).unwrap();
    let error = line(&format!("compare {} {}", out("all.json"), out("fewer.json"))).failed(1);
    assert!(error.contains("were evaluated on different data"), "{error}");

    // The same images, and other labels.
    let changed = table.replace("80.png,test,1", "80.png,test,0");
    assert_ne!(changed, table);
    fs::write(other.join("labels.csv"), changed).unwrap();
    evaluate(&other, &out("changed.json"));
    let error = line(&format!("compare {} {}", out("all.json"), out("changed.json"))).failed(1);
    assert!(error.contains("1 of the 30 they share differ"), "{error}");
}

#[test]
fn published_results_are_shown_beside_the_runs() {
    let (run, data) = (faces_run().display(), faces().display());
    line(&format!("evaluate {run} --data {data}")).done();
    let output = line(&format!("compare {run} {run} --published --attributes")).done();
    for expected in [
        "original ResNet-18 (published)",
        "original EfficientNet-B0 (published)",
        "published: MOON, mean accuracy 0.9094 on CelebA's test split",
        "Mustache: original EfficientNet-B0 (published) collapses",
        "CelebA's test split, not for these images",
    ] {
        assert!(output.contains(expected), "{expected:?} in\n{output}");
    }
    // The mean of the original project's figures, as published.
    assert!(output.lines().any(|line| line.contains("original ResNet-18") && line.contains("0.8814")), "{output}");
}

#[test]
fn incomparable_runs_are_refused() {
    let error = line(&format!("compare {} {}", faces_run().display(), run().0.display()));
    // Either the faces run was not evaluated, or another test has evaluated it and the attributes differ.
    let error = error.failed(1);
    let expected = format!("visage evaluate {} --data {}", faces_run().display(), faces().display());
    assert!(error.contains(&expected) || error.contains("are of different attributes"), "{error}");

    let folder = folder();
    let foreign = folder.path().join("x.json");
    fs::write(&foreign, "{\n}").unwrap();
    let error = line(&format!("compare {0} {0}", foreign.display())).failed(1);
    assert!(error.contains("x.json, line 2") && error.contains("not a metrics file"), "{error}");
    line(&format!("compare {}", run().0.display())).failed(2);
}
