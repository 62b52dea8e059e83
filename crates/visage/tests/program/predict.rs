//! `visage predict`.

use std::fs;
use std::io::Write as _;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
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
fn images_that_cannot_be_used_are_counted() {
    let model = run().0.display();
    let error = line(&format!("predict {model} nofile.jpg")).failed(1);
    assert!(error.contains("error: the image could not be used"), "{error}");
    let error = line(&format!("predict {model} nofile.jpg neither.jpg")).failed(1);
    assert!(error.contains("error: none of the 2 images could be used"), "{error}");
}

#[test]
fn a_file_of_a_format_that_is_not_written_is_refused() {
    let (folder, model, image) = (folder(), run().0.display(), squares().join("images/00.png"));
    let (image, data, at) = (image.display(), squares().display(), folder.path().display());
    for (command, written) in [
        (format!("predict {model} {image} --output {at}/w.xlsx"), ".csv, .json, .jsonl, .ndjson, .parquet or .txt"),
        (format!("evaluate {model} --data {data} --out {at}/w.csv"), ".json"),
        (format!("evaluate {model} --data {data} --json {at}/w.txt"), ".json"),
        (format!("export {model} --format onnx --out {at}/w.pth"), ".onnx"),
        (format!("card {model} --out {at}/w.html"), ".md, .markdown or .txt"),
        (format!("calibrate {model} --data {data} --out {at}/w.onnx"), ".safetensors"),
        (format!("ensemble {model} {model} --out {at}/w.onnx"), ".safetensors"),
        (format!("report {model} --out {at}/w.html"), "name a folder"),
        (format!("explain {model} {image} --out {at}/w.png"), "name a folder"),
        (format!("audit {model} --data {data} --out {at}/w.csv"), "name a folder"),
        (format!("data convert {data} {at}/w.csv --to csv"), ".zip"),
        (format!("data convert {data} {at}/w.csv --to celeba"), "name a folder"),
        (format!("data preview {data} --recipe baseline --out {at}/w.png"), ".html or .htm"),
        (format!("lr-find baseline --data {data} --csv {at}/w.xlsx"), ".csv"),
    ] {
        let error = line(&command).failed(2);
        assert!(error.contains(written), "{command}: {written:?} in\n{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
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
    // An image has the same prediction alone as in a batch.
    let alone = line(&format!("predict {} {}/70.png --format csv", model.display(), images.display())).done();
    assert_eq!(alone.lines().nth(1), Some(lines[71]));
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
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
fn attributes_and_thresholds_are_selected() {
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
    // Whether present or not, the most probable first.
    let table = predict("--top 2 --threshold 1").done();
    assert!(table.contains(&format!("  {surest} ")) && table.matches(", ").count() == 1, "{table}");

    assert!(predict("--threshold 1").done().ends_with("(none of its attributes)\n"));
    assert_eq!(answers("--threshold 0")["attributes"]["Red"]["present"], true);

    for (options, code, expected) in [
        ("--only Blue", 1, "has no attribute \"Blue\"\n  help: it has Red, Bright"),
        ("--top 1 --format csv", 2, "--top goes with --format table or json"),
    ] {
        let error = predict(options).failed(code);
        assert!(error.contains(expected), "{error}");
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

/// The images of the squares in an archive, without compression.
fn archive(path: &std::path::Path, names: &[&str]) {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for name in names {
        zip.start_file(format!("faces/{name}"), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&fs::read(squares().join("images").join(name)).unwrap()).unwrap();
    }
    zip.start_file("__MACOSX/faces/._00.png", zip::write::SimpleFileOptions::default()).unwrap();
    zip.start_file("readme.txt", zip::write::SimpleFileOptions::default()).unwrap();
    zip.finish().unwrap();
}

#[test]
fn images_in_an_archive_are_predicted_like_those_in_a_folder() {
    let folder = folder();
    let zip = folder.path().join("some.zip");
    archive(&zip, &["07.png", "03.png"]);
    let (model, images) = (run().0.display(), squares().join("images"));
    let rows = |what: &str| {
        let csv = line(&format!("predict {model} {what} --format csv")).done();
        csv.lines().skip(1).map(|row| row.split_once(',').unwrap()).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    };
    let inside: Vec<(String, String)> = rows(&zip.display().to_string());
    let beside: Vec<(String, String)> = rows(&format!("{0}/03.png {0}/07.png", images.display()));
    let name = |name: &str| format!("{}/faces/{name}", zip.display());
    assert_eq!(inside[0].0, name("03.png"), "sorted");
    assert_eq!(inside[1].0, name("07.png"));
    assert!(inside.iter().map(|row| &row.1).eq(beside.iter().map(|row| &row.1)));

    // The same on resuming, for which the first image is predicted again.
    let command = format!("predict {model} {} --output {}", zip.display(), folder.path().join("rows.csv").display());
    line(&command).done();
    let ran = line(&command);
    assert!(ran.stderr.contains("added 0 rows to ") && ran.stderr.contains(", which had 2"), "{}", ran.stderr);
    ran.done();

    fs::write(&zip, b"<html>quota exceeded").unwrap();
    let error = line(&format!("predict {model} {}", zip.display())).failed(1);
    assert!(error.contains("some.zip"), "{error}");
}

#[test]
fn an_interrupted_output_file_is_resumed() {
    let folder = folder();
    let (model, images) = (run().0.display(), squares().join("images"));
    for (format, ending) in [("csv", "csv"), ("json", "jsonl"), ("table", "txt")] {
        let path = folder.path().join(format!("rows.{ending}"));
        let whole = line(&format!("predict {model} {} --format {format}", images.display())).done();
        // The extension selects the format.
        let command = format!("predict {model} {} --output {}", images.display(), path.display());
        let ran = line(&command);
        assert!(ran.stderr.contains("wrote 96 rows to "), "{}", ran.stderr);
        assert_eq!(ran.done(), "", "rows are in the file alone");
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);

        // Cut within the row of the twentieth image: that row is dropped and written again, and no other is.
        let cut = whole.find("19.png").unwrap() + "19.png".len() + 4;
        fs::write(&path, &whole[..cut]).unwrap();
        let ran = line(&command);
        assert!(ran.stderr.contains("added 77 rows to ") && ran.stderr.contains(", which had 19"), "{}", ran.stderr);
        ran.done();
        assert_eq!(fs::read_to_string(&path).unwrap(), whole, "in their order");

        let ran = line(&command);
        assert!(ran.stderr.contains("added 0 rows to ") && ran.stderr.contains(", which had 96"), "{}", ran.stderr);
        ran.done();
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
        assert!(fs::read_dir(folder.path()).unwrap().count() <= 3, "nothing is left beside them");

        // Rows of other options must not be mixed in.
        let error = line(&format!("{command} --threshold 0.999 --only Red")).failed(1);
        assert!(error.contains("other predictions for") || error.contains("other columns"), "{error}");
        fs::write(&path, "no row\n").unwrap();
        let error = line(&command).failed(1);
        assert!(error.contains("other columns") || error.contains("line 1: this is not a row"), "{error}");
    }
}

#[test]
fn new_and_repaired_images_are_added() {
    let folder = folder();
    let (model, path) = (run().0.display(), folder.path().join("rows.csv"));
    let images = folder.path().join("images");
    fs::create_dir(&images).unwrap();
    let add = |name: &str| fs::copy(squares().join("images/05.png"), images.join(name)).map(|_| ()).unwrap();
    add("b.png");
    add("d, \"quoted\"\n.png");
    fs::write(images.join("c.png"), b"no picture").unwrap();
    let command = format!("predict {model} {} --output {}", images.display(), path.display());
    let error = line(&command).failed(1);
    assert!(error.contains("1 of 3 images could not be used"), "{error}");
    add("a.png");
    add("c.png");
    let ran = line(&command);
    assert!(ran.stderr.contains("added 2 rows to ") && ran.stderr.contains(", which had 2"), "{}", ran.stderr);
    ran.done();
    let mut csv = csv::Reader::from_path(&path).unwrap();
    let names: Vec<String> = csv.records().map(|row| row.unwrap()[0].rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["b.png", "d, \"quoted\"\n.png", "a.png", "c.png"]);
}

#[test]
fn parquet_is_written_at_the_end() {
    let folder = folder();
    let (model, images) = (run().0.display(), squares().join("images"));
    let path = folder.path().join("rows.parquet");
    let command = format!("predict {model} {} --output {}", images.display(), path.display());
    let csv = line(&format!("predict {model} {} --format csv", images.display())).done();
    // The rows that an interrupted command collected.
    let waiting = folder.path().join("rows.parquet.rows.csv");
    fs::write(&waiting, &csv[..csv.len() / 2]).unwrap();
    let ran = line(&command);
    assert!(ran.stderr.contains("rows.parquet, which had "), "{}", ran.stderr);
    ran.done();
    assert!(!waiting.exists());

    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let rows: Vec<String> = reader
        .get_row_iter(None)
        .unwrap()
        .map(|row| {
            let row = row.unwrap();
            format!("{},{},{}", row.get_string(0).unwrap(), row.get_float(1).unwrap(), row.get_float(2).unwrap())
        })
        .collect();
    assert_eq!(rows, csv.lines().skip(1).collect::<Vec<_>>());
    let names: Vec<_> =
        reader.metadata().file_metadata().schema().get_fields().iter().map(|f| f.name().to_owned()).collect();
    assert_eq!(names, ["image", "Red", "Bright"]);

    let error = line(&command).failed(1);
    assert!(error.contains("already exists and is complete"), "{error}");
    let error = line(&format!("predict {model} {} --format parquet", images.display())).failed(2);
    assert!(error.contains("name it with --output"), "{error}");
}

#[test]
fn annotated_copies_are_written_and_images_stay_unchanged() {
    let folder = folder();
    let model = run().0.display();
    let images = folder.path().join("images");
    fs::create_dir(&images).unwrap();
    fs::copy(squares().join("images/00.png"), images.join("a.png")).unwrap();
    image::open(images.join("a.png")).unwrap().save(images.join("b.bmp")).unwrap();
    let copies = folder.path().join("copies");
    line(&format!("predict {model} {} --annotate {} --top 2", images.display(), copies.display())).done();
    let below = copies.join(images.strip_prefix("/").unwrap());
    let png = image::open(below.join("a.png")).unwrap().into_rgb8();
    let original = image::open(images.join("a.png")).unwrap().into_rgb8();
    // 40x36, enlarged six times to hold text.
    assert_eq!((png.width(), original.width()), (240, 40));
    assert!(png.height() > 216 + 2 * 12);
    assert!((0..40).all(|x| (0..36).all(|y| png.get_pixel(6 * x + 3, 6 * y + 3) == original.get_pixel(x, y))));
    assert!((216..png.height()).any(|y| (0..240).any(|x| png.get_pixel(x, y).0[0] > 200)), "words");
    assert_eq!(image::open(below.join("b.bmp.jpg")).unwrap().width(), 240);

    // A copy never replaces its image.
    let bytes = fs::read(images.join("a.png")).unwrap();
    let error = std::process::Command::new(PROGRAM)
        .args(["predict", &fs::canonicalize(&run().0).unwrap().display().to_string(), "a.png", "--annotate", "."])
        .current_dir(&images)
        .output()
        .unwrap();
    assert_eq!(error.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&error.stderr).contains("is the image itself"));
    assert_eq!(fs::read(images.join("a.png")).unwrap(), bytes);
}
