//! How long judging takes: two runs on 20,000 images of 40 attributes, with 1,000 bootstrap samples.
//!
//! ```sh
//! RAYON_NUM_THREADS=2 cargo run --release -p visage-judge --example comparison_time
//! ```

use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use visage_judge::{Comparison, Intervals, Predictions, Resampling, RunPredictions, Thresholds};

const IMAGES: usize = 20_000;
const ATTRIBUTES: usize = 40;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let names: Vec<String> = (0..ATTRIBUTES).map(|attribute| format!("attribute {attribute}")).collect();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let labels: Vec<Option<bool>> = (0..IMAGES * ATTRIBUTES).map(|_| Some(random.random::<f32>() < 0.2)).collect();
    let mut run = |name: &str| -> Result<RunPredictions, visage_judge::Error> {
        let probability = |label: &Option<bool>| {
            (random.random::<f32>() + if *label == Some(true) { random.random::<f32>() } else { 0.0 }) / 2.0
        };
        Ok(RunPredictions {
            name: name.to_owned(),
            images: (0..IMAGES).map(|image| format!("{image:06}.jpg")).collect(),
            predictions: Predictions::new(names.clone(), labels.clone(), labels.iter().map(probability).collect())?,
            thresholds: Thresholds::fixed(0.5, ATTRIBUTES),
        })
    };
    let runs = vec![run("first")?, run("second")?];
    let draw = |number: u64, weights: &mut [u16]| {
        let mut random = ChaCha8Rng::seed_from_u64(number);
        for _ in 0..weights.len() {
            weights[random.random_range(0..weights.len())] += 1;
        }
    };
    let resampling = Resampling { replicates: 1000, draw: &draw };

    let began = Instant::now();
    Intervals::new(&runs[0].predictions, &runs[0].thresholds, &resampling)?;
    println!("intervals of one run: {:.2} s", began.elapsed().as_secs_f64());
    let began = Instant::now();
    let aligned = RunPredictions::align(runs)?;
    Comparison::paired(&aligned.runs, &resampling)?;
    println!("two runs compared: {:.2} s", began.elapsed().as_secs_f64());
    // Linux alone tells how much memory a process had at most.
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        status
            .lines()
            .filter(|line| line.starts_with("VmHWM"))
            .for_each(|line| println!("peak memory: {}", &line[6..].trim()));
    }
    Ok(())
}
