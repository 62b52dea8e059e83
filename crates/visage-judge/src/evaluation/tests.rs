use serde_json::Value;

use super::*;
use crate::golden::{self, assert_close};

/// For what counts and ranks decide: the same arithmetic in another order.
const EXACT: f64 = 1e-12;
/// For what the probabilities' own values enter, and two columns are not exactly representable in single precision:
/// half a unit in the last place of a probability is 6e-8.
const SINGLE: f64 = 6e-8;
/// A log-loss term divides that rounding by the probability it takes the logarithm of.
const SINGLE_LOG: f64 = 1e-6;

fn predictions() -> Predictions {
    // Three images, two attributes; the second attribute of the first image and all of the third are unknown.
    let labels = vec![Some(true), None, Some(false), Some(true), None, None];
    Predictions::new(vec!["a".into(), "b".into()], labels, vec![0.9, 0.1, 0.6, 0.7, 0.5, 0.5]).unwrap()
}

#[test]
fn unknown_labels_are_masked() {
    let evaluation = evaluate(&predictions(), &Thresholds::fixed(0.5, 2)).unwrap();
    assert_eq!(evaluation.images, 3);
    assert_eq!(evaluation.attributes.iter().map(|a| (a.support, a.positives)).collect::<Vec<_>>(), [(2, 1), (1, 1)]);
    assert_eq!(evaluation.attributes[0].scores.accuracy, Some(0.5));
    assert_eq!(evaluation.attributes[1].scores.accuracy, Some(1.0));
    assert_eq!(evaluation.attributes[1].scores.roc_auc, None);
    assert_eq!(evaluation.macro_average.accuracy, Some(0.75));
    assert_eq!(evaluation.macro_average.roc_auc, Some(1.0));
    assert_eq!(evaluation.micro_average.accuracy, Some(2.0 / 3.0));
    assert_eq!(evaluation.micro_average.commoner_class_accuracy, Some(2.0 / 3.0));
    assert_eq!(evaluation.subset_accuracy, Some(0.5));
}

#[test]
fn no_image_leaves_everything_undefined() {
    let none = Predictions::new(vec!["a".into()], vec![], vec![]).unwrap();
    let evaluation = evaluate(&none, &Thresholds::best_f1(&none)).unwrap();
    assert_eq!(evaluation.macro_average, Scores::default());
    assert_eq!(evaluation.micro_average, Scores::default());
    assert_eq!(evaluation.subset_accuracy, None);
}

#[test]
fn json_says_null_for_undefined_and_reads_back() {
    let evaluation = evaluate(&predictions(), &Thresholds::above(0.5, 2)).unwrap();
    let json = serde_json::to_value(&evaluation).unwrap();
    assert!(json["attributes"][1]["roc_auc"].is_null());
    assert_eq!(json["attributes"][0]["false_positives"], 1);
    assert_eq!(json["threshold_rule"], "fixed");
    let read: Evaluation = serde_json::from_str(&json.to_string()).unwrap();
    assert_eq!(read, evaluation);
    assert_eq!(read.thresholds(), Thresholds::above(0.5, 2));
}

#[test]
fn thresholds_must_fit() {
    let error = evaluate(&predictions(), &Thresholds::fixed(0.5, 1)).unwrap_err();
    assert_eq!(error, Error::ThresholdCount { thresholds: 1, attributes: 2 });
}

/// The decisions of the golden file are "1 when prob > 0.5", and its column of ties holds many a 0.5.
fn evaluation() -> (Value, Predictions, Evaluation) {
    let golden = golden::metrics();
    let predictions = golden::predictions();
    assert_eq!(golden["decision"], "1 when prob > 0.5");
    let evaluation = evaluate(&predictions, &Thresholds::above(0.5, predictions.attributes().len())).unwrap();
    (golden, predictions, evaluation)
}

#[test]
fn columns_are_scikit_learns() {
    let (golden, _, evaluation) = evaluation();
    assert_eq!(golden["n"], evaluation.images);
    assert_eq!(golden["attributes"], evaluation.attributes.len());
    for (column, (found, golden)) in evaluation.attributes.iter().zip(golden["columns"].as_array().unwrap()).enumerate()
    {
        let scores = &found.scores;
        // scikit-learn answers 0 (and warns) where these are undefined; that they are is checked below.
        let or_zero = |value: Option<f64>| Some(value.unwrap_or(0.0));
        let expected = [
            ("accuracy", scores.accuracy, EXACT),
            ("balanced_accuracy", scores.balanced_accuracy, EXACT),
            ("precision", or_zero(scores.precision), EXACT),
            ("recall", or_zero(scores.recall), EXACT),
            ("f1", or_zero(scores.f1), EXACT),
            ("mcc", or_zero(scores.mcc), EXACT),
            ("average_precision", scores.average_precision, EXACT),
            ("roc_auc", scores.roc_auc, EXACT),
            ("brier", scores.brier, SINGLE),
            ("log_loss", scores.log_loss, SINGLE_LOG),
            ("ece_15_equal_width_bins", scores.ece, SINGLE),
        ];
        for (name, value, tolerance) in expected {
            assert_close(value, &golden[name], tolerance, &format!("column {column}, {name}"));
        }
        let known = golden.as_object().unwrap().keys().filter(|name| !name.starts_with("best_f1"));
        assert_eq!(known.count(), expected.len(), "column {column} has a metric that is not checked");
    }
}

