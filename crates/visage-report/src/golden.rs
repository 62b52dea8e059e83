//! Numbers of other programs, from the golden folder.

use serde_json::Value;

/// What `make_statistics.py` computed for figures, under `name`.
pub fn of_figures(name: &str) -> Value {
    let text = include_str!("../../../tests/golden/statistics.json");
    serde_json::from_str::<Value>(text).unwrap()["figures"][name].take()
}

pub fn numbers(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}
