use super::*;
use crate::golden;

type Pairs = [(f32, Option<bool>)];

fn best(pairs: &Pairs) -> f32 {
    let (probabilities, labels) = pairs.iter().copied().unzip();
    Thresholds::best_f1(&Predictions::new(vec!["a".into()], labels, probabilities).unwrap()).values[0]
}

#[test]
fn the_best_threshold_of_small_cases() {
    let (yes, no) = (Some(true), Some(false));
    let table: [(&Pairs, f32, &str); 7] = [
        (&[], 0.5, "no image"),
        (&[(0.9, yes), (0.2, yes)], 0.5, "no negative"),
        (&[(0.9, no), (0.2, no)], 0.5, "no positive"),
        (&[(0.9, yes), (0.2, no)], 0.9, "separable"),
        (&[(0.9, yes), (0.2, None), (0.1, no)], 0.9, "an unknown in between changes nothing"),
        // tp 1 of 2 predicted, 1 positive: 2/3 at 0.3; 0.8 finds nothing.
        (&[(0.8, no), (0.3, yes)], 0.3, "only the lower finds the positive"),
        // F1 is 2/3 at 0.9 (1 found, nothing false) and at 0.4 (2 found, 2 false); 0.4 is nearer to 0.5.
        (&[(0.9, yes), (0.7, no), (0.6, no), (0.4, yes)], 0.4, "a tie goes towards one half"),
    ];
    for (pairs, expected, what) in table {
        assert_eq!(best(pairs), expected, "{what}");
    }
    // The same F1 at 0.75 and 0.25, equally far from one half: the lower.
    assert_eq!(best(&[(0.75, yes), (0.5, no), (0.5, no), (0.25, yes)]), 0.25);
}

#[test]
fn a_probability_on_the_threshold() {
    assert!(is_positive(0.5, Thresholds::fixed(0.5, 1).values[0]));
    assert!(!is_positive(0.5, Thresholds::above(0.5, 1).values[0]));
    assert!(is_positive(0.5_f32.next_up(), Thresholds::above(0.5, 1).values[0]));
}

#[test]
fn a_requested_precision_or_recall() {
    let (yes, no) = (Some(true), Some(false));
    let choose = |rule, pairs: &Pairs| {
        let (probabilities, labels) = pairs.iter().copied().unzip();
        let ChosenThresholds { thresholds, unreached } =
            Thresholds::choose(rule, &Predictions::new(vec!["a".into()], labels, probabilities).unwrap());
        assert_eq!(thresholds.rule, rule);
        (thresholds.values[0], unreached.is_empty())
    };
    let pairs = [(0.9, yes), (0.8, no), (0.7, yes), (0.6, yes), (0.5, no), (0.4, no), (0.3, yes)];
    let table = [
        (ThresholdRule::Precision(0.7), 0.6, true),
        (ThresholdRule::Precision(0.76), 0.9, true),
        (ThresholdRule::Precision(0.5), 0.3, true),
        (ThresholdRule::Recall(0.5), 0.6, true), // 0.75 there, at a precision of 3/4; of 2/3 at 0.7
        (ThresholdRule::Recall(0.25), 0.9, true),
        (ThresholdRule::Recall(1.0), 0.3, true),
    ];
    for (rule, threshold, reached) in table {
        assert_eq!(choose(rule, &pairs), (threshold, reached), "{rule}");
    }
    // The highest score is a negative: no threshold has a precision above two thirds.
    let unsure = [(0.9, no), (0.8, yes), (0.7, yes), (0.6, no)];
    assert_eq!(choose(ThresholdRule::Precision(0.9), &unsure), (0.7, false));
    assert_eq!(choose(ThresholdRule::Precision(0.9), &[(0.9, no)]), (0.5, true));
}

fn chosen(rule: ThresholdRule, pairs: &Pairs) -> f32 {
    let (probabilities, labels) = pairs.iter().copied().unzip();
    Thresholds::choose(rule, &Predictions::new(vec!["a".into()], labels, probabilities).unwrap()).thresholds.values[0]
}

#[test]
fn as_many_predicted_positives_as_positives() {
    let (yes, no) = (Some(true), Some(false));
    let table: [(&Pairs, f32, &str); 7] = [
        (&[], 0.5, "no image"),
        (&[(0.9, yes), (0.2, yes)], 0.5, "no negative"),
        (&[(0.9, no), (0.2, no)], 0.5, "no positive"),
        (&[(0.9, yes), (0.8, no), (0.7, yes), (0.6, yes), (0.5, no), (0.4, no), (0.3, yes)], 0.6, "four of seven"),
        (&[(0.9, no), (0.8, None), (0.7, no), (0.6, yes), (0.1, yes)], 0.7, "unknown labels do not count"),
        // One image at 0.9, three at 0.5; two are positive.
        (&[(0.9, no), (0.5, yes), (0.5, yes), (0.1, no)], 0.9, "of two equally near, fewer"),
        (&[(0.9, no), (0.5, yes), (0.5, yes), (0.4, no), (0.1, yes)], 0.5, "three of five"),
    ];
    for (pairs, expected, what) in table {
        assert_eq!(chosen(ThresholdRule::Prevalence, pairs), expected, "{what}");
    }
}

