//! The training loop.
//!
//! A run is a function of its recipe, its dataset and nothing else: killed at any moment and resumed from its last
//! checkpoint, it ends with the same bits as one that was left alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use jiff::Timestamp;
use visage_data::{Dataset, Loader, LoaderOptions, Preparation, Split, Statistics};
use visage_judge::{Evaluation, Predictions, Thresholds, sigmoid};
use visage_model::device::check_precision;
use visage_model::{
    Architecture, Card, Engine, Kind, LoadReport, Model, Network, NetworkConfig, Origin, Precision, Prepared, TRAINING_PREFIX,
    USES_TO_AVOID, card_format,
};
use visage_run::{
    DataRecord, EpochRow, EpochTable, Monitor, Recipe, RunFolder, RunRecord, RunResult, RunStatus, Sampling, StepRow,
    StepTable, ThresholdSource,
};
use visage_weights::TensorFile;

use crate::average::Average;
use crate::checkpoint::{self, Checkpoint, Position};
use crate::early_stopping::EarlyStopping;
use crate::error::{Divergence, NotANumber, TrainError};
use crate::learner::{self, Gathered, Learner, Place, label_tensors, tracking};
use crate::loss::Loss;
use crate::optimizer::Optimizer;
use crate::pretrained;
use crate::sampler::Balanced;
use crate::schedule::{Rates, Schedule};

/// Steps a graphics card may be behind the processor: what they gave is read together, so that neither waits for the
/// other at every step.
const READ_EVERY: usize = 8;

/// Everything a run needs.
#[derive(Clone, Debug)]
pub struct TrainSettings {
    /// The resolved recipe.
    pub recipe: Recipe,
    /// What to train and validate on.
    pub dataset: Arc<Dataset>,
    /// Where the dataset was found, for the record.
    pub data_path: std::path::PathBuf,
    /// The seed the dataset's splits were assigned by, where its table has none; the model file remembers it.
    pub split_seed: Option<u64>,
    /// The folder of the run: new or empty, or with `resume` one that holds a run.
    pub folder: std::path::PathBuf,
    /// Whether to go on with the run in `folder`.
    pub resume: bool,
    /// Whether to go on although the recipe or the dataset is not what the run began with; the run then has the new ones.
    pub accept_changes: bool,
    /// Where to compute.
    pub device: Device,
    /// Devices of the same kind that every batch is shared with: each computes the gradients of its part, and norms by the
    /// images of that part.
    pub other_devices: Vec<Device>,
    /// Name of the device or devices, for the record.
    pub device_name: String,
    /// Threads that compute, for the record.
    pub threads: usize,
}

/// What a run tells whoever watches it.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Training is about to begin, or to go on.
    Started(&'a Started),
    /// A step was taken.
    Step {
        /// The row of `steps.csv`.
        row: &'a StepRow,
        /// Steps of an epoch.
        steps_per_epoch: usize,
        /// Steps of the whole run.
        total_steps: u64,
    },
    /// Validation is under way.
    Validating {
        /// Images done.
        done: usize,
        /// Images there are.
        images: usize,
    },
    /// An epoch ended.
    Epoch(&'a EpochRow),
    /// A checkpoint was written within an epoch.
    Saved,
}

/// How a run begins.
#[derive(Clone, Debug)]
pub struct Started {
    /// The folder.
    pub folder: std::path::PathBuf,
    /// The network.
    pub architecture: Architecture,
    /// How many values are trained.
    pub parameters: u64,
    /// Images to train on.
    pub training_images: usize,
    /// Images to validate on.
    pub validation_images: usize,
    /// Epochs the recipe asks for.
    pub epochs: u32,
    /// Steps taken before this process.
    pub resumed_at: u64,
    /// What was loaded as the first weights.
    pub pretrained: Option<LoadReport>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Finished, stopped early, or interrupted.
    pub status: RunStatus,
    /// What came of it.
    pub result: RunResult,
}

/// Trains. `stop` may be set from elsewhere at any time: the run then writes a checkpoint after the step under way and
/// ends as [`RunStatus::Interrupted`].
///
/// # Errors
///
/// Everything that can be wrong with the recipe, the data, the folder or the weights, before the first step where it can
/// be known then; an unreadable image, a full disk, or a loss that is no number later on. The last checkpoint stays.
pub fn train(
    settings: &TrainSettings,
    stop: &AtomicBool,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Outcome, TrainError> {
    let (mut run, mut logs) = Run::prepare(settings)?;
    observe(Event::Started(&run.started));
    let outcome = run.train(&mut logs, stop, observe);
    run.record(outcome.as_ref().map_err(ToString::to_string))?;
    outcome
}

struct Run<'a> {
    settings: &'a TrainSettings,
    started: Started,
    folder: RunFolder,
    record: RunRecord,
    preparation: Preparation,
    training: Vec<usize>,
    /// Draws the images of an epoch, where the recipe wants them balanced.
    balanced: Option<Balanced>,
    validation: Vec<usize>,
    drop_last: bool,
    validation_loss: Loss,
    network: NetworkConfig,
    recipe_toml: String,
    state: State<'a>,
}

/// The tables of the run. While they are open no other process can write into its folder.
struct Logs {
    steps: StepTable,
    epochs: EpochTable,
}

/// What changes from step to step.
struct State<'a> {
    learner: Learner<'a>,
    /// The running average of the weights, where that is the model.
    average: Option<Average>,
    position: Position,
    /// Of the newest epoch, and so of the checkpoint after it.
    validated: Validated,
}

