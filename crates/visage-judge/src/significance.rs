//! Whether a difference is more than chance.

/// The two-sided p-value of McNemar's exact test (McNemar, 1947): two classifiers answered the same images, and on
/// `only_first` and `only_second` of them one alone was right. If neither is better, each such image is the toss of a coin.
///
/// Exact for any number, so that no approximation has to be chosen; 1 where no image tells them apart.
#[must_use]
pub fn mcnemar(only_first: u64, only_second: u64) -> f64 {
    let (fewer, tosses) = (only_first.min(only_second), only_first + only_second);
    // The largest term of the binomial tail, then downwards by the ratio of neighbours.
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

/// The two-sided p-value of a standard normal `z`.
#[must_use]
pub fn normal_p(z: f64) -> f64 {
    libm::erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// Holm's correction (1979) of the p-values of several tests: each may be compared with the level that the whole family
/// may err at. In the order given; `None` where there was no test, which counts as none.
#[must_use]
pub fn holm(p_values: &[Option<f64>]) -> Vec<Option<f64>> {
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
