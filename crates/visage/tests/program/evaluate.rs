//! `visage train`, `visage evaluate`.

use std::fs;

use serde_json::Value;

use crate::fixture::{faces, faces_run, folder, line, run, squares};

#[test]
fn training_reports_progress_and_fills_the_run_folder() {
    let (run, stdout, stderr) = run();
    for expected in [
        "recipe squares: efficientnet-lite0",
        "64 training and 16 validation images of squares",
        "initial weights: random",
        "epoch 3 of 3",
    ] {
        assert!(stderr.contains(expected), "{expected:?} in\n{stderr}");
    }
    assert!(!stderr.contains('\x1b') && !stderr.contains('\r'), "no control characters off a terminal: {stderr:?}");
    assert!(stdout.contains(&format!("next: visage evaluate {} --data", run.display())), "{stdout}");
    for file in ["recipe.toml", "run.json", "steps.csv", "epochs.csv", "last.safetensors", "best.safetensors"] {
        assert!(run.join(file).is_file(), "{file}");
    }
    let record: Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["status"], "finished");
    assert_eq!(fs::read_to_string(run.join("steps.csv")).unwrap().lines().count(), 1 + 24);
}

#[test]
fn evaluation_prints_a_table_and_writes_the_metrics() {
    let (run, data) = (&run().0, squares().display());
    let table = line(&format!("evaluate {} --data {data}", run.display())).done();
    for expected in [
        "16 images of the test split of squares",
        "Attribute",
        "Bright",
        "macro average",
        "mean, undefined as 0",
        "majority class",
        "95 % interval: from",
    ] {
        assert!(table.contains(expected), "{expected:?} in\n{table}");
    }
    let written: Value = serde_json::from_slice(&fs::read(run.join("metrics-test.json")).unwrap()).unwrap();
    let printed = line(&format!("evaluate {} --data {data} --json --threads 1", run.display())).json();
    assert_eq!(written, printed, "with any number of threads");
    let dash = line(&format!("evaluate {} --data {data} --json -", run.display())).json();
    assert_eq!(written, dash);
    assert_eq!(written["images"], 16);
    assert!(run.join("predictions-test.safetensors").is_file());
    let recall = &written["macro_average"]["recall"];
    let interval = &written["intervals"]["macro_average"]["recall"];
    assert!(
        interval[0].as_f64() <= recall.as_f64() && recall.as_f64() <= interval[1].as_f64(),
        "{recall} in {interval}"
    );
    // Two of the sixteen have an unknown label, which is left out.
    assert_eq!(written["attributes"][1]["support"], 14);
    assert!(written["macro_average"]["average_precision"].is_number(), "{}", written["macro_average"]);

    let folder = folder();
    let (out, json) = (folder.path().join("m.json"), folder.path().join("j.json"));
    let model = run.join("last.safetensors");
    let always = format!("--threshold 0 --split val --out {} --json {}", out.display(), json.display());
    line(&format!("evaluate {} --data {data} {always}", model.display())).done();
    assert_eq!(fs::read(&out).unwrap(), fs::read(&json).unwrap());
    let always: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert_eq!((&always["split"], &always["macro_average"]["recall"]), (&"validation".into(), &1.0.into()));
}

