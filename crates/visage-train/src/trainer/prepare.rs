//! The beginning of a run: checks, initial weights or a checkpoint, the folder.

use burn::module::Module;
use burn::tensor::Device;
use visage_data::{LoaderOptions, Split, Statistics, random};
use visage_model::device::check_precision;
use visage_model::{Card, Kind, LoadReport, Model, ModelError, Network, NetworkConfig};
use visage_run::{Recipe, RestartedTable, RunFolder, Sampling};
use visage_weights::TensorFile;

use super::validation::Validated;
use super::{Run, RunImages, Started, State, Tables, TrainSettings, record, resume};
use crate::average::WeightAverage;
use crate::checkpoint::{Checkpoint, Position};
use crate::error::TrainError;
use crate::loss::Loss;
use crate::optimizer::Optimizer;
use crate::pretrained::locate_weights_for;
use crate::sampler::BalancedSampler;
use crate::schedule::Schedule;
use crate::stepper::{Stepper, tracking};

impl<'a> Run<'a> {
    pub(super) fn prepare(settings: &'a TrainSettings) -> Result<Self, TrainError> {
        let TrainSettings { recipe, dataset, device, .. } = settings;
        recipe.validate()?;
        check_precision(device, &settings.device_name, recipe.training.precision)?;
        let fingerprint = dataset.fingerprint();
        // First, so that other data or another recipe is reported as such, and not by errors that follow from it.
        let existing = if settings.resume { Some(resume::open(settings, &fingerprint)?) } else { None };
        let statistics = Statistics::of(dataset, Split::Train);
        let images = RunImages::new(settings, &statistics)?;
        let validation_loss = Loss::of_recipe(&recipe.loss, &statistics, device)?;

        let network = recipe.model.network(dataset.attributes().len());
        let (state, pretrained) = State::prepare(existing.as_ref(), &network, settings, &statistics)?;
        let parameters = parameters(state.stepper.network());
        let mut record = record::at_start(settings, existing.as_ref(), fingerprint, parameters)?;
        let resuming = existing.is_some();
        let folder = match existing {
            Some(folder) => folder,
            None => RunFolder::create(&settings.folder, recipe, &record)?,
        };
        let Position { step, epoch, steps_table, epochs_table, .. } = state.position;
        // A table that was removed has nothing of what it held at the checkpoint, until the next one is written.
        let restarted = |name: &str| record.restarted_tables.iter().any(|each| each.table == name && each.step == step);
        let steps = folder.steps(step, steps_table.filter(|_| !restarted(RunFolder::STEPS)))?;
        let epochs = folder.epochs(epoch, epochs_table.filter(|_| !restarted(RunFolder::EPOCHS)))?;
        for (name, is_new) in [(RunFolder::STEPS, steps.is_new()), (RunFolder::EPOCHS, epochs.is_new())] {
            if resuming && is_new {
                record.restarted_tables.push(RestartedTable { table: name.to_owned(), step });
            }
        }
        let tables = Tables { steps, epochs };
        let recipe_toml = recipe.to_toml()?;
        if resuming {
            // Only now: until the tables are locked, the files may belong to a process that is training.
            folder.replace(RunFolder::RECIPE, recipe_toml.as_bytes())?;
            folder.write_record(&record)?;
        }
        let started = Started {
            folder: folder.path().to_owned(),
            architecture: network.architecture,
            parameters,
            training_images: images.training.len(),
            validation_images: images.validation.len(),
            epochs: recipe.training.epochs,
            resumed_at: state.position.step,
            pretrained,
        };
        let steps_per_epoch = images.batches_per_epoch(recipe).div_ceil(recipe.training.accumulate);
        let total_steps = u64::from(recipe.training.epochs) * steps_per_epoch as u64;
        Ok(Self {
            settings,
            started,
            folder,
            record,
            tables,
            images,
            preparation: recipe.input.preparation_for(dataset),
            network,
            validation_loss,
            schedule: Schedule::of_recipe(&recipe.schedule, &recipe.optimizer, total_steps, steps_per_epoch as u64),
            steps_per_epoch,
            total_steps,
            recipe_toml,
            state,
        })
    }
}

