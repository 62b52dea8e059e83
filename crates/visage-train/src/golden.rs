//! Numbers that PyTorch computed, for unit tests.

use serde_json::Value;

/// A part of the crate's own `training.json`.
pub fn training(part: &str) -> Value {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/training.json"));
    serde_json::from_str::<Value>(text).unwrap()[part].take()
}
