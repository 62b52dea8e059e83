//! Images and their names as people have them: files that are cut short, other formats, links, odd names, and large images.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

use crate::fixture::{PROGRAM, Ran, folder, line, recipe, run, squares, visage};

/// A copy of the squares in which the images of these numbers are cut in half.
fn squares_with_cut_images(to: &Path, numbers: &[usize]) {
    fs::create_dir_all(to.join("images")).unwrap();
    fs::copy(squares().join("labels.csv"), to.join("labels.csv")).unwrap();
    for number in 0..96 {
        let name = format!("images/{number:02}.png");
        let mut content = fs::read(squares().join(&name)).unwrap();
        if numbers.contains(&number) {
            content.truncate(content.len() / 2);
        }
        fs::write(to.join(name), content).unwrap();
    }
}

fn copy_square(to: impl AsRef<Path>) {
    fs::copy(squares().join("images/05.png"), to).unwrap();
}

/// The images of the rows of a CSV.
fn answered(csv: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    reader.records().map(|row| row.unwrap()[0].to_owned()).collect()
}

/// Opening a pipe waits for whoever writes into it, and a device never ends.
#[test]
#[cfg(unix)]
fn only_regular_files_are_read() {
    let folder = folder();
    let images = folder.path().join("images");
    fs::create_dir_all(images.join("folder.jpg")).unwrap();
    copy_square(images.join("whole.png"));
    let pipe = |path: &Path| assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    pipe(&images.join("pipe.jpg"));
    fs::File::create(images.join("sparse.jpg")).unwrap().set_len(2 << 30).unwrap();
    std::os::unix::fs::symlink("/dev/zero", images.join("zeros.jpg")).unwrap();
    let model = run().0.display().to_string();
    for name in ["pipe.jpg", "zeros.jpg", "folder.jpg"] {
        let path = images.join(name);
        says(
            &line(&format!("explain {model} {} --out {}", path.display(), folder.path().join("x").display())).failed(1),
            &[name, "not a regular file"],
        );
    }
    let ran = line(&format!("predict {model} {} --format csv", images.display()));
    says(&ran.stderr, &["pipe.jpg", "zeros.jpg", "sparse.jpg", "2147483648 bytes"]);
    assert_eq!(answered(&ran.stdout).len(), 1, "{}", ran.stderr);
    let model = folder.path().join("model.safetensors");
    pipe(&model);
    for verb in ["predict", "explain"] {
        let whole = images.join("whole.png");
        says(
            &line(&format!("{verb} {} {}", model.display(), whole.display())).failed(1),
            &["model.safetensors", "not a regular file"],
        );
    }
}

/// Checks that standard error has each of these parts.
fn says(stderr: &str, parts: &[&str]) {
    for part in parts {
        assert!(stderr.contains(part), "{part:?} in\n{stderr}");
    }
}

#[test]
fn a_prediction_from_a_file_that_is_cut_short_needs_the_option() {
    let home = folder();
    squares_with_cut_images(home.path(), &[2]);
    let (model, images) = (run().0.display(), home.path().join("images"));
    let [whole, cut] = ["01.png", "02.png"].map(|name| images.join(name).display().to_string());
    let command = format!("predict {model} {whole} {cut} --format csv");
    let ran = line(&command);
    assert_eq!(answered(&ran.stdout), [whole.as_str()]);
    let error = ran.failed(1);
    says(&error, &[&format!("cannot use {cut}: the file is cut short"), "--allow-truncated", "1 of 2 images"]);

    let ran = line(&format!("{command} --allow-truncated"));
    says(&ran.stderr, &[&format!("warning: {cut} is cut short"), "warning: 1 image cut short"]);
    assert_eq!(answered(&ran.done()), [whole, cut.clone()]);

    let out = home.path().join("explanation");
    let explain = format!("explain {model} {cut} --out {}", out.display());
    let error = line(&explain).failed(1);
    says(&error, &["02.png", "the file is cut short", "--allow-truncated"]);
    let ran = line(&format!("{explain} --allow-truncated"));
    says(&ran.stderr, &["02.png is cut short"]);
    ran.done();
}