impl RunImages {
    fn new(settings: &TrainSettings, statistics: &Statistics) -> Result<Self, TrainError> {
        let TrainSettings { recipe, dataset, limit, .. } = settings;
        let split = |split: Split| {
            let indices = dataset.indices(split);
            if indices.is_empty() {
                return Err(TrainError::EmptySplit { dataset: dataset.name().to_owned(), split: split.name() });
            }
            Ok(random::subset(indices, limit.unwrap_or(usize::MAX), recipe.training.seed, split.name()))
        };
        let (training, validation) = (split(Split::Train)?, split(Split::Validation)?);
        if training.len() == 1 {
            return Err(TrainError::TooFewImages);
        }
        let balanced = recipe.training.sampling == Sampling::Balanced;
        let balanced = balanced.then(|| BalancedSampler::new(dataset, &training, statistics));
        let drop_last = training.len() % recipe.training.batch_size == 1;
        Ok(Self { training, validation, balanced, drop_last })
    }

    fn batches_per_epoch(&self, recipe: &Recipe) -> usize {
        let options = LoaderOptions::in_order(recipe.training.batch_size);
        LoaderOptions { drop_last: self.drop_last, ..options }.batches(self.training.len())
    }
}

impl State {
    /// The state of the run's last checkpoint, or a fresh one and what was loaded into it.
    fn prepare(
        existing: Option<&RunFolder>,
        config: &NetworkConfig,
        settings: &TrainSettings,
        statistics: &Statistics,
    ) -> Result<(Self, Option<LoadReport>), TrainError> {
        match existing.map(|folder| resume::checkpoint(folder, config, settings)).transpose()?.flatten() {
            Some(checkpoint) => Ok((Self::resumed(checkpoint, config, settings, statistics)?, None)),
            None => Self::fresh(config, settings, statistics),
        }
    }

    fn fresh(
        config: &NetworkConfig,
        settings: &TrainSettings,
        statistics: &Statistics,
    ) -> Result<(Self, Option<LoadReport>), TrainError> {
        let TrainSettings { recipe, device, other_devices, .. } = settings;
        let (network, pretrained) = initial_network(recipe, config, device)?;
        let state = Self {
            average: recipe.training.ema_decay.map(|decay| WeightAverage::new(decay, network.valid())),
            stepper: Stepper::new(recipe, statistics, network, device, other_devices)?,
            position: Position::default(),
            validated: Validated::none(),
        };
        Ok((state, pretrained))
    }

    fn resumed(
        checkpoint: Checkpoint,
        config: &NetworkConfig,
        settings: &TrainSettings,
        statistics: &Statistics,
    ) -> Result<Self, TrainError> {
        let TrainSettings { recipe, device, other_devices, .. } = settings;
        let Checkpoint { model: Model { card, network, .. }, weights, optimizer, position } = checkpoint;
        // The recipe's dropout rates, which may have been changed, with the checkpoint's weights.
        let with_rates = |network: Network| -> Result<Network, TrainError> {
            if card.network == *config {
                return Ok(network);
            }
            let tensors = network.tensors(config.architecture);
            let file = TensorFile { tensors, ..TensorFile::default() };
            let loaded = config.init(0, device).load(config.architecture, &file);
            Ok(loaded.map_err(ModelError::from)?.0)
        };
        let network = with_rates(network)?;
        let average = recipe.training.ema_decay.map(|decay| WeightAverage::new(decay, network.clone()));
        let weights = match weights {
            Some(weights) => with_rates(weights)?,
            None => network,
        };
        let mut stepper = Stepper::new(recipe, statistics, weights, device, other_devices)?;
        stepper.resume(optimizer.unwrap_or_else(|| Optimizer::new(recipe.optimizer)), position.loss_scale);
        let Card { thresholds, threshold_rule, origin, .. } = card;
        let validated = Validated { thresholds, rule: threshold_rule, metrics: origin.validation };
        Ok(Self { stepper, average, position, validated })
    }
}

/// The network that a run begins with, and what was loaded into it from the recipe's pretrained weights, if any.
pub(crate) fn initial_network(
    recipe: &Recipe,
    config: &NetworkConfig,
    device: &Device,
) -> Result<(Network, Option<LoadReport>), TrainError> {
    let network = config.init(recipe.training.seed, &tracking(&recipe.training, device));
    let Some(weights) = &recipe.model.weights else { return Ok((network, None)) };
    let path = locate_weights_for(config.architecture, weights)?;
    let file = visage_weights::read(&path)?;
    let prefix = recipe.model.weights_prefix.as_deref();
    let loaded = network.load_under(prefix, config.architecture, &file);
    let (network, loaded) = loaded.map_err(|source| TrainError::InitialWeights { path, source })?;
    Ok((network, Some(loaded)))
}

fn parameters(network: &Network) -> u64 {
    let mut parameters = 0;
    network.for_each(|_, kind, data| {
        if kind == Kind::Parameter {
            parameters += data.num_elements() as u64;
        }
    });
    parameters
}
