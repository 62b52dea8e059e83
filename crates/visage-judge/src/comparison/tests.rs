use super::*;
use crate::{Predictions, Thresholds, evaluate};

/// An evaluation with these counts of (true positives, false positives, true negatives, false negatives).
fn evaluation(attributes: &[(&str, [usize; 4])]) -> Evaluation {
    let cells = [(0.9, true), (0.9, false), (0.1, false), (0.1, true)];
    let column = |counts: &[usize; 4]| -> Vec<(f32, bool)> {
        cells.iter().zip(counts).flat_map(|(&cell, &count)| std::iter::repeat_n(cell, count)).collect()
    };
    let columns: Vec<Vec<(f32, bool)>> = attributes.iter().map(|(_, counts)| column(counts)).collect();
    let (mut labels, mut probabilities) = (Vec::new(), Vec::new());
    for row in 0..columns[0].len() {
        for column in &columns {
            probabilities.push(column[row].0);
            labels.push(Some(column[row].1));
        }
    }
    let names = attributes.iter().map(|(name, _)| (*name).to_owned()).collect();
    let predictions = Predictions::new(names, labels, probabilities).unwrap();
    evaluate(&predictions, &Thresholds::fixed(0.5, attributes.len())).unwrap()
}

#[test]
fn attributes_are_matched_by_name_and_a_collapse_is_flagged() {
    // Of 100 images 20 have the rare attribute. The second model calls it 5 times: accuracy up, F1 down.
    let first = evaluation(&[("Rare", [12, 10, 70, 8]), ("Common", [50, 10, 30, 10])]);
    let second = evaluation(&[("Common", [55, 5, 35, 5]), ("Rare", [5, 0, 80, 15])]);
    let comparison = Comparison::new(&[("first", &first), ("second", &second)]).unwrap();

    let [rare, common] = comparison.attributes.as_slice() else { panic!("two rows") };
    assert_eq!((rare.name.as_str(), common.name.as_str()), ("Rare", "Common"));
    assert_eq!(rare.recall.values, [Some(0.6), Some(0.25)]);
    assert!((rare.recall.differences[0].unwrap() + 0.35).abs() < 1e-12);
    assert_eq!(rare.flags.len(), 2);
    assert_eq!(rare.flags[0], Flag::Collapse { evaluation: 1, predicted_positive_rate: 0.05, prevalence: 0.2 });
    assert!(matches!(
        rare.flags[1],
        Flag::AccuracyGainWithF1Loss { evaluation: 1, accuracy_gain, f1_loss }
            if (accuracy_gain - 0.03).abs() < 1e-12 && (f1_loss - (24.0 / 42.0 - 0.4)).abs() < 1e-12
    ));
    assert!(common.flags.is_empty());
    assert_eq!(comparison.original.predicted_positive_rate.values, [None, None]);

    let json = serde_json::to_value(&comparison).unwrap();
    assert_eq!(json["attributes"][0]["flags"][0]["flag"], "collapse");
    assert_eq!(serde_json::from_value::<Comparison>(json).unwrap(), comparison);
    for metric in ComparedRow::METRICS {
        assert_eq!(rare.get(metric).unwrap().values[0], first.attributes[0].scores.get(metric));
    }
}

#[test]
fn the_published_runs_are_flagged() {
    // The write-up's two models: accuracy rose from 0.8814 to 0.8892 while F1 fell from 0.6339 to 0.4740.
    let means = |accuracy, precision, recall, f1| Scores {
        accuracy: Some(accuracy),
        precision: Some(precision),
        recall: Some(recall),
        f1: Some(f1),
        ..Scores::default()
    };
    let row = ComparedRow::new("mean", &[means(0.8814, 0.6753, 0.6450, 0.6339), means(0.8892, 0.8560, 0.3908, 0.4740)]);
    assert!(matches!(row.flags.as_slice(), [Flag::AccuracyGainWithF1Loss { evaluation: 1, .. }]));
}

#[test]
fn undefined_has_no_difference_and_raises_no_flag() {
    let first = evaluation(&[("Nobody", [0, 0, 10, 0])]);
    let second = evaluation(&[("Nobody", [0, 1, 9, 0])]);
    let comparison = Comparison::new(&[("first", &first), ("second", &second), ("third", &first)]).unwrap();
    let row = &comparison.attributes[0];
    assert_eq!(row.recall.differences, [None, None]);
    assert_eq!(row.precision.values, [None, Some(0.0), None]);
    assert_eq!(row.precision.differences, [None, None]);
    assert!(row.flags.is_empty());
}

#[test]
fn other_images_are_flagged() {
    let first = evaluation(&[("a", [5, 0, 5, 0])]);
    let second = evaluation(&[("a", [6, 0, 4, 0])]);
    let comparison = Comparison::new(&[("first", &first), ("second", &second)]).unwrap();
    assert_eq!(comparison.attributes[0].flags, [Flag::DifferentLabels { evaluation: 1 }]);
}

#[test]
fn attributes_without_a_match_are_refused_by_name() {
    let first = evaluation(&[("a", [1, 0, 1, 0]), ("b", [1, 0, 1, 0])]);
    let second = evaluation(&[("b", [1, 0, 1, 0]), ("c", [1, 0, 1, 0])]);
    let error = Comparison::new(&[("first", &first), ("second", &second)]).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("against \"first\": \"second\" lacks a and adds c"), "{message}");
    assert_eq!(Comparison::new(&[("first", &first)]), Err(Error::NothingToCompare { found: 1 }));
    assert_eq!(Comparison::new(&[]), Err(Error::NothingToCompare { found: 0 }));
}
