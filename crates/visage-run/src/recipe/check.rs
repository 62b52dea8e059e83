//! Checks of values against their ranges.

use std::fmt::Display;

use super::error::Problem;

/// Collects the values that are out of range, so that one error lists all of them.
#[derive(Default)]
pub(super) struct Checks(pub Vec<Problem>);

impl Checks {
    /// Notes a problem unless `holds`. `allowed` completes the sentence "it must be ...".
    pub fn require(&mut self, holds: bool, key: &'static str, value: impl Display, allowed: &str) {
        if !holds {
            self.0.push(Problem { key, line: None, message: format!("is {value}; it must be {allowed}") });
        }
    }

    /// In `0..=1`.
    pub fn probability(&mut self, key: &'static str, value: f32) {
        self.require((0.0..=1.0).contains(&value), key, value, "between 0 and 1");
    }

    /// In `0..1`, both ends excluded.
    pub fn between_0_and_1(&mut self, key: &'static str, value: f64) {
        self.require(value > 0.0 && value < 1.0, key, value, "above 0 and below 1");
    }

    /// In `0..1`, 0 included.
    pub fn at_least_0_below_1(&mut self, key: &'static str, value: f64) {
        self.require((0.0..1.0).contains(&value), key, value, "at least 0 and below 1");
    }

    /// In `0..=1`, 0 excluded.
    pub fn above_0_to_1(&mut self, key: &'static str, value: f64) {
        self.require(value > 0.0 && value <= 1.0, key, value, "above 0 and at most 1");
    }

    /// Positive and finite.
    pub fn above_0<T: Copy + Display + Into<f64>>(&mut self, key: &'static str, value: T) {
        let number: f64 = value.into();
        self.require(number > 0.0 && number.is_finite(), key, value, "above 0 and finite");
    }

    /// Not negative, and finite.
    pub fn at_least_0(&mut self, key: &'static str, value: f64) {
        self.require(value >= 0.0 && value.is_finite(), key, value, "at least 0 and finite");
    }
}

/// Values as TOML writes a list.
pub(super) fn list<T: Display>(values: &[T]) -> String {
    format!("[{}]", values.iter().map(T::to_string).collect::<Vec<_>>().join(", "))
}

/// Refuses keys that are set although `choice` does not use them; each is its name and whether it is set.
///
/// # Errors
///
/// Names the first of them.
pub(super) fn refuse_unused(choice: &str, keys: &[(&str, bool)]) -> Result<(), String> {
    match keys.iter().find(|(_, set)| *set) {
        Some((key, _)) => Err(format!("`{key}` means nothing with {choice}: remove it, or change the choice")),
        None => Ok(()),
    }
}
