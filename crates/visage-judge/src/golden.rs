//! For unit tests: numbers of other programs, from the golden folder, and pseudo-random draws.

use serde_json::Value;

use crate::predictions::Predictions;

macro_rules! golden {
    ($name:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/", $name)
    };
}

fn json(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A part of `statistics.json`, which scikit-learn, SciPy, statsmodels and cleanlab computed.
pub fn statistics(part: &str) -> Value {
    json(golden!("statistics.json"))[part].take()
}

pub fn metrics() -> Value {
    json(golden!("metrics.json"))
}

/// The stream of numbers in 0 to 1 that the golden folder's README defines.
pub fn uniform(name: &str) -> impl Iterator<Item = f64> {
    let hash = |state: u64, byte: &u8| (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
    let state = name.as_bytes().iter().fold(0xCBF2_9CE4_8422_2325, hash);
    (1_u64..).map(move |k| {
        let z = state.wrapping_add(k.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24)
    })
}

pub fn predictions() -> Predictions {
    let table = |path: &str| -> Vec<Vec<f64>> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(path).unwrap();
        reader.deserialize().map(|row| row.unwrap()).collect()
    };
    let (probabilities, labels) = (table(golden!("metrics_prob.csv")), table(golden!("metrics_label.csv")));
    let attributes = (0..labels[0].len()).map(|column| format!("column {column}")).collect();
    let labels = labels.concat().into_iter().map(|label| Some(label == 1.0)).collect();
    let probabilities = probabilities.concat().into_iter().map(|probability| probability as f32).collect();
    Predictions::new(attributes, labels, probabilities).unwrap()
}

/// Numbers in 0 to 1, from a multiplicative congruential generator (Park and Miller, 1988).
pub fn park_miller() -> impl FnMut() -> f64 {
    let mut state = 1_u64;
    move || {
        state = state * 16_807 % 2_147_483_647;
        state as f64 / 2_147_483_647.0
    }
}

pub fn draw(number: u64, weights: &mut [u16]) {
    let mut state = (number + 1) * 16_807 % 2_147_483_647;
    for _ in 0..weights.len() {
        state = state * 16_807 % 2_147_483_647;
        weights[state as usize % weights.len()] += 1;
    }
}

#[track_caller]
pub fn assert_close(found: impl Into<Option<f64>>, golden: &Value, tolerance: f64, what: &str) {
    match (found.into(), golden.as_f64()) {
        (Some(found), Some(golden)) => {
            assert!((found - golden).abs() <= tolerance, "{what}: {found}, golden {golden}");
        }
        (None, None) if golden.is_null() => {}
        (found, _) => panic!("{what}: {found:?}, golden {golden}"),
    }
}
