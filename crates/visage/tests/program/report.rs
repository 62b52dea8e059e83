//! `visage report`.

use std::fs;

use crate::fixture::{faces, faces_run, folder, line, run, squares};

#[test]
fn a_run_becomes_one_page_and_its_figures() {
    let (run, data) = (run().0.display(), squares().display());
    line(&format!("evaluate {run} --data {data}")).done();
    let folder = folder();
    let out = folder.path().join("out");
    let output = line(&format!("report {run} --out {} --gallery", out.display())).done();
    assert!(output.contains("report.html") && output.contains("figures"), "{output}");

    let page = fs::read_to_string(out.join("report.html")).unwrap();
    for expected in [
        "<h2>Training</h2>",
        "Training and validation loss",
        "id=\"table\"",
        "Red: ROC curve",
        "Bright: reliability",
        "<small>",
        "16 images of the test split of squares",
        "data:image/jpeg;base64,",
    ] {
        assert!(page.contains(expected), "{expected:?}");
    }
    // Nothing is loaded from elsewhere.
    for outside in ["src=\"http", "href=\"http", "url(http", "@import", "<link"] {
        assert!(!page.contains(outside), "{outside:?}");
    }
    for figure in
        ["loss", "learning-rate", "batch-loss-by-epoch", "prevalence-f1", "errors-together", "attributes/Red-roc"]
    {
        let svg = fs::read_to_string(out.join(format!("figures/{figure}.svg"))).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("<desc>") && !svg.contains("NaN"), "{figure}");
        let png = image::open(out.join(format!("figures/{figure}.png"))).unwrap();
        assert!(png.width() >= 600 && png.height() >= 150, "{figure}");
        let dark = png.to_luma8().pixels().filter(|pixel| pixel.0[0] < 100).count();
        assert!(dark > 500, "{figure} has words on it");
    }
    let without = line(&format!("report {run} --out {}", out.display())).done();
    assert!(without.contains("report.html"));
    assert!(!fs::read_to_string(out.join("report.html")).unwrap().contains("data:image/jpeg"));
}

#[test]
fn groups_rules_and_calibration_have_their_places() {
    // A calibrated copy of a run, evaluated by groups and rules.
    let folder = folder();
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for file in ["run.json", "recipe.toml", "epochs.csv", "steps.csv", "best.safetensors"] {
        fs::copy(faces_run().join(file), copy.join(file)).unwrap();
    }
    let (run, data) = (copy.display(), faces().display());
    line(&format!("calibrate {run} --data {data} --method isotonic")).done();
    line(&format!("evaluate {run} --data {data} --group-by Male --consistent")).done();
    line(&format!("report {run}")).done();
    let page = fs::read_to_string(copy.join("report/report.html")).unwrap();
    for expected in [
        "<h2>Calibration</h2>",
        "Calibration error before and after",
        "Reliability over all attributes",
        "before calibration",
        "<h2>Groups</h2>",
        "Male: present",
        "equal opportunity",
        "too few cases",
        "<h2>Consistency</h2>",
        "Goatee =&gt; not No_Beard",
        "consistent predictions change",
    ] {
        assert!(page.contains(expected), "{expected:?}");
    }
    assert!(copy.join("report/figures/calibration-error.svg").is_file());
    let body = &page[page.find("</style>").unwrap()..page.find("<script>").unwrap()];
    assert!(!body.contains("NaN"));
}

#[test]
fn missing_parts_are_reported_and_the_rest_is_shown() {
    // A copy of a run that is not evaluated.
    let folder = folder();
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for file in ["run.json", "recipe.toml", "epochs.csv", "steps.csv"] {
        fs::copy(faces_run().join(file), copy.join(file)).unwrap();
    }
    let ran = line(&format!("report {}", copy.display()));
    let expected = format!(
        "copy was not evaluated on the test split: visage evaluate {} --data {}",
        copy.display(),
        faces().display()
    );
    assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
    ran.done();
    let page = fs::read_to_string(copy.join("report/report.html")).unwrap();
    assert!(page.contains(&expected) && page.contains("Gradient norm") && !page.contains("id=\"table\""));

    let error = line(&format!("report {}", folder.path().display())).failed(1);
    assert!(error.contains("is not a run: it has no run.json"), "{error}");
    fs::write(copy.join("epochs.csv"), "epoch\nmany\n").unwrap();
    let error = line(&format!("report {}", copy.display())).failed(1);
    assert!(error.contains("epochs.csv, line"), "{error}");
}
