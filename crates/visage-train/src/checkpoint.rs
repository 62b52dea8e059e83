//! Checkpoints: model files that also hold the state of training.
//!
//! `last.safetensors` and `best.safetensors` are complete model files that every command accepts. Beside the model's tensors
//! they hold the optimiser's state, the weights themselves if the model is their moving average, and in the header, under the
//! key `visage.training`, the position of the run. There is no random state to store: every draw is a function of the seed,
//! the epoch and the sample.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use visage_model::{Model, ModelError, Network, TRAINING_PREFIX};
use visage_run::{OptimizerRecipe, TableMark};
use visage_weights::{Problem, Tensor as FileTensor, TensorFile, WeightsError};

use crate::early_stopping::BestEpoch;
use crate::error::TrainError;
use crate::loss_scale::LossScale;
use crate::optimizer::Optimizer;
use crate::plateau::PlateauState;

/// The prefix, after [`TRAINING_PREFIX`], of the weights that the model is an average of.
const WEIGHTS: &str = "weights.";

/// Metadata key of the position.
const POSITION: &str = "visage.training";

/// The position of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Epochs completed, their validation included.
    pub epoch: u64,
    /// Batches done of the current epoch.
    pub batch: usize,
    /// Optimiser steps taken.
    pub step: u64,
    /// Sum of the losses of the known labels of the current epoch.
    pub loss_sum: f64,
    /// Number of those labels.
    pub labels: u64,
    /// Seconds of training in the current epoch.
    pub epoch_seconds: f64,
    /// Seconds of the whole run.
    pub seconds: f64,
    /// The best epoch so far.
    pub best: BestEpoch,
    /// Whether patience ran out.
    pub stopped_early: bool,
    /// How far a plateau has lowered the learning rate.
    pub plateau: PlateauState,
    /// The loss scale of f16.
    pub loss_scale: LossScale,
    /// What `steps.csv` holds, to notice on resuming that it was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps_table: Option<TableMark>,
    /// What `epochs.csv` holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs_table: Option<TableMark>,
}

/// Writes a checkpoint atomically. `weights` are the network's own if the model is their average.
pub(crate) fn write(
    path: &Path,
    model: &Model,
    weights: Option<&Network>,
    optimizer: &Optimizer,
    position: &Position,
) -> Result<(), TrainError> {
    let mut file = model.to_file();
    if let Some(weights) = weights {
        let tensors = weights.tensors(model.card.network.architecture);
        let named = |(name, tensor)| (format!("{TRAINING_PREFIX}{WEIGHTS}{name}"), tensor);
        file.tensors.extend(tensors.into_iter().map(named));
    }
    optimizer.save(&mut file, TRAINING_PREFIX);
    // Fails only on maps whose keys are not strings, and a position has none.
    file.metadata.insert(POSITION.to_owned(), serde_json::to_string(position).unwrap_or_default());
    Ok(visage_weights::write_safetensors(path, &file)?)
}

/// A checkpoint that was read.
pub(crate) struct Checkpoint {
    pub model: Model,
    /// The weights that the model is an average of, if it is one.
    pub weights: Option<Network>,
    /// `None` if it is of another kind than the recipe's.
    pub optimizer: Option<Optimizer>,
    pub position: Position,
}

/// Why a checkpoint cannot be read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// The file system refused.
    Io(WeightsError),
    /// The file is damaged, or is no checkpoint: why.
    Damaged(String),
}

impl From<WeightsError> for Unreadable {
    fn from(error: WeightsError) -> Self {
        match error.problem {
            Problem::Io(_) => Self::Io(error),
            problem => Self::Damaged(problem.to_string()),
        }
    }
}

impl From<ModelError> for Unreadable {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Weights(error) => error.into(),
            ModelError::BadCard { reason, .. } => Self::Damaged(reason),
            ModelError::NoCard { .. } => Self::Damaged("it has no model card".to_owned()),
            error => Self::Damaged(error.to_string()),
        }
    }
}

/// Reads a checkpoint that [`write`] wrote, to `device`, without gradients.
pub(crate) fn read(path: &Path, recipe: OptimizerRecipe, device: &Device) -> Result<Checkpoint, Unreadable> {
    let damaged = |reason: &str| Unreadable::Damaged(reason.to_owned());
    let file = visage_weights::read(path)?;
    let position = file.metadata.get(POSITION).ok_or_else(|| damaged("it is a model without the state of training"))?;
    let position = serde_json::from_str(position)
        .map_err(|error| damaged(&format!("the position of the run in it is damaged: {error}")))?;
    let optimizer = Optimizer::load(recipe, &file, TRAINING_PREFIX, device);
    let prefix = format!("{TRAINING_PREFIX}{WEIGHTS}");
    let named = |(name, tensor): (&String, &FileTensor)| Some((name.strip_prefix(&prefix)?.to_owned(), tensor.clone()));
    let weights: BTreeMap<_, _> = file.tensors.iter().filter_map(named).collect();
    let model = Model::from_file(path, file, device)?;
    let weights = if weights.is_empty() {
        None
    } else {
        let file = TensorFile { tensors: weights, ..TensorFile::default() };
        let architecture = model.card.network.architecture;
        let loaded = model.card.network.init(0, device).load(architecture, &file);
        Some(loaded.map_err(|error| damaged(&format!("the weights in training: {error}")))?.0)
    };
    Ok(Checkpoint { model, weights, optimizer, position })
}

/// The position of the checkpoint at `path`, if there is a valid one.
pub(crate) fn position_of(path: &Path) -> Option<Position> {
    let file = visage_weights::read(path).ok()?;
    serde_json::from_str(file.metadata.get(POSITION)?).ok()
}
