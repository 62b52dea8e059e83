//! Axes: scale and ticks.

use crate::number::short;

const TICKS: f64 = 5.0;

/// An axis: label, with the unit, and range, not empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub label: String,
    pub low: f64,
    pub high: f64,
    /// Whether it is logarithmic; then `low` is above 0.
    pub log: bool,
    /// Whether values are positive in both directions from 0, as in two histograms back to back.
    pub mirrored: bool,
}

impl Axis {
    pub fn new(label: impl Into<String>, low: f64, high: f64) -> Self {
        let (low, high) = if low.is_finite() && high.is_finite() { (low, high) } else { (0.0, 1.0) };
        let high = if high > low { high } else { low + if low == 0.0 { 1.0 } else { low.abs() } };
        Self { label: label.into(), low, high, log: false, mirrored: false }
    }

    /// An axis that counts up from its middle to `end` in both directions.
    pub fn mirrored(label: impl Into<String>, end: f64) -> Self {
        Self { mirrored: true, ..Self::new(label, -end, end) }
    }

    pub fn share(label: impl Into<String>) -> Self {
        Self::new(label, 0.0, 1.0)
    }

    /// An axis that covers `values` and ends at ticks.
    pub fn around(label: impl Into<String>, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = extent(values);
        let axis = Self::new(label, low, high);
        let step = axis.step();
        Self { low: (axis.low / step).floor() * step, high: (axis.high / step).ceil() * step, ..axis }
    }

    /// An axis from 0 that covers `values`, none of them negative.
    pub fn from_zero(label: impl Into<String>, values: impl Iterator<Item = f64>) -> Self {
        Self::around(label, values.chain([0.0]))
    }

    /// A logarithmic axis that covers the positive `values`; a linear one from 0 if they span less than a factor of 8.
    pub fn ratios(label: impl Into<String>, values: impl Iterator<Item = f64> + Clone) -> Self {
        let (low, high) = extent(values.clone().filter(|&value| value > 0.0));
        if !(low > 0.0 && high / low >= 8.0) {
            return Self::from_zero(label, values.filter(|&value| value >= 0.0));
        }
        let nice = |value: f64, up: bool| {
            let decade = 10f64.powf(value.log10().floor());
            let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade);
            let found = if up {
                steps.into_iter().find(|&step| step >= value)
            } else {
                steps.into_iter().rev().find(|&step| step <= value)
            };
            found.unwrap_or(value)
        };
        Self { label: label.into(), low: nice(low, false), high: nice(high, true), log: true, mirrored: false }
    }

    /// The position of `value` on the axis: 0 at its beginning, 1 at its end, clamped.
    pub fn position(&self, value: f64) -> f64 {
        let position = if self.log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        position.clamp(0.0, 1.0)
    }

    /// The ticks: values and labels.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        if self.log {
            let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
            let steps: &[f64] = if self.high / self.low > 300.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
            let values = decades.flat_map(|decade| steps.iter().map(move |step| step * 10f64.powi(decade)));
            let inside = values.filter(|&v| v >= self.low * 0.999 && v <= self.high * 1.001);
            return inside.map(|value| (value, short(value))).collect();
        }
        let step = self.step();
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        let largest = self.low.abs().max(self.high.abs());
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let text = |value: f64| {
            let value = if self.mirrored { value.abs() } else { value };
            if !(1e-2..1e5).contains(&largest) { short(value) } else { format!("{value:.decimals$}") }
        };
        (first..=last).map(|number| number as f64 * step).map(|value| (value, text(value))).collect()
    }

    /// The distance of ticks: 1, 2 or 5 times a power of ten.
    fn step(&self) -> f64 {
        let rough = (self.high - self.low) / TICKS;
        let decade = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0].into_iter().find(|step| step * decade >= rough * 0.999).unwrap_or(10.0);
        step * decade
    }
}

/// The least and the greatest of the finite values; 0 and 1 of none.
fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values = values.filter(|value| value.is_finite());
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(texts(&Axis::share("")), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(&Axis::around("", [3.0, 97.0].into_iter())), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(
            texts(&Axis::around("", [0.301, 0.342].into_iter())),
            ["0.30", "0.31", "0.32", "0.33", "0.34", "0.35"]
        );
        assert_eq!(texts(&Axis::ratios("", [0.3, 40.0].into_iter())), ["0.2", "0.5", "1", "2", "5", "10", "20", "50"]);
        assert_eq!(texts(&Axis::from_zero("", [4e-4].into_iter())), ["0", "1e-4", "2e-4", "3e-4", "4e-4"]);
    }

    #[test]
    fn values_have_a_place() {
        let axis = Axis::ratios("", [1.0, 100.0].into_iter());
        assert_eq!([0.0, 1.0, 10.0, 100.0, 1e9].map(|v| axis.position(v)), [0.0, 0.0, 0.5, 1.0, 1.0]);
        assert_eq!(Axis::new("", 2.0, 4.0).position(3.0), 0.5);
    }

    #[test]
    fn an_axis_of_nothing_or_of_one_value_is_an_axis() {
        for axis in
            [Axis::around("", [].into_iter()), Axis::around("", [5.0].into_iter()), Axis::new("", f64::NAN, 1.0)]
        {
            assert!(axis.high > axis.low && axis.ticks().len() > 1, "{axis:?}");
        }
    }
}
