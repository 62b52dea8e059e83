//! `visage train`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use visage_data::Dataset;
use visage_run::{EpochRow, Recipe, RunFolder, RunStatus, StepRow};
use visage_train::{Event, Outcome, Started, TrainSettings};

use super::data::source;
use super::recipe::of_name;
use crate::board::Board;
use crate::cli::TrainArgs;
use crate::compute::Compute;
use crate::error::CommandError;
use crate::interrupt::Listening;
use crate::output;
use crate::progress::Progress;
use crate::shell;
use crate::table::{count, counted, duration, score};

/// How much a new step counts in the loss that is shown, where the rest is what was shown before.
const SMOOTHING: f64 = 0.05;

/// Trains a model.
pub fn run(args: &TrainArgs) -> Result<(), CommandError> {
    let recipe = recipe(args)?;
    let compute = Compute::for_training(&args.compute)?;
    let mut dataset = source::open(&args.source)?;
    dataset.require_images(&(0..dataset.samples().len()).collect::<Vec<_>>())?;
    let split_seed = (!dataset.has_splits()).then_some(recipe.training.seed);
    if let Some(seed) = split_seed {
        dataset.assign_splits(seed);
        output::note(&format!(
            "{} assigns no splits: drew 80 % to train, 10 % to validate and 10 % to test from seed {seed}",
            dataset.name()
        ));
    }
    let folder = args.out.clone().unwrap_or_else(|| RunFolder::default_path(&recipe.name, Timestamp::now()));
    let outcome = train(&Training {
        recipe,
        dataset: Arc::new(dataset),
        data: &args.source.data,
        split_seed,
        folder: &folder,
        resume: args.resume,
        accept_changes: args.accept_changes,
        tensorboard: args.tensorboard,
        compute: &compute,
        resume_command: resume_command(args, &folder),
    })?;
    output::result(&told(&outcome, &folder, &args.source.data))
}

/// The recipe asked for, or that of the run to go on with.
fn recipe(args: &TrainArgs) -> Result<Recipe, CommandError> {
    let mut recipe = match (&args.recipe, &args.out) {
        (None, Some(run)) => RunFolder::open(run).and_then(|run| run.recipe())?,
        (recipe, _) => of_name(recipe.as_deref().unwrap_or_default())?,
    };
    recipe.set_all(&args.overrides).map_err(CommandError::usage)?;
    Ok(recipe)
}

/// The command to go on with the run, with the options that it does not know by itself.
fn resume_command(args: &TrainArgs, folder: &Path) -> String {
    let compute = args.compute.repeated();
    let skip = if args.source.skip_bad_images { " --skip-bad-images" } else { "" };
    format!(
        "visage train --resume --out {} --data {}{compute}{skip}",
        shell::path(folder),
        shell::path(&args.source.data)
    )
}

fn told(Outcome { status, result }: &Outcome, folder: &Path, data: &Path) -> String {
    let how = match status {
        RunStatus::StoppedEarly => " (stopped early: no epoch since the best was better)",
        _ => "",
    };
    let run = shell::path(folder);
    let skipped = match result.skipped_steps {
        0 => String::new(),
        steps => format!("{} left out, because their gradients overflowed f16\n", counted(steps, "step")),
    };
    format!(
        "{skipped}{} in {}{how}; the best was epoch {}\n\
         wrote {run}: best.safetensors is the model, epochs.csv and steps.csv say how it came about\n\
         next: visage evaluate {run} --data {}\n",
        counted(u64::from(result.epochs), "epoch"),
        duration(result.seconds),
        result.best_epoch,
        shell::path(data)
    )
}

/// One run.
pub struct Training<'a> {
    /// How.
    pub recipe: Recipe,
    /// On what.
    pub dataset: Arc<Dataset>,
    /// Where that lies.
    pub data: &'a Path,
    /// What its splits were drawn from, if its table assigns none.
    pub split_seed: Option<u64>,
    /// Where it goes.
    pub folder: &'a Path,
    /// Whether to go on with the run in `folder`.
    pub resume: bool,
    /// Whether to go on with another recipe or other data than it began with.
    pub accept_changes: bool,
    /// Whether to write TensorBoard's events too.
    pub tensorboard: bool,
    /// Where to compute.
    pub compute: &'a Compute,
    /// The command to go on with the run.
    pub resume_command: String,
}

