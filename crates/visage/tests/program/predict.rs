//! `visage predict`.

use std::fs;

use serde_json::Value;

use crate::fixture::{folder, line, run, squares};

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
    let mut child = Command::new(crate::fixture::PROGRAM)
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