#[test]
fn groups_are_evaluated_separately() {
    let found =
        line(&format!("evaluate {} --data {} --json --group-by Male,Young", faces_run().display(), faces().display()))
            .json();
    let groups = found["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 4);
    let images = |group: &Value| group["images"].as_u64().unwrap();
    for pair in groups.chunks(2) {
        assert_eq!(pair[0]["group"], pair[1]["group"]);
        assert_eq!((&pair[0]["value"], &pair[1]["value"]), (&"present".into(), &"absent".into()));
        assert_eq!(images(&pair[0]) + images(&pair[1]), found["images"].as_u64().unwrap());
    }
    let gaps = found["gaps"].as_array().unwrap();
    // The mean and 39 attributes, for three criteria and two groupings.
    assert_eq!(gaps.len(), 2 * 3 * 40);
    assert!(gaps.iter().all(|gap| gap["attribute"] != gap["group"]));
    assert!(groups[0]["too_small"].is_boolean() && groups[0]["intervals"].is_object(), "{}", groups[0]);
    let table =
        line(&format!("evaluate {} --data {} --group-by Male", faces_run().display(), faces().display())).done();
    for expected in ["too few to tell", "gaps between groups", "recall (equal opportunity)", "demographic parity"] {
        assert!(table.contains(expected), "{expected:?} in\n{table}");
    }
    let error =
        line(&format!("evaluate {} --data {} --group-by Tall", faces_run().display(), faces().display())).failed(1);
    assert!(
        error.contains("faces has no attribute and no text column Tall")
            && error.contains("help: it has 5_o_Clock_Shadow"),
        "{error}"
    );
}

#[test]
fn a_text_column_makes_groups() {
    let folder = folder();
    let table = fs::read_to_string(squares().join("labels.csv")).unwrap();
    let image = |name: &str| squares().join(name).display().to_string();
    let with_column = table.lines().enumerate().map(|(number, line)| match line.split_once(',') {
        Some(("image", rest)) => format!("image,{rest},age_band,who\n"),
        Some((name, rest)) => {
            let band = ["18-29", "30-44", "45+", ""][number % 4];
            format!("{},{rest},{band},number {number}\n", image(name))
        }
        None => String::new(),
    });
    let labels = folder.path().join("labels.csv");
    fs::write(&labels, with_column.collect::<String>()).unwrap();
    let (run, data) = (run().0.display(), labels.display());
    let output = line(&format!("data inspect {data}")).done();
    assert!(
        output.contains("2 attributes") && output.contains("Text columns, for `visage evaluate --group-by`"),
        "{output}"
    );
    assert!(output.contains("30-44") && output.contains("and 76 more"), "{output}");

    let evaluate = format!("evaluate {run} --data {data} --out {}", folder.path().join("m.json").display());
    let found = line(&format!("{evaluate} --group-by age_band,Red --json")).json();
    let groups = found["groups"].as_array().unwrap();
    let output: Vec<(&str, u64)> =
        groups.iter().map(|group| (group["value"].as_str().unwrap(), group["images"].as_u64().unwrap())).collect();
    assert_eq!(output, [("18-29", 4), ("30-44", 4), ("45+", 4), ("present", 8), ("absent", 8)]);
    // Three values against the others, by three criteria, each a mean and two attributes; then Red by one less.
    assert_eq!(found["gaps"].as_array().unwrap().len(), 3 * 3 * 3 + 3 * 2);
    assert_eq!(found["gaps"][0]["other"], "the others");
    let table = line(&format!("{evaluate} --group-by age_band")).done();
    assert!(table.contains("age_band: 45+") && table.contains("(too few to tell)"), "{table}");
    let error = line(&format!("{evaluate} --group-by who --split train --force")).failed(1);
    assert!(error.contains("who would make 64 groups: at most 50"), "{error}");
    let error = line(&format!("{evaluate} --group-by height")).failed(1);
    assert!(error.contains("no text column height") && error.contains("it has Red, Bright, age_band, who"), "{error}");
}

#[test]
fn splits_missing_from_a_table_are_drawn_and_remembered() {
    let folder = folder();
    let table = fs::read_to_string(squares().join("labels.csv")).unwrap();
    let image = |name: &str| squares().join(name).display().to_string();
    let without_split = table.lines().map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let first = if fields[0] == "image" { "image".to_owned() } else { image(fields[0]) };
        format!("{first},{},{}\n", fields[2], fields[3])
    });
    let labels = folder.path().join("labels.csv");
    fs::write(&labels, without_split.collect::<String>()).unwrap();
    let (run, data) = (folder.path().join("run"), labels.display());
    let set = "--set epochs=1 --set input.size=32";
    let ran = line(&format!("train baseline --data {data} --out {} {set}", run.display()));
    assert!(ran.stderr.contains("labels assigns no splits: drew 80 %"), "{}", ran.stderr);
    ran.done();
    let found = line(&format!("evaluate {} --data {data} --json", run.display())).json();
    assert!((5..=15).contains(&found["images"].as_u64().unwrap()), "{}", found["images"]);

    fs::write(&labels, format!("image,Red,Bright\n{},1,1\n", image("images/00.png"))).unwrap();
    let ran = line(&format!("evaluate {} --data {data}", run.display()));
    for said in ["labels assigns no splits: all are used: 1 image", "cannot be drawn again", "the results are too good"]
    {
        assert!(ran.stderr.contains(said), "{said:?} in {}", ran.stderr);
    }
    ran.done();
    fs::write(&labels, format!("image,split,Red,Bright\n{},train,1,1\n", image("images/00.png"))).unwrap();
    let error = line(&format!("evaluate {} --data {data}", run.display())).failed(1);
    assert!(error.contains("labels has no test images") && error.contains("--split all"), "{error}");
}

