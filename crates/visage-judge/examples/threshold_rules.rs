//! What threshold rules are worth on images that they were not chosen on.
//!
//! Thresholds are chosen on a random half of the images of a predictions file and judged on the other, 100 times. With a
//! second file they are chosen on all images of the first and judged on 100 bootstrap samples of the second.
//!
//! ```sh
//! visage evaluate RUN --data faces --split validation --out metrics.json
//! cargo run --release -p visage-judge --example threshold_rules -- metrics.predictions.safetensors [TEST]
//! ```
//!
//! Each row has the mean macro F1 and accuracy over the repeats, and the mean difference to `best-f1` with the interval
//! that holds 95 % of the repeats; then the same for the attributes with fewer than 50 positives where thresholds were
//! chosen.

use std::error::Error;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use visage_judge::{Predictions, ThresholdRule, Thresholds, evaluate};

const REPEATS: u64 = 100;
/// An attribute with fewer positives is rare.
const RARE: usize = 50;
/// Macro F1 and accuracy of all attributes, then of rare ones.
type Row = [f64; 4];

fn main() -> Result<(), Box<dyn Error>> {
    let files: Vec<Predictions> = std::env::args().skip(1).map(|path| read(&path)).collect::<Result<_, _>>()?;
    let (validation, test) = match files.as_slice() {
        [both] => (both, None),
        [validation, test] => (validation, Some(test)),
        _ => return Err("give one predictions file or two".into()),
    };
    let mut rules = vec![
        ("best-f1".to_owned(), Some(ThresholdRule::BestF1)),
        ("0.5".to_owned(), None),
        ("prevalence".to_owned(), Some(ThresholdRule::Prevalence)),
        ("smooth-f1".to_owned(), Some(ThresholdRule::SmoothF1)),
    ];
    for weight in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0] {
        rules.push((format!("balanced={weight}"), Some(ThresholdRule::Balanced(weight))));
    }
    let mut found: Vec<Vec<Row>> = vec![Vec::new(); rules.len()];
    for seed in 0..REPEATS {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (chosen_on, judged_on) = match test {
            None => {
                let mut images: Vec<usize> = (0..validation.images()).collect();
                images.shuffle(&mut random);
                let (first, second) = images.split_at(images.len() / 2);
                (of_images(validation, first)?, of_images(validation, second)?)
            }
            Some(test) => {
                let images: Vec<usize> = (0..test.images()).map(|_| random.random_range(0..test.images())).collect();
                (validation.clone(), of_images(test, &images)?)
            }
        };
        for ((_, rule), rows) in rules.iter().zip(&mut found) {
            rows.push(judged(*rule, &chosen_on, &judged_on)?);
        }
    }
    println!("| thresholds | macro F1 | accuracy | F1, rare | accuracy, rare |");
    println!("| --- | --- | --- | --- | --- |");
    for ((name, _), rows) in rules.iter().zip(&found) {
        let cells: Vec<String> = (0..4).map(|column| cell(rows, &found[0], column)).collect();
        println!("| `{name}` | {} |", cells.join(" | "));
    }
    Ok(())
}

/// Thresholds chosen on some images, or 0.5, judged on others.
fn judged(
    rule: Option<ThresholdRule>,
    chosen_on: &Predictions,
    judged_on: &Predictions,
) -> Result<Row, visage_judge::Error> {
    let thresholds = match rule {
        Some(rule) => Thresholds::choose(rule, chosen_on).thresholds,
        None => Thresholds::fixed(0.5, chosen_on.attributes().len()),
    };
    let evaluation = evaluate(judged_on, &thresholds)?;
    let width = chosen_on.attributes().len();
    let positives = |column: usize| {
        let labels = chosen_on.labels().iter().skip(column).step_by(width);
        labels.filter(|label| **label == Some(true)).count()
    };
    let rare: Vec<_> =
        evaluation.attributes.iter().enumerate().filter(|(column, _)| positives(*column) < RARE).collect();
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    Ok([
        evaluation.macro_average.f1.unwrap_or(f64::NAN),
        evaluation.macro_average.accuracy.unwrap_or(f64::NAN),
        mean(rare.iter().filter_map(|(_, attribute)| attribute.scores.f1).collect()),
        mean(rare.iter().filter_map(|(_, attribute)| attribute.scores.accuracy).collect()),
    ])
}

/// A mean, and the mean difference to the base with its interval.
fn cell(rows: &[Row], base: &[Row], column: usize) -> String {
    let mean = rows.iter().map(|row| row[column]).sum::<f64>() / rows.len() as f64;
    let mut differences: Vec<f64> = rows.iter().zip(base).map(|(row, base)| row[column] - base[column]).collect();
    differences.sort_by(f64::total_cmp);
    let difference = differences.iter().sum::<f64>() / differences.len() as f64;
    let at = |share: f64| differences[(share * (differences.len() - 1) as f64).round() as usize];
    format!("{mean:.4} ({difference:+.4}: {:+.4} to {:+.4})", at(0.025), at(0.975))
}

fn of_images(predictions: &Predictions, images: &[usize]) -> Result<Predictions, visage_judge::Error> {
    let width = predictions.attributes().len();
    let cells = || images.iter().flat_map(|image| image * width..(image + 1) * width);
    let labels = cells().map(|cell| predictions.labels()[cell]).collect();
    let probabilities = cells().map(|cell| predictions.probabilities()[cell]).collect();
    Predictions::new(predictions.attributes().to_vec(), labels, probabilities)
}

/// Reads a predictions file. `visage-run`, which defines it, depends on this package.
fn read(path: &str) -> Result<Predictions, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let cut_short = || format!("{path} is cut short");
    let (size, rest) = bytes.split_first_chunk().ok_or_else(cut_short)?;
    let (header, data) = rest.split_at_checked(u64::from_le_bytes(*size) as usize).ok_or_else(cut_short)?;
    let header: Value = serde_json::from_slice(header)?;
    let metadata = header["__metadata__"]["visage.predictions"].as_str().ok_or("no predictions file")?;
    let attributes = serde_json::from_value(serde_json::from_str::<Value>(metadata)?["attributes"].clone())?;
    let tensor = |name: &str| -> Result<&[u8], Box<dyn Error>> {
        let [from, to]: [usize; 2] = serde_json::from_value(header[name]["data_offsets"].clone())?;
        Ok(data.get(from..to).ok_or_else(cut_short)?)
    };
    let labels = tensor("labels")?.iter().map(|&label| (label < 2).then_some(label == 1)).collect();
    let probabilities = tensor("probabilities")?.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    Ok(Predictions::new(attributes, labels, probabilities)?)
}
