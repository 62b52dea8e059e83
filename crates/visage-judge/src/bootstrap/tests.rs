use super::*;
use crate::{evaluate, golden};

/// Draws every image once: the metrics are those of [`evaluate`].
fn once(_: u64, weights: &mut [u16]) {
    weights.fill(1);
}

fn predictions() -> Predictions {
    let cell = |i: u32| i.wrapping_mul(2_654_435_761) >> 16;
    let labels = (0..600).map(|i| (cell(i) % 11 > 0).then(|| cell(i + 7000) % 5 < 2)).collect();
    // Few distinct probabilities, so that there are many ties.
    let probabilities = (0..600).map(|i| (cell(i + 9000) % 41) as f32 / 40.0).collect();
    let targets = (0..600).map(|i| (cell(i + 5000) % 9) as f32 / 8.0).collect();
    let predictions = Predictions::new(["a", "b", "c"].map(str::to_owned).to_vec(), labels, probabilities).unwrap();
    predictions.with_targets(targets).unwrap()
}

#[track_caller]
fn assert_same(found: &Scores, expected: &Scores) {
    for metric in Metric::ALL {
        let (found, expected) = (found.get(metric), expected.get(metric));
        let same = match (found, expected) {
            (Some(a), Some(b)) => (a - b).abs() < 1e-12,
            (a, b) => a == b,
        };
        assert!(same, "{metric}: {found:?}, expected {expected:?}");
    }
}

#[test]
fn drawing_every_image_once_is_the_evaluation() {
    let (predictions, thresholds) = (predictions(), Thresholds::fixed(0.4, 3));
    let items = [WeightedEvaluator::new(&predictions, &thresholds, |_| true).unwrap()];
    let found = resample(&items, &Resampling { replicates: 1, draw: &once }).unwrap().remove(0).remove(0);
    let expected = evaluate(&predictions, &thresholds).unwrap();
    assert_same(&found.macro_average, &expected.macro_average);
    assert_same(&found.micro_average, &expected.micro_average);
    for (found, expected) in found.attributes.iter().zip(&expected.attributes) {
        assert_same(found, &expected.scores);
    }
}

#[test]
fn a_weight_repeats_an_image() {
    let (all, thresholds) = (predictions(), Thresholds::fixed(0.4, 3));
    let weight = |image: usize| [0, 2, 1, 0, 3][image % 5];
    let draw = |_: u64, weights: &mut [u16]| {
        weights.iter_mut().enumerate().for_each(|(image, count)| *count = weight(image));
    };
    // The first half only, as a group.
    let items = [WeightedEvaluator::new(&all, &thresholds, |image| image < 100).unwrap()];
    let found = resample(&items, &Resampling { replicates: 1, draw: &draw }).unwrap().remove(0).remove(0);

    let rows = (0..100).flat_map(|image| std::iter::repeat_n(image, usize::from(weight(image))));
    let cells: Vec<usize> = rows.flat_map(|image| image * 3..(image + 1) * 3).collect();
    let labels = cells.iter().map(|&cell| all.labels()[cell]).collect();
    let probabilities = cells.iter().map(|&cell| all.probabilities()[cell]).collect();
    let targets = cells.iter().map(|&cell| all.targets().unwrap()[cell]).collect();
    let repeated = Predictions::new(all.attributes().to_vec(), labels, probabilities).unwrap();
    let repeated = repeated.with_targets(targets).unwrap();
    let expected = evaluate(&repeated, &thresholds).unwrap();
    assert_same(&found.micro_average, &expected.micro_average);
    for (found, expected) in found.attributes.iter().zip(&expected.attributes) {
        assert_same(found, &expected.scores);
    }
}

#[test]
fn intervals_are_percentiles_where_the_metric_is_mostly_defined() {
    let values = (0..1000).rev().map(|value| Some(f64::from(value)));
    let Interval { low, high } = Interval::percentile(values).unwrap();
    assert!((low - 24.975).abs() < 1e-9 && (high - 974.025).abs() < 1e-9, "{low} to {high}");
    assert_eq!(Interval::percentile([Some(1.0), None, None].into_iter()), None);
    assert_eq!(Interval::percentile([Some(1.0), Some(1.0), None].into_iter()), Some(Interval { low: 1.0, high: 1.0 }));
    assert_eq!(Interval::percentile(std::iter::empty()), None);
    assert_eq!(serde_json::to_string(&Interval { low: 0.25, high: 0.5 }).unwrap(), "[0.25,0.5]");
}

