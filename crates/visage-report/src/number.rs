//! Numbers as text, in figures.

use crate::format::count;

/// A number to about three significant digits.
pub fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    if !(1e-3..1e6).contains(&size) {
        return format!("{value:.1e}").replace(".0e", "e");
    }
    let decimals = (2 - size.log10().floor() as i32).max(0) as usize;
    let text = if size >= 1e4 { grouped(value) } else { format!("{value:.decimals$}") };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A share as a percentage, with a non-breaking space.
pub fn percent(share: f64) -> String {
    let value = share * 100.0;
    let decimals = usize::from(value > 0.0 && value < 9.95);
    format!("{value:.decimals$}\u{a0}%")
}

/// A whole number in groups of three digits.
pub fn grouped(value: f64) -> String {
    let text = count(value.abs().round_ties_even() as u64);
    if value < 0.0 { format!("\u{2212}{text}") } else { text }
}

/// The median; `None` without finite values.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    quantile(values, 0.5)
}

/// The quantile at `share`, interpolated linearly; `None` without finite values.
pub fn quantile(values: impl IntoIterator<Item = f64>, share: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let position = share * last as f64;
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_significant_digits() {
        let found = [0.0, 0.5, 0.12345, 1.0, 12.345, 1234.0, 12345.0, 2e-5, -0.25, 3.5e7].map(short);
        assert_eq!(found, ["0", "0.5", "0.123", "1", "12.3", "1234", "12,345", "2e-5", "-0.25", "3.5e7"]);
        assert_eq!(
            [0.0, 0.021, 0.5, 0.996, 1.0].map(percent),
            ["0\u{a0}%", "2.1\u{a0}%", "50\u{a0}%", "100\u{a0}%", "100\u{a0}%"]
        );
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, f64::NAN, 2.0, 3.0]), Some(2.5));
        let golden = crate::golden::of_figures("quantiles");
        for at in golden["at"].as_array().unwrap().iter().map(crate::golden::numbers) {
            let found = quantile(crate::golden::numbers(&golden["values"]), at[0]).unwrap();
            assert!((found - at[1]).abs() < 1e-12, "{found}, golden {at:?}");
        }
        assert_eq!(median([]), None);
    }
}