#[test]
fn broken_rules_are_counted_and_consistent_predictions_break_none() {
    let (run, data) = (faces_run().display(), faces().display());
    let folder = folder();
    let out = folder.path().join("m.json");
    let evaluate = format!("evaluate {run} --data {data} --threshold 0 --out {}", out.display());
    // Images with every attribute break every rule.
    let found = line(&format!("{evaluate} --json")).json();
    let consistency = &found["consistency"];
    assert_eq!(consistency["predictions"], found["images"]);
    let rules = consistency["rules"].as_array().unwrap();
    assert_eq!((rules.len(), &rules[0]["rule"]), (9, &"Goatee => not No_Beard".into()));
    assert_eq!(rules[0]["labels"], 0, "beards are drawn by the rules and labelled without noise");

    // Consistent predictions break no rule, and score differently.
    let mended = line(&format!("{evaluate} --consistent --json")).json();
    assert_eq!(mended["macro_average"], found["macro_average"], "the plain predictions do not change");
    let consistent = &mended["consistent"];
    assert_eq!(consistent["images_changed"], found["images"]);
    let rate = |scores: &Value| scores["predicted_positive_rate"].as_f64().unwrap();
    let goatee =
        consistent["attributes"].as_array().unwrap().iter().find(|each| each["attribute"] == "Goatee").unwrap();
    let beardless =
        consistent["attributes"].as_array().unwrap().iter().find(|each| each["attribute"] == "No_Beard").unwrap();
    assert!(rate(goatee) + rate(beardless) <= 1.0 + 1e-9, "{goatee} {beardless}");
    let output = line(&format!("{evaluate} --consistent")).done();
    assert!(
        output.contains("consistent predictions beside the plain ones; they differ on 12 of 12 images"),
        "{output}"
    );
    let error =
        line(&format!("evaluate {} --data {} --consistent", crate::fixture::run().0.display(), squares().display()))
            .failed(1);
    assert!(error.contains("no rules about this model's attributes"), "{error}");

    let rules = folder.path().join("rules.toml");
    fs::write(&rules, "rules = [\"Male => not Male\", \"not Smiling => Young\"]").unwrap();
    let output = line(&format!("{evaluate} --rules {}", rules.display())).done();
    assert!(output.contains("not Smiling => Young"), "{output}");
    let images = faces().join("Img/img_align_celeba");
    let predict = format!("predict {run} {} --consistent --format csv", images.display());
    let answers = line(&format!("{predict} --rules {}", rules.display())).done();
    let mut lines = answers.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let column = |name: &str| header.iter().position(|heading| *heading == name).unwrap();
    let (male, smiling, young) = (column("Male"), column("Smiling"), column("Young"));
    assert!(lines.all(|line| line[male] == "0" && (line[smiling] == "1" || line[young] == "1")));

    fs::write(&rules, "rules = [\"Male => Tall\"]").unwrap();
    let error = line(&format!("{evaluate} --rules {}", rules.display())).failed(1);
    assert!(error.contains("rules.toml") && error.contains("\"Tall\""), "{error}");
    let error =
        line(&format!("predict {} {} --consistent", crate::fixture::run().0.display(), images.display())).failed(1);
    assert!(error.contains("no rules about this model's attributes"), "{error}");
}