#[test]
fn a_dataset_with_files_that_are_cut_short_needs_the_option() {
    let home = folder();
    let (data, out) = (home.path().join("data"), home.path().join("run"));
    squares_with_cut_images(&data, &[5, 90]);
    let data = data.display();
    let train = format!("train {} --data {data} --out {} --set epochs=1", recipe().display(), out.display());
    let error = line(&train).failed(1);
    says(&error, &["cannot use image `images/05.png`", "the file is cut short", "--allow-truncated"]);
    fs::remove_dir_all(&out).unwrap();
    let ran = line(&format!("{train} --skip-bad-images"));
    says(&ran.stderr, &["2 of 96 images are left out", "images/05.png: the file is cut short"]);
    ran.done();
    fs::remove_dir_all(&out).unwrap();
    let ran = line(&format!("{train} --allow-truncated"));
    says(&ran.stderr, &["warning: 1 image cut short", "images/05.png"]);
    ran.done();

    // The run goes on as it began.
    let record: Value = serde_json::from_slice(&fs::read(out.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["data"]["allow_truncated"], true);
    line(&format!("train --resume --out {} --data {data} --accept-changes --set epochs=2", out.display())).done();

    let evaluate = format!("evaluate {} --data {data}", out.display());
    says(&line(&evaluate).failed(1), &["images/90.png", "--allow-truncated"]);
    let ran = line(&format!("{evaluate} --allow-truncated"));
    says(&ran.stderr, &["warning: 1 image cut short", "images/90.png"]);
    ran.done();

    let pack = format!("data pack {data} {} --recipe {}", home.path().join("a.pack").display(), recipe().display());
    says(&line(&pack).failed(1), &["images/05.png", "--allow-truncated"]);
    let ran = line(&format!("{pack} --allow-truncated"));
    says(&ran.stderr, &["warning: 2 images cut short"]);
    ran.done();
    let ran = line(&format!("data verify {data}"));
    says(&ran.stdout, &["94 decoded", "error: image files that are cut short", "images/05.png"]);
    ran.failed(1);
    says(&line(&format!("data verify {data} --allow-truncated")).stdout, &["remark: image files that are cut short"]);
}

#[cfg(unix)]
#[test]
fn every_image_of_a_folder_is_answered_or_reported() {
    use std::os::unix::fs::symlink;

    let home = folder();
    let photos = home.path().join("photos");
    for inner in ["", ".Trash", ".ipynb_checkpoints", "__MACOSX", "odd[1]"] {
        fs::create_dir_all(photos.join(inner)).unwrap();
    }
    fs::create_dir(home.path().join("elsewhere")).unwrap();
    for name in ["a.png", "._a.png", ".Trash/b.png", ".ipynb_checkpoints/c.png", "__MACOSX/d.png", "odd[1]/e.PNG"] {
        copy_square(photos.join(name));
    }
    copy_square(home.path().join("elsewhere/f.png"));
    fs::write(photos.join("g.heic"), b"\0\0\0\x24ftypheic\0\0\0\0mif1heic").unwrap();
    fs::write(photos.join("notes.txt"), b"no picture").unwrap();
    let picture = image::open(photos.join("a.png")).unwrap();
    picture.to_rgb8().save_with_format(photos.join("h.jfif"), image::ImageFormat::Jpeg).unwrap();
    symlink(home.path().join("elsewhere"), photos.join("linked")).unwrap();
    symlink("..", home.path().join("elsewhere/up")).unwrap();
    symlink(&photos, photos.join("odd[1]/again")).unwrap();
    symlink("nowhere.jpg", photos.join("lost.jpg")).unwrap();

    let (model, path) = (run().0.display(), photos.display());
    let names =
        |csv: &str| -> Vec<String> { answered(csv).iter().map(|name| name.replace(&format!("{path}/"), "")).collect() };
    let ran = line(&format!("predict {model} {path} --format csv"));
    assert_eq!(names(&ran.stdout), ["a.png", "h.jfif", "linked/f.png", "odd[1]/e.PNG"], "each once");
    let error = ran.failed(1);
    says(
        &error,
        &["g.heic: HEIC images are not read: convert it", "lost.jpg: ", "passed by 1 file without", "2 of 6 images"],
    );

    // A folder of that very name, before the name is a pattern.
    let csv = line(&format!("predict {model} {path}/odd[1]/*.PNG {path}/a.png --format csv")).done();
    assert_eq!(names(&csv), ["odd[1]/e.PNG", "a.png"]);
    let ran = line(&format!("predict {model} {path}/none[1].png {path}/a.png {path}/*.gif --format csv"));
    assert_eq!(names(&ran.stdout), ["a.png"]);
    says(&ran.failed(1), &["no images in", "none[1].png", "*.gif", "2 of 3 images"]);
}

/// Runs `visage predict` on the paths of `lines`, one per line of standard input.
#[cfg(unix)]
fn predict_lines(lines: &[u8], options: &[&str]) -> Ran {
    let output = Command::new(PROGRAM).arg("predict").arg(&run().0).arg("-").args(options).write_stdin(lines).output();
    let output = output.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

// File systems of Linux take any bytes; those of macOS do not.
#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf_8_stay_apart() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let home = folder();
    let names: [&[u8]; 3] = [b"J\xFCrgen.png", b"J\xFErgen.png", br"J\xfcrgen.png"];
    let paths: Vec<PathBuf> = names.iter().map(|name| home.path().join(OsStr::from_bytes(name))).collect();
    paths.iter().for_each(copy_square);
    let escaped =
        [r"J\\xfcrgen.png", r"J\xfcrgen.png", r"J\xfergen.png"].map(|name| format!("{}/{name}", home.path().display()));
    let model = run().0.display().to_string();
    for ending in ["csv", "jsonl", "txt"] {
        let out = folder();
        let rows = out.path().join(format!("rows.{ending}"));
        let arguments = ["predict", &model, home.path().to_str().unwrap(), "--output", rows.to_str().unwrap()];
        visage(arguments).done();
        let whole = fs::read_to_string(&rows).unwrap();
        // Of the last row only its beginning is left: that image alone is answered again.
        fs::write(&rows, &whole[..whole.len() - 4]).unwrap();
        let ran = visage(arguments);
        says(&ran.stderr, &["added 1 row to ", ", which had 2"]);
        ran.done();
        assert_eq!(fs::read_to_string(&rows).unwrap(), whole);
        if ending == "csv" {
            assert_eq!(answered(&whole), escaped);
        }
    }

    // A bad line fails alone.
    let missing = home.path().join(OsStr::from_bytes(b"\xFF[.png"));
    let lines: Vec<&[u8]> = vec![
        paths[1].as_os_str().as_bytes(),
        b"",
        missing.as_os_str().as_bytes(),
        b"a***b",
        b"/nowhere.png\r",
        paths[0].as_os_str().as_bytes(),
    ];
    let ran = predict_lines(&lines.join(&b'\n'), &["--format", "csv"]);
    assert_eq!(answered(&ran.stdout), [escaped[2].clone(), escaped[1].clone()]);
    says(
        &ran.failed(1),
        &[r"\xff[.png: No such file", "Pattern syntax error", "/nowhere.png: No such file", "3 of 5 images"],
    );
}

/// The beginning of a PNG file of this size, in 8-bit grey or colour.
fn png_header(width: u32, height: u32, colour: u8) -> Vec<u8> {
    let sides = [width.to_be_bytes(), height.to_be_bytes()].concat();
    [b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR", sides.as_slice(), &[8, colour, 0, 0, 0]].concat()
}

#[cfg(target_os = "linux")]
#[test]
fn an_image_that_needs_more_memory_than_there_is_is_refused_with_a_message() {
    let home = folder();
    let path = |name: &str| home.path().join(name).display().to_string();
    fs::write(path("huge.png"), png_header(30_000, 30_000, 2)).unwrap();
    fs::write(path("large.png"), png_header(16_000, 16_000, 0)).unwrap();
    copy_square(path("small.png"));
    let predict = format!("{PROGRAM} predict {} {} --format csv --threads 2", run().0.display(), home.path().display());
    let output = Command::new("sh").args(["-c", &format!("ulimit -v 1000000; exec {predict}")]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    says(
        &error,
        &[
            "huge.png: the image is 30000x30000 pixels, 2.7 GB when decoded, and images are decoded up to 537 MB",
            "large.png: the image is 16000x16000 pixels, which needs 1.0 GB to decode; ",
            "MB is available",
            "2 of 3 images",
        ],
    );
    assert_eq!(answered(&String::from_utf8(output.stdout).unwrap()), [path("small.png")]);
}
