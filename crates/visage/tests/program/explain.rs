//! `visage explain`. `visage-model/tests/golden` and the example `heat_in_regions` check the heat maps themselves.

use std::fs;
use std::path::Path;

use crate::fixture::{folder, line, run, squares, training_with, visage};
use crate::resume::copy;

#[test]
fn heat_maps_are_written_as_pictures_and_as_a_page() {
    let (folder, model) = (folder(), run().0.display());
    let (image, out) = (squares().join("images/00.png"), folder.path().join("explained"));
    for (method, named) in [
        ("grad-cam", "Grad-CAM ("),
        ("grad-cam++", "Grad-CAM++ ("),
        ("score-cam", "Score-CAM ("),
        ("layer-cam", "LayerCAM ("),
    ] {
        let command = format!("explain {model} {} --attribute Red --attribute Bright", image.display());
        let output = line(&format!("{command} --method {method} --out {}", out.display())).done();
        let lines: Vec<&str> = output.lines().collect();
        assert!(lines[0].starts_with("Attribute") && lines.len() == 3, "{output}");
        assert!(lines[1].starts_with("Red") && lines[1].ends_with("Red.png"), "in the order of the options: {output}");
        for name in ["Red", "Bright"] {
            let picture = image::open(out.join(format!("{name}.png"))).unwrap();
            assert_eq!((picture.width(), picture.height()), (320, 320), "32 pixels, enlarged");
        }
        let json = line(&format!("{command} --method {method} --out {} --json", out.display())).json();
        assert_eq!(json["attributes"][0]["picture"], out.join("Red.png").to_str().unwrap());
        assert!(json["attributes"][1]["probability"].is_number(), "{json}");
        let page = fs::read_to_string(out.join("explanation.html")).unwrap();
        assert_eq!(page.matches("<img").count(), 3);
        assert!(page.contains("default-src 'none'"), "loads nothing");
        assert!(page.contains(named), "{method}");
    }
}

#[test]
fn by_default_the_predicted_attributes_are_explained() {
    let (folder, model) = (folder(), run().0.display());
    let image = squares().join("images/02.png");
    let answers = line(&format!("predict {model} {}", image.display())).done();
    let ran = line(&format!("explain {model} {} --out {}", image.display(), folder.path().display()));
    // Of 32 pixels, the last feature map has one position.
    assert!(ran.stderr.contains("only 1x1 positions for images of 32x32: LayerCAM"), "{}", ran.stderr);
    let page = fs::read_to_string(folder.path().join("explanation.html")).unwrap();
    assert!(page.contains("LayerCAM ("), "the page names the method");
    let output = ran.done();
    let explained: Vec<&str> = output.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    let present: Vec<&str> =
        ["Red", "Bright"].into_iter().filter(|name| answers.contains(&format!("{name} 0."))).collect();
    if present.is_empty() {
        assert_eq!(explained.len(), 1, "the most probable: {output}");
    } else {
        assert_eq!(explained.len(), present.len(), "{answers}\n{output}");
        assert!(present.iter().all(|name| explained.contains(name)), "{answers}\n{output}");
    }
}

#[test]
fn any_attribute_has_a_file_of_its_own() {
    let folder = folder();
    let data = folder.path().join("data");
    copy(squares(), &data);
    let table = fs::read_to_string(data.join("labels.csv")).unwrap();
    let long = "é".repeat(300);
    // The name of a device of Windows, and one with a path in it that is too long for a file.
    let names = ["CON".to_owned(), format!("../{long}")];
    fs::write(data.join("labels.csv"), table.replacen("Red,Bright", &names.join(","), 1)).unwrap();
    let run = folder.path().join("run");
    let mut arguments = training_with(&run, &["epochs=1"]);
    arguments[3] = data.display().to_string();
    visage(arguments).done();

    let (out, image) = (folder.path().join("explained"), data.join("images/00.png"));
    let [run, image, to] = [&run, &image, &out].map(|path| path.to_str().unwrap());
    visage(["explain", run, image, "--out", to, "--attribute", &names[0], "--attribute", &names[1]]).done();
    let mut files: Vec<_> = fs::read_dir(&out).unwrap().map(|file| file.unwrap().file_name()).collect();
    files.sort();
    let cut = format!("_.._{}.png", "é".repeat(48));
    assert_eq!(files, [cut.as_str(), "_CON.png", "explanation.html"]);
    visage(["evaluate", run, "--data", data.to_str().unwrap()]).done();
    visage(["report", run]).done();
    assert!(Path::new(run).join("report/figures/attributes/_CON-roc.svg").is_file());
}

#[test]
fn bad_attributes_and_images_are_refused() {
    let (folder, model) = (folder(), run().0.display());
    let (image, out) = (squares().join("images/00.png"), folder.path().join("explained"));
    let error =
        line(&format!("explain {model} {} --attribute Blue --out {}", image.display(), out.display())).failed(1);
    assert!(error.contains("has no attribute \"Blue\"\n  help: it has Red, Bright"), "{error}");
    let broken = folder.path().join("broken.jpg");
    fs::write(&broken, b"no picture").unwrap();
    let error = line(&format!("explain {model} {} --out {}", broken.display(), out.display())).failed(1);
    assert!(error.contains("broken.jpg\n  cause: not a readable JPEG"), "{error}");
    let error = line(&format!("explain {model} {}/none.png", folder.path().display())).failed(1);
    assert!(error.contains("cannot read") && error.contains("none.png"), "{error}");
    assert!(!out.exists(), "nothing is written");
}