#[test]
fn columns_representable_in_single_precision_agree_to_double_precision() {
    let (golden, _, evaluation) = evaluation();
    for column in 1..=6 {
        let (scores, golden) = (&evaluation.attributes[column].scores, &golden["columns"][column]);
        assert_close(scores.brier, &golden["brier"], EXACT, "Brier score");
        assert_close(scores.log_loss, &golden["log_loss"], EXACT, "log loss");
        assert_close(scores.ece, &golden["ece_15_equal_width_bins"], EXACT, "ECE");
    }
}

#[test]
fn what_scikit_learn_calls_zero_for_want_of_a_class_is_undefined() {
    let (_, _, evaluation) = evaluation();
    let undefined = |column: usize| {
        let scores = &evaluation.attributes[column].scores;
        [scores.precision, scores.recall, scores.f1, scores.mcc, scores.average_precision, scores.roc_auc]
            .map(|value| value.is_none())
    };
    assert_eq!(undefined(5), [false, true, false, true, true, true], "no positives");
    assert_eq!(undefined(6), [false, false, false, true, false, true], "no negatives");
    for column in [0, 1, 2, 3, 4, 7] {
        assert_eq!(undefined(column), [false; 6], "column {column}");
    }
}

#[test]
fn best_f1_and_its_threshold_are_scikit_learns() {
    let (golden, predictions, _) = evaluation();
    let thresholds = Thresholds::best_f1(&predictions);
    let best = evaluate(&predictions, &thresholds).unwrap();
    for (column, golden) in golden["columns"].as_array().unwrap().iter().enumerate() {
        let Some(f1) = golden.get("best_f1") else {
            assert!([5, 6].contains(&column));
            assert_eq!(thresholds.values[column], 0.5, "column {column} has one class only");
            continue;
        };
        assert_close(best.attributes[column].scores.f1, f1, EXACT, &format!("column {column}, best F1"));
        let threshold = golden["best_f1_threshold (predict 1 when prob >= threshold)"].as_f64().unwrap();
        assert_eq!(thresholds.values[column], threshold as f32, "column {column}");
    }
}

#[test]
fn prevalences_and_averages_are_scikit_learns() {
    let (golden, _, evaluation) = evaluation();
    for (found, golden) in evaluation.attributes.iter().zip(golden["prevalence"].as_array().unwrap()) {
        // The golden list says how the labels were drawn; 200 draws come this near.
        assert!((found.scores.prevalence.unwrap() - golden.as_f64().unwrap()).abs() < 0.05, "{}", found.attribute);
    }
    for (name, value) in [
        ("precision", evaluation.micro_average.precision),
        ("recall", evaluation.micro_average.recall),
        ("f1", evaluation.micro_average.f1),
    ] {
        assert_close(value, &golden["micro"][name], EXACT, &format!("micro {name}"));
    }
    for (name, value) in [
        ("precision", evaluation.original.precision),
        ("recall", evaluation.original.recall),
        ("f1", evaluation.original.f1),
    ] {
        assert_close(Some(value), &golden["macro"][name], EXACT, &format!("mean {name}"));
    }
    let over_defined = golden["macro"]["recall"].as_f64().unwrap() * 8.0 / 7.0;
    assert_close(evaluation.macro_average.recall, &over_defined.into(), EXACT, "recall where there are positives");

    assert_close(evaluation.macro_average.accuracy, &golden["mean_accuracy"], EXACT, "macro accuracy");
    assert_close(Some(evaluation.original.accuracy), &golden["mean_accuracy"], EXACT, "mean accuracy");
    assert_close(evaluation.subset_accuracy, &golden["subset_accuracy"], EXACT, "subset accuracy");
    let hamming_loss = evaluation.micro_average.accuracy.map(|accuracy| 1.0 - accuracy);
    assert_close(hamming_loss, &golden["hamming_loss"], EXACT, "Hamming loss");
    let golden = &golden["mean_average_precision (columns with a positive)"];
    assert_close(evaluation.macro_average.average_precision, golden, EXACT, "mean average precision");
}

#[test]
fn soft_labels_count_in_the_log_loss_alone() {
    let hard = Predictions::new(
        vec!["a".to_owned()],
        vec![Some(true), Some(false), Some(true), None, Some(true), Some(false)],
        vec![0.9, 0.2, 0.6, 0.5, 0.35, 0.05],
    )
    .unwrap();
    let soft = hard.clone().with_targets(vec![0.75, 0.25, 0.5, f32::NAN, 1.0, 0.0]).unwrap();
    let of = |predictions: &Predictions| evaluate(predictions, &Thresholds::fixed(0.5, 1)).unwrap();
    let (hard_scores, soft_scores) = (of(&hard).micro_average, of(&soft).micro_average);
    // torch.nn.functional.binary_cross_entropy of PyTorch 2.15 in float64.
    assert!((soft_scores.log_loss.unwrap() - 0.607_811_479_658_473).abs() < 1e-7, "{:?}", soft_scores.log_loss);
    assert_ne!(soft_scores.log_loss, hard_scores.log_loss);
    assert_eq!(Scores { log_loss: hard_scores.log_loss, ..soft_scores }, hard_scores);
    // Of hard labels, and of rows that have no others, nothing is kept.
    let same = hard.clone().with_targets(vec![1.0, 0.0, 1.0, 0.3, 1.0, 0.0]).unwrap();
    assert_eq!(same, hard);
    let error = |targets: Vec<f32>| hard.clone().with_targets(targets).unwrap_err().to_string();
    assert_eq!(error(vec![0.5; 5]), "5 soft labels for 6 labels: give one of each per image and attribute");
    assert_eq!(
        error(vec![0.5, 1.5, 0.5, 0.5, 0.5, 0.5]),
        "row 1 (counting from 0), attribute \"a\": the soft label 1.5 is not a probability from 0 to 1"
    );
}