#[test]
fn the_interval_of_a_biased_metric_holds_estimate_and_truth() {
    // Every probability is 0.05 too low, so the true error is 0.05. 200 tables of 300 images.
    const TRUTH: f64 = 0.05;
    let mut random = golden::park_miller();
    let draw = |number: u64, weights: &mut [u16]| {
        let mut state = (number + 1) * 48_271 % 2_147_483_647;
        for _ in 0..weights.len() {
            state = state * 48_271 % 2_147_483_647;
            weights[state as usize % weights.len()] += 1;
        }
    };
    let (mut covered, mut covered_by_percentiles) = (0, 0);
    for _ in 0..200 {
        let probabilities: Vec<f32> = (0..300).map(|_| (0.9 * random()) as f32).collect();
        let labels = probabilities.iter().map(|&p| Some(random() < f64::from(p) + TRUTH)).collect();
        let predictions = Predictions::new(vec!["a".into()], labels, probabilities).unwrap();
        let (thresholds, resampling) = (Thresholds::fixed(0.5, 1), Resampling { replicates: 100, draw: &draw });
        let intervals = Intervals::new(&predictions, &thresholds, &resampling).unwrap();
        let estimate = evaluate(&predictions, &thresholds).unwrap().attributes[0].scores.ece.unwrap();
        let ece = intervals.attributes[0][&Metric::Ece];
        assert!(ece.contains(estimate) && ece.low >= 0.0, "{estimate} in {ece:?}");
        covered += usize::from(ece.contains(TRUTH));
        let items = [WeightedEvaluator::new(&predictions, &thresholds, |_| true).unwrap()];
        let drawn = resample(&items, &resampling).unwrap().remove(0);
        let percentiles = Interval::percentile(drawn.iter().map(|replicate| replicate.attributes[0].ece)).unwrap();
        covered_by_percentiles += usize::from(percentiles.contains(TRUTH));
    }
    assert!(covered >= 160, "{covered} of 200");
    assert!(covered_by_percentiles <= 60, "{covered_by_percentiles} of 200: percentiles would have done");
}

#[test]
fn tables_of_different_sizes_do_not_share_draws() {
    let thresholds = Thresholds::fixed(0.4, 3);
    let few = Predictions::new(predictions().attributes().to_vec(), vec![None; 3], vec![0.5; 3]).unwrap();
    let items = [&predictions(), &few].map(|table| WeightedEvaluator::new(table, &thresholds, |_| true).unwrap());
    let error = resample(&items, &Resampling { replicates: 1, draw: &once }).unwrap_err();
    assert_eq!(error, Error::DifferentImages { first: 200, other: 1 });
}

#[test]
fn bootstrap_intervals_are_percentiles_of_scikit_learns_weighted_metrics() {
    let golden = golden::statistics("bootstrap");
    let predictions = golden::predictions();
    let thresholds = Thresholds::fixed(golden["threshold"].as_f64().unwrap() as f32, predictions.attributes().len());
    let draw = |number: u64, weights: &mut [u16]| {
        let images = weights.len();
        golden::uniform(&format!("bootstrap/{number}"))
            .take(images)
            .for_each(|u| weights[(u * images as f64).floor() as usize] += 1);
    };
    let items = [WeightedEvaluator::new(&predictions, &thresholds, |_| true).unwrap()];
    let replicates = golden["replicates"].as_u64().unwrap() as usize;
    let drawn = resample(&items, &Resampling { replicates, draw: &draw }).unwrap().remove(0);
    let mut checked = 0;
    for (column, metrics) in golden["columns"].as_object().unwrap() {
        let index: usize = column.parse().unwrap();
        for (name, ends) in metrics.as_object().unwrap() {
            let metric: Metric = serde_json::from_value(name.as_str().into()).unwrap();
            let values = drawn.iter().map(|replicate| replicate.attributes[index].get(metric));
            let Interval { low, high } = Interval::percentile(values).unwrap();
            for (found, expected) in [low, high].into_iter().zip(ends.as_array().unwrap()) {
                golden::assert_close(found, expected, 1e-12, &format!("column {column}, {metric}"));
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 54);
    // The calibration error has the basic interval.
    let intervals = Intervals::new(&predictions, &thresholds, &Resampling { replicates, draw: &draw }).unwrap();
    for (column, ends) in golden["ece_basic"].as_object().unwrap() {
        let Interval { low, high } = intervals.attributes[column.parse::<usize>().unwrap()][&Metric::Ece];
        for (found, expected) in [low, high].into_iter().zip(ends.as_array().unwrap()) {
            golden::assert_close(found, expected, 1e-12, &format!("column {column}, ECE"));
        }
    }
}
