use super::*;
use crate::{Predictions, Thresholds, evaluate, golden};

#[test]
fn one_class_or_none_keeps_the_sigmoid() {
    let labels = [Some(true), None, Some(true), None];
    let logits = [3.0, -1.0, 0.5, 2.0];
    for method in [CalibrationMethod::Temperature, CalibrationMethod::Isotonic] {
        let calibration = Calibration::fit(method, 2, &labels, &logits);
        assert_eq!(probabilities(Some(&calibration), &logits), probabilities(None, &logits), "{method}");
        assert_eq!(calibration.check(2), Ok(()));
        assert!(calibration.check(3).is_err());
        let json = serde_json::to_string(&calibration).unwrap();
        assert_eq!(serde_json::from_str::<Calibration>(&json).unwrap(), calibration);
    }
}

#[test]
fn each_column_is_mapped_by_its_own_attribute() {
    let calibration = Calibration::Temperature { temperatures: vec![1.0, 2.0] };
    let [one, two] = [1.0, 2.0].map(sigmoid);
    assert_eq!(probabilities(Some(&calibration), &[1.0, 2.0, 2.0, 4.0]), [one, one, two, two]);
    assert_eq!(probabilities(None, &[1.0, 2.0]), [one, two]);
}

#[test]
fn invalid_values_are_refused() {
    let curve = |logits: &[f32], probabilities: &[f32]| Calibration::Isotonic {
        curves: vec![Curve { logits: logits.to_vec(), probabilities: probabilities.to_vec() }],
    };
    assert_eq!(curve(&[0.0, 1.0], &[0.25, 0.25]).check(1), Ok(()));
    for wrong in [
        curve(&[0.0, 1.0], &[0.5, 0.25]),
        curve(&[0.0, 0.0], &[0.25, 0.5]),
        curve(&[0.0], &[0.25, 0.5]),
        curve(&[0.0], &[1.5]),
        curve(&[f32::NAN], &[0.5]),
        Calibration::Temperature { temperatures: vec![0.0] },
        Calibration::Temperature { temperatures: vec![f32::INFINITY] },
    ] {
        assert!(wrong.check(1).is_err(), "{wrong:?}");
    }
}

#[test]
fn cross_fitting_leaves_out_the_image_it_predicts() {
    // Random labels: fitted on themselves they look perfectly calibrated, on others not.
    let labels: Vec<Option<bool>> = (0..40_u32).map(|i| Some(i.wrapping_mul(2_654_435_761) >> 31 == 1)).collect();
    let logits: Vec<f32> = (0..40_u8).map(f32::from).collect();
    let fitted = Calibration::fit(CalibrationMethod::Isotonic, 1, &labels, &logits);
    let cross = Calibration::cross_fitted(CalibrationMethod::Isotonic, 1, &labels, &logits);
    assert_ne!(probabilities(Some(&fitted), &logits), cross);
}

/// Logits and labels of the golden calibrations, of one attribute.
fn to_calibrate() -> (Vec<f32>, Vec<Option<bool>>) {
    let logits = golden::uniform("calibration/logit")
        .take(400)
        .map(|u| (8.0 * u - 5.0) * 1000.0)
        .map(|x| x.round_ties_even() / 1000.0);
    let logits: Vec<f64> = logits.collect();
    let labels =
        golden::uniform("calibration/label").zip(&logits).map(|(u, x)| Some(u < 1.0 / (1.0 + (-x / 2.0).exp())));
    let labels = labels.collect();
    (logits.iter().map(|x| ((x * 10.0).round_ties_even() / 10.0) as f32).collect(), labels)
}

#[test]
fn calibrations_are_scipys_and_scikit_learns() {
    let golden = golden::statistics("calibration");
    let (logits, labels) = to_calibrate();
    let fit = |method| Calibration::fit(method, 1, &labels, &logits);
    let (temperature, isotonic) = (fit(CalibrationMethod::Temperature), fit(CalibrationMethod::Isotonic));
    let Calibration::Temperature { temperatures } = &temperature else { panic!("{temperature:?}") };
    golden::assert_close(f64::from(temperatures[0]), &golden["temperature"], 1e-5, "temperature");
    for point in golden["isotonic"].as_array().unwrap() {
        let logit = point[0].as_f64().unwrap() as f32;
        let found = probabilities(Some(&isotonic), &[logit])[0];
        golden::assert_close(f64::from(found), &point[1], 2e-6, &format!("isotonic at {logit}"));
    }
    let ece = |calibration| {
        let probabilities = probabilities(calibration, &logits);
        let predictions = Predictions::new(vec!["a".into()], labels.clone(), probabilities).unwrap();
        evaluate(&predictions, &Thresholds::fixed(0.5, 1)).unwrap().macro_average.ece.unwrap()
    };
    golden::assert_close(ece(None), &golden["ece"][0], 1e-6, "ECE without calibration");
    golden::assert_close(ece(Some(&temperature)), &golden["ece"][1], 1e-5, "ECE by temperature");
    golden::assert_close(ece(Some(&isotonic)), &golden["ece"][2], 1e-6, "ECE by isotonic regression");
}
