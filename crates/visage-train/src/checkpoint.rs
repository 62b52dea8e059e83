//! A checkpoint: a model file that also holds what training needs to go on.
//!
//! `last.safetensors` and `best.safetensors` are complete model files; any command that takes a model takes them. Beside
//! the model's tensors they hold the optimiser's moments, and in the header, under the key `visage.training`, the
//! position of the run. No random state is stored, because none exists: every draw is a function of the seed, the
//! epoch and the sample.

use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use visage_model::Model;
use visage_model::model_file::TRAINING_PREFIX;

use crate::early_stopping::BestEpoch;
use crate::error::TrainError;
use crate::optimizer::Optimizer;
use crate::recipe::OptimizerRecipe;

/// Metadata key of the position.
const POSITION: &str = "visage.training";

/// Where a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Epochs completed, their validation included.
    pub epoch: u64,
    /// Batches done of the epoch under way.
    pub batch: usize,
    /// Optimiser steps taken.
    pub step: u64,
    /// Sum of the losses of the known labels seen in the epoch under way.
    pub loss_sum: f64,
    /// How many known labels that were.
    pub labels: u64,
    /// Seconds trained in the epoch under way.
    pub epoch_seconds: f64,
    /// Seconds of the whole run.
    pub seconds: f64,
    /// The best epoch so far.
    pub best: BestEpoch,
    /// Whether patience ran out.
    pub stopped_early: bool,
}

/// Writes a checkpoint, whole or not at all.
pub(crate) fn write(path: &Path, model: &Model, optimizer: &Optimizer, position: &Position) -> Result<(), TrainError> {
    let mut file = model.to_file();
    optimizer.save(&mut file, TRAINING_PREFIX);
    // Fails only on maps whose keys are not strings, and a position has none.
    file.metadata.insert(POSITION.to_owned(), serde_json::to_string(position).unwrap_or_default());
    Ok(visage_weights::write_safetensors(path, &file)?)
}

/// What a checkpoint holds.
pub(crate) struct Checkpoint {
    pub model: Model,
    pub optimizer: Optimizer,
    pub position: Position,
}

/// Reads a checkpoint that [`write`] wrote. The model carries no gradients; the moments lie on `device` without them.
pub(crate) fn read(path: &Path, recipe: OptimizerRecipe, device: &Device) -> Result<Checkpoint, TrainError> {
    let damaged = |reason: &str| TrainError::Checkpoint { path: path.to_owned(), reason: reason.to_owned() };
    let file = visage_weights::read(path)?;
    let position = file.metadata.get(POSITION).ok_or_else(|| damaged("it holds a model but no state of training"))?;
    let position = serde_json::from_str(position).map_err(|error| damaged(&error.to_string()))?;
    let optimizer = Optimizer::load(recipe, &file, TRAINING_PREFIX, device)
        .ok_or_else(|| damaged("the optimiser's moments are incomplete"))?;
    let model = Model::from_file(path, file, device)?;
    Ok(Checkpoint { model, optimizer, position })
}
