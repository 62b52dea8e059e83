//! Every number of the golden `statistics.json`, which scikit-learn, scipy, statsmodels and cleanlab computed.

use serde_json::Value;
use visage_judge::{
    Calibration, CalibrationMethod, Interval, Intervals, Judged, Metric, Predictions, Resampling, ThresholdRule,
    Thresholds, audit, evaluate, holm, mcnemar, normal_p, probabilities, resample,
};

macro_rules! golden {
    ($name:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/", $name)
    };
}

fn golden(part: &str) -> Value {
    let text = std::fs::read_to_string(golden!("statistics.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()[part].take()
}

/// The formula of the golden folder's README.
fn uniform(name: &str) -> impl Iterator<Item = f64> {
    let hash = |state: u64, byte: &u8| (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
    let state = name.as_bytes().iter().fold(0xCBF2_9CE4_8422_2325, hash);
    (1_u64..).map(move |k| {
        let z = state.wrapping_add(k.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24)
    })
}

fn table(path: &str) -> Vec<Vec<f64>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).unwrap();
    reader.deserialize().map(|row| row.unwrap()).collect()
}

fn predictions() -> Predictions {
    let (probabilities, labels) = (table(golden!("metrics_prob.csv")), table(golden!("metrics_label.csv")));
    let attributes = (0..labels[0].len()).map(|column| format!("column {column}")).collect();
    let labels = labels.concat().into_iter().map(|label| Some(label == 1.0)).collect();
    let probabilities = probabilities.concat().into_iter().map(|probability| probability as f32).collect();
    Predictions::new(attributes, labels, probabilities).unwrap()
}

#[track_caller]
fn assert_close(found: f64, golden: &Value, tolerance: f64, what: &str) {
    let golden = golden.as_f64().unwrap();
    assert!((found - golden).abs() <= tolerance, "{what}: {found}, golden {golden}");
}

#[test]
fn mcnemars_test_is_statsmodels() {
    for case in golden("mcnemar").as_array().unwrap() {
        let [b, c] = [&case[0], &case[1]].map(|count| count.as_u64().unwrap());
        let p = case[2].as_f64().unwrap();
        assert_close(mcnemar(b, c), &case[2], 1e-9 * p, &format!("{b} against {c}"));
        assert_eq!(mcnemar(b, c), mcnemar(c, b));
    }
    assert_eq!(mcnemar(0, 1 << 40), 0.0, "so many that the smallest p-value is 0");
}

#[test]
fn holms_correction_is_statsmodels() {
    let golden = golden("holm");
    let p: Vec<Option<f64>> = golden["p"].as_array().unwrap().iter().map(Value::as_f64).collect();
    for (found, expected) in holm(&p).into_iter().zip(golden["adjusted"].as_array().unwrap()) {
        assert_close(found.unwrap(), expected, 1e-15, "adjusted");
    }
    // What was not tested takes no part.
    assert_eq!(holm(&[None, Some(0.01), None, Some(0.5)]), [None, Some(0.02), None, Some(0.5)]);
}

#[test]
fn the_normal_tail_is_scipys() {
    for case in golden("normal_p").as_array().unwrap() {
        let p = case[1].as_f64().unwrap();
        assert_close(normal_p(case[0].as_f64().unwrap()), &case[1], 1e-12 * p, &case[0].to_string());
    }
}

#[test]
fn bootstrap_intervals_are_percentiles_of_scikit_learns_weighted_metrics() {
    let golden = golden("bootstrap");
    let predictions = predictions();
    let thresholds = Thresholds::fixed(golden["threshold"].as_f64().unwrap() as f32, predictions.attributes().len());
    let draw = |number: u64, weights: &mut [u16]| {
        let images = weights.len();
        uniform(&format!("bootstrap/{number}"))
            .take(images)
            .for_each(|u| weights[(u * images as f64).floor() as usize] += 1);
    };
    let items = [Judged::new(&predictions, &thresholds, |_| true).unwrap()];
    let replicates = golden["replicates"].as_u64().unwrap() as usize;
    let drawn = resample(&items, &Resampling { replicates, draw: &draw }).unwrap().remove(0);
    let mut checked = 0;
    for (column, metrics) in golden["columns"].as_object().unwrap() {
        let index: usize = column.parse().unwrap();
        for (name, ends) in metrics.as_object().unwrap() {
            let metric: Metric = serde_json::from_value(name.as_str().into()).unwrap();
            let values = drawn.iter().map(|replicate| replicate.attributes[index].get(metric));
            let Interval { low, high } = Interval::of(values).unwrap();
            for (found, expected) in [low, high].into_iter().zip(ends.as_array().unwrap()) {
                assert_close(found, expected, 1e-12, &format!("column {column}, {metric}"));
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 54);
    // The error of calibration: the percentiles mirrored.
    let intervals = Intervals::new(&predictions, &thresholds, &Resampling { replicates, draw: &draw }).unwrap();
    for (column, ends) in golden["ece_basic"].as_object().unwrap() {
        let Interval { low, high } = intervals.attributes[column.parse::<usize>().unwrap()][&Metric::Ece];
        for (found, expected) in [low, high].into_iter().zip(ends.as_array().unwrap()) {
            assert_close(found, expected, 1e-12, &format!("column {column}, ECE"));
        }
    }
}

/// Logits and labels of the golden file's calibrations: row-major, one attribute.
fn to_calibrate() -> (Vec<f32>, Vec<Option<bool>>) {
    let logits =
        uniform("calibration/logit").take(400).map(|u| (8.0 * u - 5.0) * 1000.0).map(|x| x.round_ties_even() / 1000.0);
    let logits: Vec<f64> = logits.collect();
    let labels = uniform("calibration/label").zip(&logits).map(|(u, x)| Some(u < 1.0 / (1.0 + (-x / 2.0).exp())));
    let labels = labels.collect();
    (logits.iter().map(|x| ((x * 10.0).round_ties_even() / 10.0) as f32).collect(), labels)
}

#[test]
fn calibrations_are_scipys_and_scikit_learns() {
    let golden = golden("calibration");
    let (logits, labels) = to_calibrate();
    let fit = |method| Calibration::fit(method, 1, &labels, &logits);
    let (temperature, isotonic) = (fit(CalibrationMethod::Temperature), fit(CalibrationMethod::Isotonic));
    let Calibration::Temperature { temperatures } = &temperature else { panic!("{temperature:?}") };
    assert_close(temperatures[0].into(), &golden["temperature"], 1e-5, "temperature");
    for point in golden["isotonic"].as_array().unwrap() {
        let logit = point[0].as_f64().unwrap() as f32;
        let found = probabilities(Some(&isotonic), &[logit])[0];
        assert_close(found.into(), &point[1], 2e-6, &format!("isotonic at {logit}"));
    }
    let ece = |calibration| {
        let probabilities = probabilities(calibration, &logits);
        let predictions = Predictions::new(vec!["a".into()], labels.clone(), probabilities).unwrap();
        evaluate(&predictions, &Thresholds::fixed(0.5, 1)).unwrap().macro_average.ece.unwrap()
    };
    assert_close(ece(None), &golden["ece"][0], 1e-6, "ECE without calibration");
    assert_close(ece(Some(&temperature)), &golden["ece"][1], 1e-5, "ECE by temperature");
    assert_close(ece(Some(&isotonic)), &golden["ece"][2], 1e-6, "ECE by isotonic regression");
}

#[test]
fn thresholds_for_a_wanted_precision_or_recall_are_those_of_scikit_learns_curve() {
    let golden = golden("thresholds");
    let predictions = predictions();
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

#[test]
fn suspected_labels_are_cleanlabs() {
    let golden = golden("audit");
    let predictions = predictions();
    for (column, golden) in golden.as_object().unwrap() {
        let name = format!("column {column}");
        let mut doubts = audit(&predictions.select(&[&name]).unwrap()).unwrap().doubts;
        doubts.sort_by_key(|doubt| doubt.image);
        let suspects: Vec<usize> = serde_json::from_value(golden["suspects"].clone()).unwrap();
        for doubt in doubts {
            assert_eq!(doubt.suspect, suspects.contains(&doubt.image), "{name}: {doubt:?}");
        }
    }
}
