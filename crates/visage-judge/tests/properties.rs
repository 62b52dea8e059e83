//! What must hold whatever the labels and probabilities.

use proptest::prelude::*;
use visage_judge::{AttributeMetrics, Evaluation, Metric, Predictions, Scores, ThresholdRule, Thresholds, evaluate};

/// Probabilities are multiples of 1/GRID, so that they tie often and that 1 - p and p * p are exact.
const GRID: u16 = 64;

fn probability() -> impl Strategy<Value = f32> {
    (0..=GRID).prop_map(|step| f32::from(step) / f32::from(GRID))
}

/// (probability, label) pairs of one attribute, unknown labels among them.
fn column() -> impl Strategy<Value = Vec<(f32, Option<bool>)>> {
    prop::collection::vec((probability(), prop::option::weighted(0.8, any::<bool>())), 0..80)
}

/// The rows of a table of three attributes.
fn rows() -> impl Strategy<Value = Vec<[(f32, Option<bool>); 3]>> {
    prop::collection::vec(prop::array::uniform3((probability(), prop::option::weighted(0.8, any::<bool>()))), 0..60)
}

fn predictions<const N: usize>(rows: &[[(f32, Option<bool>); N]]) -> Predictions {
    let names = (0..N).map(|column| format!("attribute {column}")).collect();
    let (probabilities, labels) = rows.iter().flatten().copied().unzip();
    Predictions::new(names, labels, probabilities).unwrap()
}

fn single(column: &[(f32, Option<bool>)]) -> Predictions {
    predictions(&column.iter().map(|&pair| [pair]).collect::<Vec<_>>())
}

fn judge(predictions: &Predictions, threshold: f32) -> Evaluation {
    evaluate(predictions, &Thresholds::fixed(threshold, predictions.attributes().len())).unwrap()
}

fn scores(column: &[(f32, Option<bool>)]) -> Scores {
    judge(&single(column), 0.5).attributes[0].scores
}

/// The attribute under the threshold that a rule chooses for it alone.
fn under(rule: ThresholdRule, predictions: &Predictions) -> AttributeMetrics {
    let thresholds = Thresholds::choose(rule, predictions).thresholds;
    evaluate(predictions, &thresholds).unwrap().attributes.remove(0)
}

fn predicted_positives(attribute: &AttributeMetrics) -> u64 {
    attribute.confusion.true_positives + attribute.confusion.false_positives
}

fn map(column: &[(f32, Option<bool>)], f: impl Fn(f32, bool) -> (f32, bool)) -> Vec<(f32, Option<bool>)> {
    let change = |&(p, label): &(f32, Option<bool>)| match label {
        Some(present) => (f(p, present).0, Some(f(p, present).1)),
        None => (p, None),
    };
    column.iter().map(change).collect()
}

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-12,
        (a, b) => a == b,
    }
}