/// What validation gave: what a card says of it.
#[derive(Clone)]
struct Validated {
    thresholds: Vec<f32>,
    rule: String,
    metrics: std::collections::BTreeMap<String, f64>,
}

impl<'a> Run<'a> {
    fn prepare(settings: &'a TrainSettings) -> Result<(Self, Logs), TrainError> {
        let TrainSettings { recipe, dataset, device, .. } = settings;
        recipe.validate()?;
        check_precision(device, &settings.device_name, recipe.training.precision)?;
        let fingerprint = dataset.fingerprint();
        // First, so that resuming with other data or another recipe is called that and not by what follows from it.
        let folder = if settings.resume { Some(open(settings, &fingerprint)?) } else { None };
        let split = |split: Split| {
            let indices = dataset.indices(split);
            if indices.is_empty() {
                return Err(TrainError::EmptySplit { dataset: dataset.name().to_owned(), split: split.name() });
            }
            Ok(indices)
        };
        let (training, validation) = (split(Split::Train)?, split(Split::Validation)?);
        if training.len() == 1 {
            return Err(TrainError::TooFewImages);
        }
        // A last batch of one image has no variance to normalise by.
        let drop_last = training.len() % recipe.training.batch_size == 1;
        let statistics = Statistics::of(dataset, Split::Train);
        let place = Place::new(recipe, &statistics, device)?;
        let others = settings.other_devices.iter().map(|device| Place::new(recipe, &statistics, device));
        let others = others.collect::<Result<_, _>>()?;
        let validation_loss = Loss::of_recipe(&recipe.loss, &statistics, device)?;

        let attributes = dataset.attributes().to_vec();
        let network = recipe.model.network(attributes.len());
        let preparation = recipe.input.preparation();
        let learner = |network: Network, optimizer: Optimizer| Learner {
            recipe,
            preparation: preparation.clone(),
            network: Some(place.tracked(network)),
            place,
            others,
            optimizer,
            loss_scale: Default::default(),
        };
        let (state, pretrained) = match &folder {
            Some(folder) if folder.file(RunFolder::LAST).is_file() => {
                let path = folder.file(RunFolder::LAST);
                let checkpoint = checkpoint::read(&path, recipe.optimizer, device)?;
                let at_odds = contradiction(&checkpoint.model.card, &network, &attributes)
                    .or_else(|| checkpoint.optimizer.is_none().then(|| "its optimiser is of another kind".to_owned()));
                match at_odds {
                    Some(reason) => return Err(TrainError::Checkpoint { path, reason }),
                    None => (State::resumed(checkpoint, &network, recipe, learner)?, None),
                }
            }
            _ => State::fresh(recipe, &network, device, learner)?,
        };
        let parameters = parameters(state.learner.network());
        let data = data_record(settings, fingerprint);
        let record = match &folder {
            Some(folder) => {
                let mut record = folder.record()?;
                record.resumed += 1;
                record.status = RunStatus::Running;
                record.recipe.clone_from(&recipe.name);
                record.data = data;
                record
            }
            None => RunRecord {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                recipe: recipe.name.clone(),
                started: Timestamp::now(),
                status: RunStatus::Running,
                device: settings.device_name.clone(),
                threads: settings.threads,
                architecture: network.architecture.to_string(),
                parameters,
                data,
                resumed: 0,
                result: None,
            },
        };
        let resuming = folder.is_some();
        let folder = match folder {
            Some(folder) => folder,
            None => RunFolder::create(&settings.folder, recipe, &record)?,
        };
        let logs = Logs { steps: folder.steps(state.position.step)?, epochs: folder.epochs(state.position.epoch)? };
        // Only now: until the tables are ours, the record may belong to a process that is training.
        let recipe_toml = recipe.to_toml()?;
        if resuming {
            folder.replace(RunFolder::RECIPE, recipe_toml.as_bytes())?;
            folder.write_record(&record)?;
        }
        let started = Started {
            folder: folder.path().to_owned(),
            architecture: network.architecture,
            parameters,
            training_images: training.len(),
            validation_images: validation.len(),
            epochs: recipe.training.epochs,
            resumed_at: state.position.step,
            pretrained,
        };
        let balanced =
            (recipe.training.sampling == Sampling::Balanced).then(|| Balanced::new(dataset, &training, &statistics));
        let run = Self {
            settings,
            started,
            folder,
            record,
            preparation,
            training,
            balanced,
            validation,
            drop_last,
            validation_loss,
            network,
            recipe_toml,
            state,
        };
        Ok((run, logs))
    }