/// Trains, shows how it goes, and stops and saves on Ctrl-C.
pub fn train(training: &Training<'_>) -> Result<Outcome, CommandError> {
    let Training {
        recipe,
        dataset,
        data,
        split_seed,
        folder,
        resume,
        accept_changes,
        tensorboard,
        compute,
        resume_command,
    } = training;
    let settings = TrainSettings {
        recipe: recipe.clone(),
        dataset: Arc::clone(dataset),
        data_path: data.to_path_buf(),
        split_seed: *split_seed,
        folder: folder.to_path_buf(),
        resume: *resume,
        accept_changes: *accept_changes,
        device: compute.device.clone(),
        other_devices: compute.others.clone(),
        device_name: compute.name.clone(),
        threads: compute.threads,
    };
    let listening = Listening::begin("stopping after this step, then saving");
    let mut watch = Watch::new(recipe, dataset);
    let mut board = tensorboard.then(Board::default);
    let trained = visage_train::train(&settings, listening.flag(), &mut |event| {
        watch.see(&event);
        if let Some(board) = &mut board {
            board.see(&event);
        }
    });
    drop(watch);
    let outcome = match trained {
        Ok(outcome) => outcome,
        // Refused before it began, or broken off with a checkpoint to go on from.
        Err(error) if error.is_external() && folder.join(RunFolder::LAST).is_file() => {
            return Err(CommandError::BrokenOff { error: Box::new(error), resume: resume_command.clone() });
        }
        Err(error) => return Err(error.into()),
    };
    if outcome.status == RunStatus::Interrupted {
        return Err(CommandError::Interrupted {
            run: PathBuf::from(folder),
            epoch: outcome.result.epochs + 1,
            resume: resume_command.clone(),
        });
    }
    Ok(outcome)
}

/// Shows a run as it goes.
struct Watch<'a> {
    recipe: &'a Recipe,
    dataset: &'a Dataset,
    epochs: u32,
    /// Taken so far.
    steps: u64,
    loss: Option<f64>,
    progress: Option<Progress>,
}

impl<'a> Watch<'a> {
    fn new(recipe: &'a Recipe, dataset: &'a Dataset) -> Self {
        Self { recipe, dataset, epochs: 0, steps: 0, loss: None, progress: None }
    }

    fn see(&mut self, event: &Event<'_>) {
        match event {
            Event::Started(started) => self.started(started),
            Event::Step { row, total_steps, .. } => self.step(row, *total_steps),
            Event::Validating { done, images } => {
                if let Some(progress) = &mut self.progress {
                    progress.set(self.steps, || format!("validating, {done} of {images} images, "));
                }
            }
            Event::Epoch(row) => self.epoch(row),
            Event::Saved => {}
        }
    }

    fn started(&mut self, started: &Started) {
        let Started {
            folder,
            architecture,
            parameters,
            training_images,
            validation_images,
            epochs,
            resumed_at,
            pretrained,
        } = started;
        self.epochs = *epochs;
        self.steps = *resumed_at;
        output::note(&format!(
            "recipe {}: {architecture} with {} parameters, images of {}, on {} of {} to train and {} to validate",
            self.recipe.name,
            count(*parameters),
            self.recipe.input.size,
            count(*training_images as u64),
            self.dataset.name(),
            count(*validation_images as u64),
        ));
        match (pretrained, &self.recipe.model.weights) {
            (Some(loaded), Some(weights)) => {
                let classifier = if loaded.classifier_replaced {
                    "; its classifier answers other questions, so a new one was drawn at random"
                } else {
                    "; its classifier was kept"
                };
                output::note(&format!(
                    "first weights: {} tensors from {} ({} names){classifier}",
                    loaded.tensors,
                    weights.display(),
                    loaded.naming,
                ));
            }
            _ if *resumed_at > 0 => output::note(&format!("going on after step {}", count(*resumed_at))),
            _ => output::note("first weights: random"),
        }
        output::note(&format!("run folder: {}", folder.display()));
    }

    fn step(&mut self, row: &StepRow, total_steps: u64) {
        let loss = self.loss.map_or(row.loss, |loss| loss + SMOOTHING * (row.loss - loss));
        self.loss = Some(loss);
        let first = self.steps;
        self.steps = row.step;
        let progress = self.progress.get_or_insert_with(|| Progress::resumed("training", "steps", total_steps, first));
        progress.set(row.step, || {
            format!(
                "epoch {} of {}, loss {loss:.4}, learning rate {:.1e}, {:.0} images/s, ",
                row.epoch, self.epochs, row.learning_rate, row.images_per_second
            )
        });
    }

    fn epoch(&self, row: &EpochRow) {
        let line = format!(
            "epoch {} of {}: loss {:.4}, validation loss {:.4}, accuracy {}, precision {}, recall {}, F1 {}, average precision {} \
             in {}, {:.0} images/s{}",
            row.epoch,
            self.epochs,
            row.train_loss,
            row.validation_loss,
            score(row.accuracy),
            score(row.precision),
            score(row.recall),
            score(row.f1),
            score(row.average_precision),
            duration(row.seconds),
            row.images_per_second,
            if row.best { ", best so far" } else { "" },
        );
        match &self.progress {
            Some(progress) => progress.note(&line),
            None => output::note(&line),
        }
    }
}
