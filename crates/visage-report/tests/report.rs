//! A report as a whole, of three runs on the scale of CelebA.

use std::fs;
use std::path::Path;

use visage_judge::{Predictions, Thresholds, evaluate};
use visage_report::{Judged, Report, ReportError, Run, write};
use visage_run::{EpochRow, StepRow};

/// The part of a page between its style and its script.
fn body(page: &Path) -> String {
    let page = fs::read_to_string(page).unwrap();
    page[page.find("</style>").unwrap()..page.find("<script>").unwrap()].to_owned()
}

/// A pseudo-random number from 0 to 1.
fn noise(seed: u64) -> f64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

fn run(number: u64, images: u64, attributes: u64) -> Run {
    let names: Vec<String> = (0..attributes).map(|number| format!("Attribute & <{number}>")).collect();
    let (mut labels, mut probabilities) = (Vec::new(), Vec::new());
    for cell in 0..images * attributes {
        let present = noise(cell) < 0.02 + (cell % attributes) as f64 / attributes as f64;
        labels.push((noise(cell + 1) > 0.01).then_some(present));
        let logit = 3.0 * (noise(cell * 7 + number) - 0.5) + if present { 1.0 } else { -1.0 };
        probabilities.push((1.0 / (1.0 + (-logit).exp())) as f32);
    }
    let predictions = Predictions::new(names, labels, probabilities).unwrap();
    let evaluation = evaluate(&predictions, &Thresholds::best_f1(&predictions)).unwrap();
    let loss = |at: f64| 0.3 + 0.5 / (1.0 + at);
    Run {
        name: format!("run \"{number}\""),
        facts: vec![("Recipe".to_owned(), "enhanced".to_owned())],
        loss: "bce".to_owned(),
        epochs: (1..=30)
            .map(|epoch| EpochRow {
                epoch,
                step: 300 * epoch,
                train_loss: loss(epoch as f64),
                validation_loss: loss(epoch as f64) + 0.01,
                accuracy: None,
                balanced_accuracy: None,
                precision: None,
                recall: None,
                f1: None,
                average_precision: None,
                learning_rate: 1e-3,
                seconds: 60.0,
                images_per_second: 300.0,
                best: true,
            })
            .collect(),
        steps: (1..=9000)
            .map(|step| StepRow {
                step,
                epoch: (step - 1) / 300 + 1,
                loss: loss(step as f64 / 300.0) + 0.1 * noise(step),
                learning_rate: 1e-3 / step as f64,
                gradient_norm: 1.0 + noise(step + number),
                images_per_second: 300.0,
                waiting: 0.0,
            })
            .collect(),
        judged: Some(Judged {
            on: "some images".to_owned(),
            thresholds: "best F1".to_owned(),
            evaluation,
            intervals: None,
            predictions: Some(predictions),
            uncalibrated: None,
            groups: Vec::new(),
            gaps: Vec::new(),
            consistency: None,
            consistent: None,
        }),
        gallery: Vec::new(),
    }
}

fn report(runs: Vec<Run>) -> Report {
    Report { runs, made: "now".to_owned(), remarks: Vec::new(), comparison: None, findings: Vec::new() }
}

#[test]
fn three_runs_of_forty_attributes_fit_a_small_page() {
    let folder = tempfile::tempdir().unwrap();
    let runs = (0..3).map(|number| run(number, 10_000, 40)).collect();
    let written = write(&report(runs), folder.path()).unwrap();
    assert!(written.bytes < 5_000_000, "{} bytes", written.bytes);
    let page = body(&written.page);
    assert!(!page.contains("NaN") && !page.contains("Attribute & <"));
    assert_eq!(page.matches("<details").count(), 40);
    // The rarest attribute has 200 positives.
    assert!(!page.contains("Too few positives"));
    assert_eq!(page.matches("role=\"img\"").count(), written.count);
    // Six of training and one per run, two and one per run of all attributes, five of each attribute.
    assert_eq!(written.count, 6 + 3 + 2 + 3 + 5 * 40);
    assert!(written.figures.join("attributes/Attribute____7_-roc.png").is_file());
}

#[test]
fn sparse_runs_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let written = |run: Run, at: &str| {
        let written = write(&report(vec![run]), &folder.path().join(at)).unwrap();
        let page = body(&written.page);
        assert!(!page.contains("NaN") && !page.contains("inf,"), "{at}");
        assert_eq!(page.contains("Too few positives to judge"), at != "untrained", "{at}");
        written.count
    };
    let mut diverged = run(0, 10, 2);
    diverged.epochs[3].train_loss = f64::NAN;
    diverged.steps[7].gradient_norm = f64::INFINITY;
    diverged.steps[8].loss = f64::NAN;
    assert_eq!(written(diverged, "diverged"), 7 + 3 + 10);

    // Only one class, no label at all, one image, no image, one epoch of one step.
    for (at, labels, probabilities) in [
        ("one class", vec![Some(true), Some(true)], vec![0.1, 0.9]),
        ("unknown", vec![None, None], vec![0.1, 0.9]),
        ("one image", vec![Some(false)], vec![0.5]),
        ("no image", vec![], vec![]),
    ] {
        let mut little = run(0, 1, 1);
        little.epochs.truncate(1);
        little.steps.truncate(1);
        let predictions = Predictions::new(vec!["only".to_owned()], labels, probabilities).unwrap();
        let judged = little.judged.as_mut().unwrap();
        judged.evaluation = evaluate(&predictions, &Thresholds::fixed(0.5, 1)).unwrap();
        judged.predictions = Some(predictions);
        written(little, at);
    }
    let mut untrained = run(0, 1, 1);
    (untrained.epochs, untrained.steps, untrained.judged) = (Vec::new(), Vec::new(), None);
    assert_eq!(written(untrained, "untrained"), 0);
}

#[test]
fn write_errors_name_the_file() {
    assert!(matches!(write(&report(Vec::new()), Path::new("nowhere")), Err(ReportError::NoRuns)));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = write(&report(vec![run(0, 10, 1)]), &file).unwrap_err().to_string();
    assert!(error.contains("cannot write") && error.contains("figures"), "{error}");
}
