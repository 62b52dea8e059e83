//! `visage train --dry-run`: a few steps of a training in a temporary folder.

use std::sync::atomic::{AtomicBool, Ordering};

use visage_run::RunFolder;
use visage_train::{Event, TrainSettings};

use crate::commands::bench::peak_memory;
use crate::commands::train::TrainingPrinter;
use crate::error::CommandError;
use crate::tables::{count, counted, duration};

/// The steps that are taken. The first also allocates memory and reads files that are then in the cache.
const STEPS: u64 = 3;

/// Validating an image costs about a third of training on it: a forward pass, where training has also two backward products.
const VALIDATION_COST: f64 = 1.0 / 3.0;

/// Takes the first steps of a training, and describes what the whole will cost.
///
/// # Errors
///
/// What would end the training in its first steps.
pub fn run(settings: &TrainSettings) -> Result<String, CommandError> {
    RunFolder::require_free(&settings.folder, &settings.recipe)?;
    let scratch = tempfile::tempdir().map_err(CommandError::write(&std::env::temp_dir()))?;
    let mut trial = settings.clone();
    trial.folder = scratch.path().join("run");
    let stop = AtomicBool::new(false);
    let printer = TrainingPrinter::new(&settings.recipe, &settings.dataset);
    let (mut cost, mut rates) = (None, Vec::new());
    visage_train::train(&trial, &stop, &mut |event| match &event {
        Event::Started(started) => {
            printer.configuration(started);
            cost = Some((started.training_images, started.validation_images, started.epochs));
        }
        Event::Step { row, total_steps, .. } => {
            rates.push(row.images_per_second);
            if row.step >= STEPS.min(*total_steps) {
                stop.store(true, Ordering::Relaxed);
            }
        }
        Event::Validating { .. } | Event::Epoch(_) | Event::Saved => {}
    })?;
    // Without the first step, if there are others: the mean of the time that an image takes.
    let measured = &rates[usize::from(rates.len() > 1)..];
    let seconds_per_image = measured.iter().map(|rate| 1.0 / rate).sum::<f64>() / measured.len().max(1) as f64;
    let (train, validation, epochs) = cost.unwrap_or_default();
    let epoch = (train as f64 + validation as f64 * VALIDATION_COST) * seconds_per_image;
    let memory = peak_memory().map_or_else(String::new, |bytes| format!("; peak memory {} MiB", bytes >> 20));
    Ok(format!(
        "{} taken, nothing written: {:.0} images/s{memory}\n\
         estimate: {} for an epoch, {} for {epochs} epochs on {} images (early stopping may end it before)\n",
        counted(rates.len() as u64, "step"),
        1.0 / seconds_per_image,
        duration(epoch),
        duration(epoch * f64::from(epochs)),
        count(train as u64),
    ))
}
