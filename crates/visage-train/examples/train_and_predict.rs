//! Trains a small network on drawn faces and predicts the attributes of an image, through the libraries alone.
//!
//! ```sh
//! cargo run --release -p visage-train --example train_and_predict
//! ```

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use visage_data::{Dataset, Size, Split};
use visage_judge::{Thresholds, evaluate};
use visage_model::{Architecture, Model, Precision, Predictor};
use visage_run::predict::predictions;
use visage_run::{Recipe, RunFolder};
use visage_train::{Event, TrainSettings, train};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let (faces, run) = (folder.path().join("faces"), folder.path().join("run"));
    visage_synth::write(&visage_synth::Options::new(400, 1), &faces, |_| {})?;
    let dataset = Arc::new(Dataset::open(&faces)?);

    let mut recipe = Recipe::new(Architecture::ResNet18, Size::square(32));
    recipe.set_all(["epochs=2", "batch_size=16"])?;
    let device = Device::flex();
    let settings = TrainSettings {
        recipe,
        dataset: Arc::clone(&dataset),
        data_path: faces,
        split_seed: None,
        skip_bad_images: false,
        limit: None,
        folder: run.clone(),
        resume: false,
        accept_changes: false,
        pause_after: None,
        device: device.clone(),
        other_devices: Vec::new(),
        device_name: "cpu".to_owned(),
        threads: std::thread::available_parallelism()?.get(),
    };
    train(&settings, &AtomicBool::new(false), &mut |event| {
        if let Event::Epoch(row) = event {
            println!(
                "epoch {}: loss {:.4} in training, {:.4} in validation",
                row.epoch, row.train_loss, row.validation_loss
            );
        }
    })?;

    let model = Model::read(&RunFolder::model_file(&run), &device)?;
    let predictor = Predictor::new(&model, &device, Precision::F32);
    let test = dataset.indices(Split::Test);
    let pixels = dataset.pixels(test[0], &model.card.preparation)?;
    println!("\n{}:", dataset.samples()[test[0]].image);
    let probabilities = predictor.probabilities(&pixels);
    for (attribute, probability) in model.card.attributes.iter().zip(probabilities).filter(|(_, p)| *p >= 0.5) {
        println!("  {attribute}: {probability:.2}");
    }

    let predictions = predictions(&predictor, &dataset, test, 64, |_| {})?;
    let evaluation = evaluate(&predictions, &Thresholds::fixed(0.5, model.card.attributes.len()))?;
    let accuracy = evaluation.macro_average.accuracy.unwrap_or_default();
    println!("\nmean accuracy on {} test images: {accuracy:.3}", evaluation.images);
    Ok(())
}
