//! Numbers of other programs, from the golden folder, for unit tests.

use serde_json::Value;

use crate::predictions::Predictions;

macro_rules! golden {
    ($name:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/", $name)
    };
}

/// A part of `statistics.json`, which scikit-learn, SciPy, statsmodels and cleanlab computed.
pub fn statistics(part: &str) -> Value {
    let text = std::fs::read_to_string(golden!("statistics.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()[part].take()
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

/// The golden predictions of eight attributes.
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

#[track_caller]
pub fn assert_close(found: f64, golden: &Value, tolerance: f64, what: &str) {
    let golden = golden.as_f64().unwrap();
    assert!((found - golden).abs() <= tolerance, "{what}: {found}, golden {golden}");
}
