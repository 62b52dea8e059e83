//! `visage predict`.

use std::fs;

use serde_json::Value;

use crate::fixture::{PROGRAM, folder, line, run, squares};

#[test]
fn folders_are_searched_and_a_broken_image_does_not_stop_the_rest() {
    let folder = folder();
    let inner = folder.path().join("b");
    fs::create_dir(&inner).unwrap();
    let copy = |from: &str, to: std::path::PathBuf| fs::copy(squares().join("images").join(from), to).map(|_| ());
    copy("00.png", folder.path().join("c.png")).unwrap();
    copy("01.png", inner.join("inner.PNG")).unwrap();
    fs::write(folder.path().join("a.jpg"), b"no picture").unwrap();
    fs::write(folder.path().join("notes.txt"), b"no picture either").unwrap();

    let (model, path) = (run().0.display(), folder.path().display());
    let ran = line(&format!("predict {model} {path} --format json"));
    let answers: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let images: Vec<&str> = answers.iter().map(|answer| answer["image"].as_str().unwrap()).collect();
    assert_eq!(images, [format!("{path}/b/inner.PNG"), format!("{path}/c.png")], "in sorted order");
    let red = &answers[1]["attributes"]["Red"];
    assert!((0.0..=1.0).contains(&red["probability"].as_f64().unwrap()) && red["present"].is_boolean(), "{red}");
    assert_eq!(answers[1]["attributes"].as_object().unwrap().keys().collect::<Vec<_>>().len(), 2);
    let error = ran.failed(1);
    for expected in
        [format!("cannot use {path}/a.jpg: not a readable JPEG"), "error: 1 of 3 images could not be used".to_owned()]
    {
        assert!(error.contains(&expected), "{expected:?} in\n{error}");
    }
}

#[test]
fn tables_and_csv() {
    let (model, images) = (run().0.join("best.safetensors"), squares().join("images"));
    let csv = line(&format!("predict {} {} --format csv", model.display(), images.display())).done();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!((lines[0], lines.len()), ("image,Red,Bright", 97));
    assert!(lines[1].starts_with(&format!("{}/00.png,0.", images.display())), "{}", lines[1]);
    let table = line(&format!("predict {} {}/00.png", model.display(), images.display())).done();
    assert_eq!(table.lines().count(), 1);
    // One image alone is answered as it is among others.
    let alone = line(&format!("predict {} {}/70.png --format csv", model.display(), images.display())).done();
    assert_eq!(alone.lines().nth(1), Some(lines[71]));
}

#[test]
fn a_reader_that_has_had_enough_ends_it_quietly() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};

    let images: Vec<_> = std::iter::repeat_n(squares().join("images"), 20).collect();
    let mut child = Command::new(PROGRAM)
        .args(["predict".into(), run().0.clone()])
        .args(images)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    // Dropping the reader closes the pipe.
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let status = child.wait().unwrap();
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert_eq!((status.code(), error.as_str()), (Some(0), ""));
}

#[test]
fn paths_are_read_from_standard_input_in_their_order() {
    let images = squares().join("images");
    let image = |name: &str| images.join(name).display().to_string();
    let typed = format!("{}\n\n{}\n", image("05.png"), image("02.png"));
    let output = assert_cmd::Command::new(PROGRAM)
        .arg("predict")
        .arg(&run().0)
        .args([&image("09.png"), "-", &image("00.png"), "--format", "csv"])
        .write_stdin(typed)
        .output()
        .unwrap();
    let csv = String::from_utf8(output.stdout).unwrap();
    let answered: Vec<&str> = csv.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    assert_eq!(answered, ["09.png", "05.png", "02.png", "00.png"].map(image));
}

#[test]
fn attributes_and_thresholds_are_chosen() {
    let (model, image) = (run().0.display(), squares().join("images/00.png"));
    let predict = |options: &str| line(&format!("predict {model} {} {options}", image.display()));
    let answers = |options: &str| -> Value {
        serde_json::from_str(&predict(&format!("--format json {options}")).done()).unwrap()
    };
    let all = answers("")["attributes"].clone();
    let names = |value: &Value| value["attributes"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();

    let bright = answers("--only Bright");
    assert_eq!(names(&bright), ["Bright"]);
    assert_eq!(bright["attributes"]["Bright"], all["Bright"]);
    let csv = [predict("--format csv").done(), predict("--format csv --only Bright,Red").done()];
    let cells =
        csv.each_ref().map(|csv| csv.lines().map(|line| line.split(',').collect::<Vec<_>>()).collect::<Vec<_>>());
    for (whole, turned) in cells[0].iter().zip(&cells[1]) {
        assert_eq!([turned[0], turned[2], turned[1]], whole[..]);
    }

    let probability = |name: &str| all[name]["probability"].as_f64().unwrap();
    let surest = if probability("Red") > probability("Bright") { "Red" } else { "Bright" };
    assert_eq!(names(&answers("--top 1")), [surest]);
    assert_eq!(names(&answers("--top 9")).len(), 2);
    // Whether present or not, the surest first.
    let table = predict("--top 2 --threshold 1").done();
    assert!(table.contains(&format!("  {surest} ")) && table.matches(", ").count() == 1, "{table}");

    assert!(predict("--threshold 1").done().ends_with("(none of its attributes)\n"));
    assert_eq!(answers("--threshold 0")["attributes"]["Red"]["present"], true);

    for (options, code, told) in [
        ("--only Blue", 1, "has no attribute \"Blue\"\n  help: it has Red, Bright"),
        ("--top 1 --format csv", 2, "--top goes with --format table or json"),
    ] {
        let error = predict(options).failed(code);
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn patterns_are_expanded_in_sorted_order() {
    let folder = folder();
    fs::create_dir(folder.path().join("b")).unwrap();
    for (from, to) in [("00.png", "z.png"), ("01.png", "b/y.png"), ("02.png", "[1].png"), ("03.png", "x.PNG")] {
        fs::copy(squares().join("images").join(from), folder.path().join(to)).unwrap();
    }
    let (model, path) = (run().0.display(), folder.path().display());
    let answered = |pattern: &str| {
        let csv = line(&format!("predict {model} {path}/{pattern} --format csv")).done();
        let image = |line: &str| line.split(',').next().unwrap().replace(&format!("{path}/"), "");
        csv.lines().skip(1).map(image).collect::<Vec<_>>()
    };
    assert_eq!(answered("*.png"), ["[1].png", "z.png"]);
    assert_eq!(answered("**/?.png"), ["b/y.png", "z.png"]);
    assert_eq!(answered("[1].png"), ["[1].png"], "a file of that very name");
    let error = line(&format!("predict {model} {path}/*.webp")).failed(1);
    assert!(error.contains("no images in") && error.contains("*.webp"), "{error}");
    let error = line(&format!("predict {model} {path}/a***b")).failed(2);
    assert!(error.contains("Pattern syntax error"), "{error}");
}