#[test]
fn accuracy_counts_as_much_as_its_weight() {
    let (yes, no) = (Some(true), Some(false));
    // At 0.9 the F1 is 1/2 and the accuracy 4/6; at 0.55 they are 2/3 and 3/6. Elsewhere both are lower.
    let pairs = [(0.9, yes), (0.8, no), (0.7, no), (0.65, no), (0.6, yes), (0.55, yes)];
    for (weight, expected) in [(0.0, 0.55), (0.9, 0.55), (1.1, 0.9), (100.0, 0.9)] {
        assert_eq!(chosen(ThresholdRule::Balanced(weight), &pairs), expected, "{weight}");
    }
    assert_eq!(chosen(ThresholdRule::SmoothF1, &pairs), 0.55);
    assert_eq!(chosen(ThresholdRule::Balanced(1.0), &[(0.9, yes), (0.2, yes)]), 0.5, "no negative");
}

#[test]
fn a_ratio_is_smoothed_by_the_number_of_positives() {
    // `common` has 1,000 positives that outrank 1,000 negatives: the best ratio of predicted positives to positives is 1.
    // `rare` has 100 positives; 50 come first, then 300 negatives. Its best F1 is 2/3 with 50 predicted positives, at a
    // ratio of 1/2; with 100 it is 1/2. Together, a ratio of 1 has 1 + 1/2 and one of 1/2 has 2/3 + 2/3.
    // With 100 positives, the logarithms of 1/2 and 1 count equally: 100 x 0.707 images.
    let score = |rank: usize| 1.0 - rank as f32 / 4096.0;
    let (mut labels, mut probabilities) = (Vec::new(), Vec::new());
    for rank in 0..2000 {
        labels.extend([Some(rank < 1000), Some(rank < 50 || (350..400).contains(&rank)), Some(false)]);
        probabilities.extend([score(rank); 3]);
    }
    let names = ["common", "rare", "absent"].map(str::to_owned).to_vec();
    let predictions = Predictions::new(names, labels, probabilities).unwrap();
    let choose = |rule, names: &[&str]| Thresholds::choose(rule, &predictions.select(names).unwrap()).thresholds.values;
    let smooth = |names: &[&str]| choose(ThresholdRule::SmoothF1, names);
    assert_eq!(smooth(&["common", "rare", "absent"]), [score(999), score(70), 0.5]);
    assert_eq!(smooth(&["absent", "rare", "common"]), [0.5, score(70), score(999)]);
    assert_eq!(smooth(&["rare", "absent"]), [score(49), 0.5], "nothing to smooth with");
    assert_eq!(choose(ThresholdRule::BestF1, &["common", "rare"]), [score(999), score(49)]);
}

#[test]
fn rules_are_named_alike_in_json_and_in_words() {
    for (rule, json, words) in [
        (ThresholdRule::SmoothF1, "\"smooth_f1\"", "best F1 of each attribute, smoothed over the attributes"),
        (
            ThresholdRule::Balanced(1.5),
            r#"{"balanced":1.5}"#,
            "best F1 + 1.5 x accuracy of each attribute, smoothed over the attributes",
        ),
        (ThresholdRule::Prevalence, "\"prevalence\"", "for each attribute as many predicted positives as positives"),
    ] {
        assert_eq!(serde_json::to_string(&rule).unwrap(), json);
        assert_eq!(serde_json::from_str::<ThresholdRule>(json).unwrap(), rule);
        assert_eq!(rule.on("validation"), format!("{words} on the validation split"));
    }
}

#[test]
fn thresholds_must_fit_the_attributes() {
    let attributes = ["a".to_owned(), "b".to_owned()];
    let error = Thresholds::fixed(0.5, 3).check(&attributes).unwrap_err();
    assert_eq!(error, Error::ThresholdCount { thresholds: 3, attributes: 2 });
    let error = Thresholds { rule: ThresholdRule::Fixed, values: vec![0.5, f32::NAN] }.check(&attributes);
    assert!(matches!(error, Err(Error::BadThreshold { attribute, .. }) if attribute == "b"));
}

#[test]
fn thresholds_for_a_requested_precision_or_recall_are_scikit_learns() {
    let golden = golden::statistics("thresholds");
    let predictions = golden::predictions();
    let mut checked = 0;
    for (column, wanted) in golden.as_object().unwrap() {
        let name = format!("column {column}");
        let alone = predictions.select(&[&name]).unwrap();
        for (rule, threshold) in wanted.as_object().unwrap() {
            let (what, level) = rule.split_once(' ').unwrap();
            let level = level.parse().unwrap();
            let chosen = match what {
                "precision" => Thresholds::choose(ThresholdRule::Precision(level), &alone),
                _ => Thresholds::choose(ThresholdRule::Recall(level), &alone),
            };
            let golden = threshold.as_f64().map(|threshold| threshold as f32);
            assert_eq!(chosen.unreached.is_empty(), golden.is_some(), "{name}, {rule}");
            assert!(
                golden.is_none_or(|golden| golden == chosen.thresholds.values[0]),
                "{name}, {rule}: {chosen:?}, golden {golden:?}"
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 24);
}
