//! Significance tests.

/// The two-sided p-value of McNemar's exact test (McNemar, 1947) for two classifiers on the same images: `only_first` and
/// `only_second` are the numbers of images that one of them alone classified correctly. Under the null hypothesis each such
/// image is a fair coin toss. 1 without such images.
pub(super) fn mcnemar(only_first: u64, only_second: u64) -> f64 {
    let (fewer, tosses) = (only_first.min(only_second), only_first + only_second);
    // The largest term of the binomial tail; the others follow by the ratio of neighbours.
    let ln_gamma = |count: u64| libm::lgamma(count as f64 + 1.0);
    let mut term =
        (ln_gamma(tosses) - ln_gamma(fewer) - ln_gamma(tosses - fewer) - tosses as f64 * std::f64::consts::LN_2).exp();
    let mut tail = 0.0;
    for heads in (0..=fewer).rev() {
        tail += term;
        if term < tail * f64::EPSILON {
            break;
        }
        term *= heads as f64 / (tosses - heads + 1) as f64;
    }
    (2.0 * tail).min(1.0)
}

pub(super) fn normal_p(z: f64) -> f64 {
    libm::erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// Holm's correction (1979) of the p-values of a family of tests, in the order given: each adjusted value is compared with the
/// family-wise error rate. `None` entries are not part of the family.
pub(super) fn holm(p_values: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut tests: Vec<(usize, f64)> =
        p_values.iter().enumerate().filter_map(|(test, p)| Some((test, (*p)?))).collect();
    tests.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut adjusted = vec![None; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, &(test, p)) in tests.iter().enumerate() {
        largest = largest.max((p * (tests.len() - rank) as f64).min(1.0));
        adjusted[test] = Some(largest);
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn mcnemars_test_is_statsmodels() {
        for case in golden::statistics("mcnemar").as_array().unwrap() {
            let [b, c] = [&case[0], &case[1]].map(|count| count.as_u64().unwrap());
            let p = case[2].as_f64().unwrap();
            golden::assert_close(mcnemar(b, c), &case[2], 1e-9 * p, &format!("{b} against {c}"));
            assert_eq!(mcnemar(b, c), mcnemar(c, b));
        }
        assert_eq!(mcnemar(0, 1 << 40), 0.0, "so many that the smallest p-value is 0");
    }

    #[test]
    fn holms_correction_is_statsmodels() {
        let golden = golden::statistics("holm");
        let p: Vec<Option<f64>> = golden["p"].as_array().unwrap().iter().map(serde_json::Value::as_f64).collect();
        for (found, expected) in holm(&p).into_iter().zip(golden["adjusted"].as_array().unwrap()) {
            golden::assert_close(found.unwrap(), expected, 1e-15, "adjusted");
        }
        assert_eq!(holm(&[None, Some(0.01), None, Some(0.5)]), [None, Some(0.02), None, Some(0.5)]);
    }

    #[test]
    fn the_normal_tail_is_scipys() {
        for case in golden::statistics("normal_p").as_array().unwrap() {
            let p = case[1].as_f64().unwrap();
            golden::assert_close(normal_p(case[0].as_f64().unwrap()), &case[1], 1e-12 * p, &case[0].to_string());
        }
    }
}
