//! `visage explain`. `visage-model/tests/golden.rs` and the example `heat_in_regions` check the heat maps themselves.

use std::fs;

use crate::fixture::{folder, line, run, squares};

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
    let output = line(&format!("explain {model} {} --out {}", image.display(), folder.path().display())).done();
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
