//! Any recipe that is valid trains.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use proptest::prelude::*;
use visage_data::Dataset;
use visage_run::{Recipe, RunFolder, RunStatus};
use visage_train::{TrainSettings, train};

const SIDE: usize = 32;

/// A picture as a BMP file: 54 bytes of header, then rows of blue, green and red.
fn picture(number: u8) -> Vec<u8> {
    let pixels: Vec<u8> = (0..SIDE * SIDE * 3).map(|i| (i as u8).wrapping_mul(number.wrapping_mul(7) | 1)).collect();
    let mut file = b"BM".to_vec();
    for field in [54 + pixels.len() as u32, 0, 54, 40, SIDE as u32, SIDE as u32, 1 | 24 << 16] {
        file.extend(field.to_le_bytes());
    }
    file.resize(54, 0);
    file.extend(pixels);
    file
}

fn dataset(folder: &Path) -> Arc<Dataset> {
    let mut table = "image,split,A,B\n".to_owned();
    for number in 0..10u8 {
        fs::write(folder.join(format!("{number}.bmp")), picture(number)).unwrap();
        let split = if number < 7 { "train" } else { "val" };
        let b = ["0", "1", ""][usize::from(number % 3)];
        table += &format!("{number}.bmp,{split},{},{b}\n", number % 2);
    }
    let path = folder.join("labels.csv");
    fs::write(&path, table).unwrap();
    Arc::new(Dataset::open(&path).unwrap())
}

/// Overrides of the baseline that leave it valid.
fn changes() -> impl Strategy<Value = Vec<String>> {
    let one_of = |choices: &'static [&'static str]| prop::sample::select(choices);
    let parts = (
        one_of(&[
            "model.architecture=resnet18",
            "model.architecture=efficientnet-b0",
            "model.architecture=efficientnet-lite0",
            "model.architecture=mobilenet-v3-large",
        ]),
        one_of(&["loss.kind=bce", "loss.kind=focal", "loss.kind=asymmetric"]),
        one_of(&["weighting=none", "weighting=pos_weight", "weighting=inverse_frequency"]),
        one_of(&["label_smoothing=0", "label_smoothing=0.1"]),
        one_of(&["optimizer.kind=adam", "optimizer.kind=adamw", "optimizer.kind=sgd"]),
        one_of(&[
            "schedule.kind=constant",
            "schedule.kind=one_cycle",
            "schedule.kind=cosine",
            "schedule.kind=step",
            "schedule.kind=plateau",
        ]),
        one_of(&["decay_norms_and_biases=true", "decay_norms_and_biases=false"]),
        one_of(&["clip_norm=none", "clip_norm=0.5"]),
        one_of(&["ema_decay=none", "ema_decay=0.9"]),
        one_of(&["sampling=shuffle", "sampling=balanced"]),
        one_of(&["precision=f32", "precision=bf16", "precision=f16"]),
        (2usize..5, 1usize..4, 1u32..3, 0.3f64..1.0, 0u64..1000),
    );
    parts.prop_map(|(a, b, c, d, e, f, g, h, i, j, k, (batch, accumulate, epochs, layer_decay, seed))| {
        // A batch that is one image three times has no variance, and its gradient no bounds: Adam's steps have.
        let h = if e.ends_with("sgd") { "clip_norm=0.5" } else { h };
        let mut changes: Vec<String> = [a, b, c, d, e, f, g, h, i, j, k].map(str::to_owned).into();
        changes.extend([
            format!("input.size={SIDE}"),
            format!("batch_size={batch}"),
            format!("accumulate={accumulate}"),
            format!("epochs={epochs}"),
            format!("layer_decay={layer_decay}"),
            format!("training.seed={seed}"),
        ]);
        changes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_valid_recipe_trains(changes in changes()) {
        let folder = tempfile::tempdir().unwrap();
        let mut recipe = Recipe::load("baseline").unwrap();
        recipe.set_all(&changes).unwrap();
        let run = folder.path().join("run");
        let settings = TrainSettings {
            recipe,
            dataset: dataset(folder.path()),
            data_path: folder.path().to_owned(),
            split_seed: None,
            skip_bad_images: false,
            limit: None,
            folder: run.clone(),
            resume: false,
            accept_changes: false,
            pause_after: None,
            device: Device::flex(),
            other_devices: Vec::new(),
            device_name: "cpu".to_owned(),
            threads: 1,
        };
        let outcome = train(&settings, &AtomicBool::new(false), &mut |_| {});
        let outcome = outcome.unwrap_or_else(|error| panic!("{changes:?}: {error}"));
        prop_assert_eq!(outcome.status, RunStatus::Finished);
        let steps = RunFolder::open(&run).unwrap().read_steps().unwrap();
        prop_assert!(!steps.is_empty() && steps.iter().all(|step| step.loss.is_finite()), "{:?}", changes);
    }
}