    fn train(
        &mut self,
        logs: &mut Logs,
        stop: &AtomicBool,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<Outcome, TrainError> {
        let epochs = u64::from(self.settings.recipe.training.epochs);
        let recipe = &self.settings.recipe;
        let batches = self.loader_options(0).batches(self.training.len());
        let steps_per_epoch = batches.div_ceil(recipe.training.accumulate);
        let total_steps = epochs * steps_per_epoch as u64;
        let schedule = Schedule::of_recipe(&recipe.schedule, &recipe.optimizer, total_steps, steps_per_epoch as u64);
        let mut status = RunStatus::Finished;
        while self.state.position.epoch < epochs && !self.state.position.stopped_early {
            let total = Total { steps_per_epoch, total_steps };
            if !self.epoch(&schedule, total, &mut logs.steps, stop, observe)? {
                status = RunStatus::Interrupted;
                break;
            }
            self.validate(&schedule, &mut logs.epochs, observe)?;
        }
        if self.state.position.stopped_early {
            status = RunStatus::StoppedEarly;
        }
        if status != RunStatus::Interrupted {
            self.strip_best()?;
        }
        Ok(Outcome { status, result: self.result(None) })
    }

    /// What has come of the run so far.
    fn result(&self, error: Option<String>) -> RunResult {
        let Position { epoch, best, seconds, loss_scale, .. } = self.state.position;
        RunResult {
            epochs: epoch as u32,
            best_epoch: best.epoch,
            best_value: best.value,
            seconds,
            skipped_steps: loss_scale.skipped,
            error,
        }
    }

    /// The images of an epoch, in the order in which they are taken or still to be shuffled.
    fn images(&self, epoch: u64) -> Vec<usize> {
        match &self.balanced {
            Some(balanced) => balanced.epoch(self.settings.recipe.training.seed, epoch),
            None => self.training.clone(),
        }
    }

    fn loader_options(&self, epoch: u64) -> LoaderOptions {
        let training = &self.settings.recipe.training;
        LoaderOptions {
            batch_size: training.batch_size,
            seed: training.seed,
            epoch,
            shuffle: self.balanced.is_none(),
            augmentation: Some(self.settings.recipe.augmentation.augmentation()),
            mixing: self.settings.recipe.augmentation.mixing(),
            prefetch: 2,
            skip_batches: self.state.position.batch,
            drop_last: self.drop_last,
        }
    }

    /// Trains what is left of the epoch under way. False if it was told to stop before the end.
    fn epoch(
        &mut self,
        schedule: &Schedule,
        total: Total,
        log: &mut StepTable,
        stop: &AtomicBool,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<bool, TrainError> {
        let epoch = self.state.position.epoch;
        let mut loader = Loader::new(
            Arc::clone(&self.settings.dataset),
            self.images(epoch),
            self.preparation.clone(),
            self.loader_options(epoch),
        )?;
        let training = &self.settings.recipe.training;
        let every = training.checkpoint_minutes.map(|minutes| minutes * 60.0);
        let read_every = if self.state.learner.runs_ahead() { READ_EVERY } else { 1 };
        let mut saved = Instant::now();
        let mut began = Instant::now();
        let mut steps = Vec::new();
        loop {
            let mut gathered = Gathered::default();
            let mut waited = Duration::ZERO;
            while gathered.batches < training.accumulate {
                let asked = Instant::now();
                let Some(batch) = loader.next() else { break };
                waited += asked.elapsed();
                self.state.learner.gather(&mut gathered, &batch?, epoch);
            }
            let over = gathered.batches == 0;
            if !over {
                steps.push(self.step(schedule, gathered, waited)?);
            }
            let stopping = stop.load(Ordering::Relaxed);
            let saving = stopping || every.is_some_and(|every| saved.elapsed() >= Duration::from_secs_f64(every));
            if over || saving || steps.len() >= read_every {
                for row in self.rows(std::mem::take(&mut steps), &mut began)? {
                    log.append(&row)?;
                    let Total { steps_per_epoch, total_steps } = total;
                    observe(Event::Step { row: &row, steps_per_epoch, total_steps });
                }
            }
            if over {
                return Ok(true);
            }
            if saving {
                self.save(RunFolder::LAST)?;
                saved = Instant::now();
                observe(Event::Saved);
            }
            if stopping {
                return Ok(false);
            }
        }
    }

    /// The rates of a step, counted from 0.
    fn rates(&self, schedule: &Schedule, step: u64) -> Rates {
        let Rates { learning_rate, momentum } = schedule.at(step);
        Rates { learning_rate: learning_rate * self.state.position.plateau.scale, momentum }
    }

    /// One optimiser step, by what was `gathered`.
    fn step(&mut self, schedule: &Schedule, mut gathered: Gathered, waited: Duration) -> Result<TakenStep, TrainError> {
        let rates = self.rates(schedule, self.state.position.step);
        let State { learner, average, position, .. } = &mut self.state;
        let given = if learner.runs_ahead() {
            Given::Unread(Box::new(learner.step_unread(&mut gathered, rates)))
        } else {
            Given::Read(learner.step(&mut gathered, rates))
        };
        position.step += 1;
        position.loss_scale = learner.loss_scale;
        let taken = TakenStep { number: position.step, rates, images: gathered.images, waited, given };
        if matches!(taken.given, Given::Read(learner::Step { outcome: learner::Outcome::Diverged, .. })) {
            return Err(self.diverged(taken));
        }
        if let Some(average) = average {
            average.update(learner.network(), position.step);
        }
        position.batch += gathered.batches;
        Ok(taken)
    }

    /// The rows of the steps taken since `began`, which becomes now.
    fn rows(&mut self, steps: Vec<TakenStep>, began: &mut Instant) -> Result<Vec<StepRow>, TrainError> {
        let count = steps.len() as f64;
        let waited: Duration = steps.iter().map(|step| step.waited).sum();
        let mut rows = Vec::with_capacity(steps.len());
        for mut taken in steps {
            let step = taken.given.read();
            taken.given = Given::Read(step);
            if step.outcome == learner::Outcome::Diverged {
                return Err(self.diverged(taken));
            }
            rows.push((taken, step));
        }
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        // What a card did beside the processor has no beginning and no end of its own.
        let seconds = lap(began) / count;
        let waiting = (waited.as_secs_f64() / (seconds * count)).min(1.0);
        let position = &mut self.state.position;
        let row = |(taken, step): (TakenStep, learner::Step)| {
            position.loss_sum += step.loss * step.labels as f64;
            position.labels += step.labels;
            position.epoch_seconds += seconds;
            position.seconds += seconds;
            StepRow {
                step: taken.number,
                epoch: position.epoch + 1,
                loss: step.loss,
                learning_rate: taken.rates.learning_rate,
                gradient_norm: step.gradient_norm,
                images_per_second: taken.images.len() as f64 / seconds,
                waiting,
            }
        };
        Ok(rows.into_iter().map(row).collect())
    }

    fn diverged(&self, taken: TakenStep) -> TrainError {
        let samples = self.settings.dataset.samples();
        let step = taken.given.read();
        TrainError::Diverged(Box::new(Divergence {
            step: taken.number,
            loss: step.loss,
            gradient_norm: step.gradient_norm,
            learning_rate: taken.rates.learning_rate,
            images: taken.images.iter().map(|&image| samples[image].image.clone()).collect(),
            checkpoint: self.last_checkpoint(),
        }))
    }

    /// The last good checkpoint and the steps it had taken, if there is one.
    fn last_checkpoint(&self) -> Option<(std::path::PathBuf, u64)> {
        let path = self.folder.file(RunFolder::LAST);
        checkpoint::step_of(&path).map(|step| (path, step))
    }

    /// Judges the network after an epoch, keeps it if it is the best, and moves on to the next epoch.
    fn validate(
        &mut self,
        schedule: &Schedule,
        log: &mut EpochTable,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        let began = Instant::now();
        let (validation_loss, evaluation) = self.evaluate(observe)?;
        let scores = &evaluation.macro_average;
        let recipe = &self.settings.recipe;
        let monitored = match recipe.training.monitor {
            Monitor::ValidationLoss => Some(validation_loss),
            Monitor::Accuracy => scores.accuracy,
            Monitor::BalancedAccuracy => scores.balanced_accuracy,
            Monitor::F1 => scores.f1,
            Monitor::AveragePrecision => scores.average_precision,
        };
        self.state.validated = Validated::new(validation_loss, &evaluation);
        let learning_rate = self.rates(schedule, self.state.position.step - 1).learning_rate;
        if let Some(plateau) = recipe.schedule.plateau() {
            self.state.position.plateau.observe(&plateau, recipe.training.monitor, monitored);
        }

        let trained = (self.training.len() - usize::from(self.drop_last)) as f64;
        let position = &mut self.state.position;
        let epoch = position.epoch + 1;
        let verdict = EarlyStopping::of_recipe(&recipe.training).observe(&mut position.best, epoch as u32, monitored);
        let seconds = began.elapsed().as_secs_f64();
        let row = EpochRow {
            epoch,
            step: position.step,
            train_loss: position.loss_sum / (position.labels as f64).max(1.0),
            validation_loss,
            accuracy: scores.accuracy,
            balanced_accuracy: scores.balanced_accuracy,
            precision: scores.precision,
            recall: scores.recall,
            f1: scores.f1,
            average_precision: scores.average_precision,
            learning_rate,
            seconds: position.epoch_seconds + seconds,
            images_per_second: trained / position.epoch_seconds,
            best: verdict.improved,
        };
        *position = Position {
            epoch,
            batch: 0,
            loss_sum: 0.0,
            labels: 0,
            epoch_seconds: 0.0,
            seconds: position.seconds + seconds,
            stopped_early: verdict.stop,
            ..*position
        };
        // `last` goes last: until it is there, a resumed run repeats this epoch's end, and writes the same again.
        if verdict.improved {
            self.save(RunFolder::BEST)?;
        }
        log.append(&row)?;
        self.save(RunFolder::LAST)?;
        observe(Event::Epoch(&row));
        Ok(())
    }

    /// Loss and metrics of the network on the validation split, with the thresholds the recipe asks for.
    fn evaluate(&self, observe: &mut dyn FnMut(Event<'_>)) -> Result<(f64, Evaluation), TrainError> {
        let device = &self.settings.device;
        let engine = Engine::new(&self.state.model(), &self.preparation, device, Precision::F32);
        let outputs = self.network.outputs;
        let images = self.validation.len();
        let batch_size = self.settings.recipe.training.batch_size;
        let loader = Loader::new(
            Arc::clone(&self.settings.dataset),
            self.validation.clone(),
            self.preparation.clone(),
            LoaderOptions::in_order(batch_size),
        )?;
        let (mut loss_sum, mut known) = (0.0, 0);
        let (mut labels, mut probabilities) = (Vec::new(), Vec::new());
        let mut done = 0;
        for batch in loader {
            let batch = batch?;
            let rows = batch.indices.len();
            let logits = engine.logits(&[Prepared::Pixels(&batch.pixels)]);
            probabilities.extend(logits.iter().map(|&logit| sigmoid(logit)));
            let logits = Tensor::from_data(TensorData::new(logits, [rows, outputs]), device);
            let (targets, mask, count) = label_tensors(&batch.labels, rows, device);
            let loss = self.validation_loss.mean(logits, targets, mask).into_scalar::<f32>();
            loss_sum += f64::from(loss) * count as f64;
            known += count;
            labels.extend(batch.labels.iter().map(|label| label.known()));
            done += rows;
            observe(Event::Validating { done, images });
        }
        if probabilities.iter().any(|probability: &f32| probability.is_nan()) {
            let (step, checkpoint) = (self.state.position.step, self.last_checkpoint());
            return Err(TrainError::NotANumber(Box::new(NotANumber { step, checkpoint })));
        }
        let attributes = self.settings.dataset.attributes().to_vec();
        let count = attributes.len();
        let predictions = Predictions::new(attributes, labels, probabilities)?;
        let thresholds = match self.settings.recipe.evaluation.thresholds {
            ThresholdSource::Fixed(threshold) => Thresholds::fixed(threshold as f32, count),
            ThresholdSource::Chosen(rule) => Thresholds::choose(rule, &predictions).thresholds,
        };
        Ok((loss_sum / (known as f64).max(1.0), visage_judge::evaluate(&predictions, &thresholds)?))
    }

    fn model(&self) -> Model {
        let Position { epoch, step, .. } = self.state.position;
        let Validated { thresholds, rule, metrics } = self.state.validated.clone();
        let dataset = &self.settings.dataset;
        let card = Card {
            format: card_format(),
            network: self.network,
            attributes: dataset.attributes().to_vec(),
            preparation: self.preparation.clone(),
            calibration: None,
            thresholds: if thresholds.is_empty() { vec![0.5; self.network.outputs] } else { thresholds },
            threshold_rule: rule,
            origin: Origin {
                visage_version: env!("CARGO_PKG_VERSION").to_owned(),
                // When the run began, not now: the same run writes the same bytes.
                started: self.record.started.to_string(),
                recipe: self.recipe_toml.clone(),
                dataset: dataset.name().to_owned(),
                dataset_fingerprint: self.record.data.fingerprint.clone(),
                split_seed: self.settings.split_seed,
                training_images: self.training.len(),
                epoch: epoch as usize,
                step,
                validation: metrics,
            },
            uses_to_avoid: USES_TO_AVOID.to_owned(),
        };
        Model { card, network: self.state.model() }
    }

    fn save(&self, name: &str) -> Result<(), TrainError> {
        let State { learner, average, position, .. } = &self.state;
        let weights = average.is_some().then(|| learner.network().valid());
        let path = self.folder.file(name);
        checkpoint::write(&path, &self.model(), weights.as_ref(), &learner.optimizer, position)
    }

    /// Once a run is over, its best checkpoint needs no optimiser any more: it becomes a plain model file, a third of
    /// the size.
    fn strip_best(&self) -> Result<(), TrainError> {
        let path = self.folder.file(RunFolder::BEST);
        if path.is_file() {
            Model::read(&path, &self.settings.device)?.write(&path)?;
        }
        Ok(())
    }

    fn record(&mut self, outcome: Result<&Outcome, String>) -> Result<(), TrainError> {
        match outcome {
            Ok(outcome) => {
                self.record.status = outcome.status;
                self.record.result = Some(outcome.result.clone());
            }
            Err(error) => {
                self.record.status = RunStatus::Failed;
                self.record.result = Some(self.result(Some(error)));
            }
        }
        Ok(self.folder.write_record(&self.record)?)
    }
}

/// A step that was taken, or is being taken by a card that works behind.
struct TakenStep {
    /// Counted from 1.
    number: u64,
    rates: Rates,
    /// By their index in the dataset.
    images: Vec<usize>,
    /// For its batches.
    waited: Duration,
    given: Given,
}

/// What a step gave.
enum Given {
    Read(learner::Step),
    Unread(Box<learner::Unread>),
}

impl Given {
    fn read(self) -> learner::Step {
        match self {
            Given::Read(step) => step,
            Given::Unread(unread) => unread.read(),
        }
    }
}

#[derive(Clone, Copy)]
struct Total {
    steps_per_epoch: usize,
    total_steps: u64,
}

impl<'a> State<'a> {
    /// The network that is validated and saved, without gradients.
    fn model(&self) -> Network {
        match &self.average {
            Some(average) => average.network().clone(),
            None => self.learner.network().valid(),
        }
    }

    fn fresh(
        recipe: &Recipe,
        config: &NetworkConfig,
        device: &Device,
        learner: impl FnOnce(Network, Optimizer) -> Learner<'a>,
    ) -> Result<(Self, Option<LoadReport>), TrainError> {
        let (network, pretrained) = first_weights(recipe, config, device)?;
        let average = recipe.training.ema_decay.map(|decay| Average::new(decay, network.valid()));
        let state = Self {
            learner: learner(network, Optimizer::new(recipe.optimizer)),
            average,
            position: Position::default(),
            validated: Validated::none(),
        };
        Ok((state, pretrained))
    }

    fn resumed(
        checkpoint: Checkpoint,
        config: &NetworkConfig,
        recipe: &Recipe,
        learner: impl FnOnce(Network, Optimizer) -> Learner<'a>,
    ) -> Result<Self, TrainError> {
        let Checkpoint { model: Model { card, network }, weights, optimizer, position } = checkpoint;
        // The recipe's rates of dropout, which may have been changed, with the checkpoint's weights.
        let renewed = |network: Network| -> Result<Network, TrainError> {
            if card.network == *config {
                return Ok(network);
            }
            let tensors = network.tensors(config.architecture);
            let file = TensorFile { tensors, ..TensorFile::default() };
            let device = network.devices().first().cloned().unwrap_or_default();
            Ok(config.init(0, &device).load(config.architecture, &file)?.0)
        };
        let network = renewed(network)?;
        let average = recipe.training.ema_decay.map(|decay| Average::new(decay, network.clone()));
        let weights = match weights {
            Some(weights) => renewed(weights)?,
            None => network,
        };
        let mut learner = learner(weights, optimizer.unwrap_or_else(|| Optimizer::new(recipe.optimizer)));
        learner.loss_scale = position.loss_scale;
        Ok(Self {
            learner,
            average,
            position,
            validated: Validated {
                thresholds: card.thresholds,
                rule: card.threshold_rule,
                metrics: card.origin.validation,
            },
        })
    }
}

/// The network a run begins with, and what was loaded into it. Random where the recipe names no weights.
pub(crate) fn first_weights(
    recipe: &Recipe,
    config: &NetworkConfig,
    device: &Device,
) -> Result<(Network, Option<LoadReport>), TrainError> {
    let network = config.init(recipe.training.seed, &tracking(&recipe.training, device));
    let Some(weights) = &recipe.model.weights else { return Ok((network, None)) };
    let mut file = visage_weights::read(&pretrained::locate(weights)?)?;
    // A checkpoint has the optimiser's tensors beside the network's.
    file.tensors.retain(|name, _| !name.starts_with(TRAINING_PREFIX));
    let (network, loaded) = network.load(config.architecture, &file)?;
    Ok((network, Some(loaded)))
}

/// What of a checkpoint's model is not as the recipe and the dataset want it.
fn contradiction(card: &Card, network: &NetworkConfig, attributes: &[String]) -> Option<String> {
    if card.network.architecture != network.architecture {
        let (theirs, ours) = (card.network.architecture, network.architecture);
        return Some(format!("its network is {theirs}, the recipe's is {ours}"));
    }
    (card.attributes != attributes).then(|| {
        let (theirs, ours) = (card.attributes.join(", "), attributes.join(", "));
        format!("it answers {theirs}, and the dataset has {ours}")
    })
}

fn data_record(settings: &TrainSettings, fingerprint: String) -> DataRecord {
    let dataset = &settings.dataset;
    let images = |split| dataset.indices(split).len() as u64;
    DataRecord {
        path: settings.data_path.clone(),
        fingerprint,
        attributes: dataset.attributes().to_vec(),
        train: images(Split::Train),
        validation: images(Split::Validation),
        test: images(Split::Test),
    }
}

impl Validated {
    /// Before the first validation.
    fn none() -> Self {
        Self {
            thresholds: Vec::new(),
            rule: "0.5, before the first validation".to_owned(),
            metrics: Default::default(),
        }
    }

    fn new(loss: f64, evaluation: &Evaluation) -> Self {
        let scores = &evaluation.macro_average;
        let named = [
            ("loss", Some(loss)),
            ("accuracy", scores.accuracy),
            ("balanced_accuracy", scores.balanced_accuracy),
            ("precision", scores.precision),
            ("recall", scores.recall),
            ("f1", scores.f1),
            ("average_precision", scores.average_precision),
        ];
        Self {
            thresholds: evaluation.thresholds().values,
            rule: evaluation.threshold_rule.on(Split::Validation.name()),
            metrics: named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        }
    }
}

/// The run to resume, if it is one of the same recipe on the same data, or if changes are accepted.
fn open(settings: &TrainSettings, fingerprint: &str) -> Result<RunFolder, TrainError> {
    let folder = RunFolder::open(&settings.folder)?;
    let record = folder.record()?;
    if settings.accept_changes {
        return Ok(folder);
    }
    let run = || settings.folder.clone();
    if record.data.fingerprint != fingerprint {
        let changes = changes(&record.data, &data_record(settings, fingerprint.to_owned()));
        return Err(TrainError::OtherData { run: run(), changes });
    }
    let (theirs, ours) = (folder.recipe()?.to_toml()?, settings.recipe.to_toml()?);
    if theirs != ours {
        return Err(TrainError::OtherRecipe {
            run: run(),
            theirs: lines_only_in(&theirs, &ours),
            ours: lines_only_in(&ours, &theirs),
        });
    }
    Ok(folder)
}

/// How two datasets differ, a line each.
fn changes(before: &DataRecord, now: &DataRecord) -> String {
    let lacking = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|name| !those.contains(name)).cloned().collect()
    };
    let mut lines = Vec::new();
    for (what, before, now) in [
        ("training", before.train, now.train),
        ("validation", before.validation, now.validation),
        ("test", before.test, now.test),
    ] {
        if before != now {
            lines.push(format!("  it had {before} {what} images, this one has {now}"));
        }
    }
    for (what, names) in [
        ("lacks", lacking(&before.attributes, &now.attributes)),
        ("adds", lacking(&now.attributes, &before.attributes)),
    ] {
        if !names.is_empty() {
            lines.push(format!("  this one {what} {}", names.join(", ")));
        }
    }
    let (theirs, ours) = (&before.fingerprint, &now.fingerprint);
    lines.push(format!("  its fingerprint was {theirs:.12}, this one's is {ours:.12}: labels, splits or names differ"));
    lines.join("\n")
}

fn lines_only_in(text: &str, other: &str) -> String {
    let other: std::collections::HashSet<&str> = other.lines().collect();
    let lines: Vec<String> =
        text.lines().filter(|line| !other.contains(line)).map(|line| format!("  {line}")).collect();
    lines.join("\n")
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

/// Seconds since `began`, which becomes now.
fn lap(began: &mut Instant) -> f64 {
    let now = Instant::now();
    let seconds = now.duration_since(*began).as_secs_f64();
    *began = now;
    // A clock too coarse to see a step would make its rate infinite.
    seconds.max(1e-6)
}
