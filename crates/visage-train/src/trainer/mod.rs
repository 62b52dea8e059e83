//! The training loop.
//!
//! A run is a function of its recipe and its dataset: killed at any moment and resumed from its last checkpoint, it ends
//! with the same bits as an uninterrupted run.
//!
//! The files follow a run's phases: `prepare` and `resume`, then `epoch` and `validation` in turn; `saving` writes
//! checkpoints and `record` writes `run.json`.

mod epoch;
mod prepare;
mod record;
mod resume;
mod saving;
mod settings;
mod validation;

use std::sync::atomic::AtomicBool;

use burn::module::Module;
use visage_data::Preparation;
use visage_model::{Network, NetworkConfig};
use visage_run::{EpochTable, RunFolder, RunRecord, RunStatus, StepTable};

use crate::average::WeightAverage;
use crate::checkpoint::Position;
use crate::error::TrainError;
use crate::loss::Loss;
use crate::sampler::BalancedSampler;
use crate::schedule::{Rates, Schedule};
use crate::stepper::Stepper;

pub(crate) use prepare::initial_network;
pub use settings::{Event, Outcome, Started, TrainSettings};
use validation::Validated;

/// Trains. `stop` may be set from another thread at any time: the run then writes a checkpoint after the current step and
/// ends as [`RunStatus::Interrupted`].
///
/// # Errors
///
/// Before the first step, everything that can be known to be wrong with the recipe, the data, the folder or the weights;
/// later an unreadable image, a full disk, or a loss that is not finite. The last checkpoint stays.
pub fn train(
    settings: &TrainSettings,
    stop: &AtomicBool,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Outcome, TrainError> {
    let mut run = Run::prepare(settings)?;
    observe(Event::Started(&run.started));
    let outcome = run.train(stop, observe);
    run.record_outcome(outcome.as_ref().map_err(ToString::to_string))?;
    outcome
}

struct Run<'a> {
    settings: &'a TrainSettings,
    started: Started,
    folder: RunFolder,
    record: RunRecord,
    tables: Tables,
    images: RunImages,
    preparation: Preparation,
    network: NetworkConfig,
    validation_loss: Loss,
    schedule: Schedule,
    steps_per_epoch: usize,
    total_steps: u64,
    recipe_toml: String,
    state: State,
}

/// The tables of the run. While they are open, no other process can write into its folder.
struct Tables {
    steps: StepTable,
    epochs: EpochTable,
}

struct RunImages {
    training: Vec<usize>,
    validation: Vec<usize>,
    /// Draws the images of an epoch, if the recipe balances them.
    balanced: Option<BalancedSampler>,
    /// Whether the last batch of an epoch is dropped: a single image has no variance to normalise by.
    drop_last: bool,
}

struct State {
    stepper: Stepper,
    /// The moving average of the weights, if the recipe has one.
    average: Option<WeightAverage>,
    position: Position,
    /// The newest validation, stored in the model card.
    validated: Validated,
}

impl Run<'_> {
    fn train(&mut self, stop: &AtomicBool, observe: &mut dyn FnMut(Event<'_>)) -> Result<Outcome, TrainError> {
        let epochs = u64::from(self.settings.recipe.training.epochs);
        let pause_after = self.settings.pause_after.map_or(epochs, |pause| epochs.min(u64::from(pause)));
        while self.state.position.epoch < pause_after && !self.state.position.stopped_early {
            if !self.train_epoch(stop, observe)? {
                break;
            }
            self.end_epoch(observe)?;
        }
        let status = match &self.state.position {
            position if position.stopped_early => RunStatus::StoppedEarly,
            position if position.epoch < epochs => RunStatus::Interrupted,
            _ => RunStatus::Finished,
        };
        if status != RunStatus::Interrupted {
            self.strip_best()?;
        }
        Ok(Outcome { status, result: self.result(None) })
    }

    fn rates(&self, step: u64) -> Rates {
        let Rates { learning_rate, momentum } = self.schedule.at(step);
        Rates { learning_rate: learning_rate * self.state.position.plateau.scale, momentum }
    }
}

impl State {
    /// The network that is validated and saved, without gradients.
    fn model_network(&self) -> Network {
        match &self.average {
            Some(average) => average.network().clone(),
            None => self.stepper.network().valid(),
        }
    }
}