proptest! {
    #[test]
    fn auc_turns_over_when_the_labels_do(column in column()) {
        let found = scores(&column).roc_auc;
        prop_assert!(close(scores(&map(&column, |p, y| (p, !y))).roc_auc, found.map(|auc| 1.0 - auc)));
        prop_assert!(close(scores(&map(&column, |p, y| (1.0 - p, y))).roc_auc, found.map(|auc| 1.0 - auc)));
        prop_assert!(close(scores(&map(&column, |p, y| (1.0 - p, !y))).roc_auc, found));
    }

    #[test]
    fn ranks_are_all_that_auc_and_average_precision_see(column in column()) {
        let (before, after) = (scores(&column), scores(&map(&column, |p, y| (p * p, y))));
        prop_assert_eq!(before.roc_auc, after.roc_auc);
        prop_assert_eq!(before.average_precision, after.average_precision);
    }

    #[test]
    fn auc_is_the_share_of_pairs_in_order(column in column()) {
        let (mut won, mut pairs) = (0.0, 0.0);
        for positive in column.iter().filter(|pair| pair.1 == Some(true)) {
            for negative in column.iter().filter(|pair| pair.1 == Some(false)) {
                pairs += 1.0;
                won += if positive.0 > negative.0 { 1.0 } else if positive.0 == negative.0 { 0.5 } else { 0.0 };
            }
        }
        prop_assert!(close(scores(&column).roc_auc, (pairs > 0.0).then(|| won / pairs)));
    }

    #[test]
    fn no_fixed_threshold_beats_the_best(column in column(), other in 0.0_f32..=1.0) {
        let predictions = single(&column);
        let thresholds = Thresholds::best_f1(&predictions);
        let best = evaluate(&predictions, &thresholds).unwrap().attributes.remove(0);
        prop_assume!(best.positives > 0 && best.positives < best.support);
        for step in 0..=GRID {
            let fixed = f32::from(step) / f32::from(GRID);
            let f1 = judge(&predictions, fixed).attributes[0].scores.f1;
            prop_assert!(f1 <= best.scores.f1, "{:?} at {} beats {:?}", f1, fixed, best.scores.f1);
            // Of equals, the score nearest to one half: nothing as good lies nearer that is a score itself.
            if f1 == best.scores.f1 && column.iter().any(|pair| pair.0 == fixed && pair.1.is_some()) {
                prop_assert!((fixed - 0.5).abs() >= (best.threshold - 0.5).abs());
            }
        }
        prop_assert!(judge(&predictions, other).attributes[0].scores.f1 <= best.scores.f1);
    }

    #[test]
    fn prevalence_predicts_as_many_positives_as_there_are(labels in prop::collection::vec(any::<bool>(), 2..200)) {
        let column: Vec<_> =
            labels.iter().enumerate().map(|(rank, &present)| (rank as f32 / 256.0, Some(present))).collect();
        let found = under(ThresholdRule::Prevalence, &single(&column));
        prop_assume!(found.positives > 0 && found.positives < found.support);
        prop_assert_eq!(predicted_positives(&found), found.positives);
        prop_assert_eq!(found.scores.precision, found.scores.recall);
    }

    #[test]
    fn with_ties_prevalence_is_as_near_as_a_threshold_can_be(column in column()) {
        let predictions = single(&column);
        let found = under(ThresholdRule::Prevalence, &predictions);
        prop_assume!(found.positives > 0 && found.positives < found.support);
        let distance = |of: &AttributeMetrics| predicted_positives(of).abs_diff(of.positives);
        for step in 0..=GRID {
            let other = judge(&predictions, f32::from(step) / f32::from(GRID)).attributes.remove(0);
            // No rule chooses a threshold that predicts no image positive.
            prop_assert!(predicted_positives(&other) == 0 || distance(&other) >= distance(&found));
        }
    }

    #[test]
    fn no_fixed_threshold_is_a_better_trade_for_one_attribute(column in column(), weight in 0.0..20.0) {
        let predictions = single(&column);
        let found = under(ThresholdRule::Balanced(weight), &predictions);
        prop_assume!(found.positives > 0 && found.positives < found.support);
        let value = |of: &AttributeMetrics| of.scores.f1.unwrap() + weight * of.scores.accuracy.unwrap();
        for step in 0..=GRID {
            let other = judge(&predictions, f32::from(step) / f32::from(GRID)).attributes.remove(0);
            prop_assert!(predicted_positives(&other) == 0 || value(&other) <= value(&found) + 1e-12);
        }
    }

    #[test]
    fn without_a_weight_the_trade_of_one_attribute_is_the_best_f1(column in column()) {
        let choose = |rule| Thresholds::choose(rule, &single(&column)).thresholds.values;
        prop_assert_eq!(choose(ThresholdRule::Balanced(0.0)), choose(ThresholdRule::BestF1));
    }

    #[test]
    fn with_a_large_weight_the_trade_of_one_attribute_is_the_best_accuracy(column in column()) {
        let predictions = single(&column);
        let found = under(ThresholdRule::Balanced(1e6), &predictions);
        prop_assume!(found.positives > 0 && found.positives < found.support);
        for step in 0..=GRID {
            let other = judge(&predictions, f32::from(step) / f32::from(GRID)).attributes.remove(0);
            prop_assert!(predicted_positives(&other) == 0 || other.scores.accuracy <= found.scores.accuracy);
        }
    }

    #[test]
    fn a_smoothed_threshold_is_a_score_of_its_attribute(rows in rows(), weight in 0.0..20.0) {
        let all = predictions(&rows);
        let choose = |rule| Thresholds::choose(rule, &all).thresholds.values;
        prop_assert_eq!(choose(ThresholdRule::Balanced(0.0)), choose(ThresholdRule::SmoothF1));
        let smoothed = choose(ThresholdRule::Balanced(weight));
        for (column, threshold) in smoothed.into_iter().enumerate() {
            let has = |present| rows.iter().any(|row| row[column].1 == Some(present));
            let is_score = rows.iter().any(|row| row[column].0 == threshold && row[column].1.is_some());
            let both = has(true) && has(false);
            prop_assert!((both && is_score) || (!both && threshold == 0.5));
        }
    }

    #[test]
    fn an_unknown_label_is_a_row_that_is_not_there(column in column(), threshold in probability()) {
        let known: Vec<_> = column.iter().copied().filter(|pair| pair.1.is_some()).collect();
        let (masked, removed) = (judge(&single(&column), threshold), judge(&single(&known), threshold));
        prop_assert_eq!(&masked.attributes, &removed.attributes);
        prop_assert_eq!(masked.macro_average, removed.macro_average);
        prop_assert_eq!(masked.micro_average, removed.micro_average);
        prop_assert_eq!(masked.original, removed.original);
        prop_assert_eq!(masked.subset_accuracy, removed.subset_accuracy);
        prop_assert_eq!(Thresholds::best_f1(&single(&column)), Thresholds::best_f1(&single(&known)));
    }

    #[test]
    fn what_stands_under_an_unknown_label_does_not_matter(rows in rows(), other in probability()) {
        let hidden: Vec<_> =
            rows.iter().map(|row| row.map(|(p, y)| (if y.is_some() { p } else { other }, y))).collect();
        prop_assert_eq!(judge(&predictions(&rows), 0.5), judge(&predictions(&hidden), 0.5));
    }

    #[test]
    fn an_attribute_is_judged_as_if_alone(rows in rows()) {
        let all = predictions(&rows);
        let together = judge(&all, 0.5);
        let thresholds = Thresholds::best_f1(&all);
        for (column, name) in all.attributes().iter().enumerate() {
            let alone = all.select(&[name]).unwrap();
            prop_assert_eq!(&judge(&alone, 0.5).attributes[0], &together.attributes[column]);
            prop_assert_eq!(Thresholds::best_f1(&alone).values[0], thresholds.values[column]);
        }
    }

    #[test]
    fn values_are_in_range_and_counts_add_up(rows in rows(), threshold in probability()) {
        let evaluation = judge(&predictions(&rows), threshold);
        let counted: u64 = evaluation.attributes.iter().map(|attribute| attribute.support).sum();
        prop_assert_eq!(counted, rows.iter().flatten().filter(|pair| pair.1.is_some()).count() as u64);
        let attributes = evaluation.attributes.iter().map(|attribute| attribute.scores);
        for scores in attributes.chain([evaluation.macro_average, evaluation.micro_average]) {
            for metric in Metric::ALL {
                let range = match metric {
                    Metric::Mcc => -1.0..=1.0,
                    Metric::LogLoss => 0.0..=36.05,
                    _ => 0.0..=1.0,
                };
                let value = scores.get(metric);
                prop_assert!(value.is_none_or(|value| range.contains(&value)), "{} is {:?}", metric, value);
            }
            if let (Some(accuracy), Some(prevalence)) = (scores.commoner_class_accuracy, scores.prevalence) {
                prop_assert!(accuracy >= prevalence.max(1.0 - prevalence) - 1e-12);
            }
        }
    }

    #[test]
    fn an_evaluation_survives_json(rows in rows()) {
        let evaluation = judge(&predictions(&rows), 0.5);
        let read: Evaluation = serde_json::from_str(&serde_json::to_string(&evaluation).unwrap()).unwrap();
        prop_assert_eq!(read.thresholds(), evaluation.thresholds());
        for (read, written) in read.attributes.iter().zip(&evaluation.attributes) {
            prop_assert_eq!(read.confusion, written.confusion);
            for metric in Metric::ALL {
                prop_assert!(close(read.scores.get(metric), written.scores.get(metric)));
            }
        }
    }
}
