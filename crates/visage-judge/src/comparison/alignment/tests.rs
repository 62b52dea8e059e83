use super::*;

fn run(name: &str, images: &[&str], attributes: &[&str], labels: &[Option<bool>]) -> RunPredictions {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let probabilities = (0..labels.len()).map(|cell| cell as f32 / 10.0).collect();
    RunPredictions {
        name: name.to_owned(),
        images: words(images),
        predictions: Predictions::new(words(attributes), labels.to_vec(), probabilities).unwrap(),
        thresholds: Thresholds {
            rule: crate::ThresholdRule::Fixed,
            values: (0..attributes.len()).map(|column| 0.5 + column as f32 / 10.0).collect(),
        },
    }
}

const YES: Option<bool> = Some(true);
const NO: Option<bool> = Some(false);

#[test]
fn shared_images_and_attributes_keep_the_order_of_the_first_run() {
    let first = run("first", &["1", "2", "3"], &["a", "b"], &[YES, NO, NO, YES, YES, YES]);
    let second = run("second", &["3", "1"], &["b", "c", "a"], &[YES, NO, YES, NO, NO, None]);
    let Aligned { runs, unmatched } = RunPredictions::align(vec![first, second]).unwrap();
    for run in &runs {
        assert_eq!(
            (run.images.as_slice(), run.predictions.attributes()),
            (&["1", "3"].map(String::from)[..], &["a", "b"].map(String::from)[..])
        );
        assert_eq!(run.predictions.labels(), [None, NO, YES, YES]);
    }
    assert_eq!(runs[0].predictions.probabilities(), [0.0, 0.1, 0.4, 0.5]);
    assert_eq!(runs[1].predictions.probabilities(), [0.5, 0.3, 0.2, 0.0]);
    assert_eq!(runs[1].thresholds.values, [0.7, 0.5]);
    assert_eq!(unmatched[0], Unmatched { images: 1, attributes: vec![] });
    assert_eq!(unmatched[1], Unmatched { images: 0, attributes: vec!["c".to_owned()] });
}

#[test]
fn incomparable_runs_are_refused() {
    let first = || run("first", &["1", "2"], &["a"], &[YES, NO]);
    let cases = [
        (run("second", &["3"], &["a"], &[YES]), "no image in common"),
        (run("second", &["1"], &["b"], &[YES]), "no attribute in common"),
        (run("second", &["2", "1"], &["a"], &[YES, YES]), "1 of the 2 they share differ"),
        (RunPredictions { images: vec![], ..run("second", &["1"], &["a"], &[YES]) }, "0 image names for 1 images"),
    ];
    for (second, message) in cases {
        let error = RunPredictions::align(vec![first(), second]).unwrap_err().to_string();
        assert!(error.contains(message), "{error:?} should say {message:?}");
    }
}
