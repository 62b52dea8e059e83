//! `visage train`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use visage_data::Dataset;
use visage_run::shell;
use visage_run::{EpochRow, Recipe, RunFolder, RunStatus, StepRow};
use visage_train::{Event, Outcome, Started, TrainSettings};

use super::recipe;
use crate::cli::RecipeArgs;
use crate::compute::{Compute, ComputeArgs};
use crate::dataset::{ConstantArgs, DatasetArgs, warn_of_truncated};
use crate::error::CommandError;
use crate::extension;
use crate::faces::align_for_recipe;
use crate::interrupt::StopOnInterrupt;
use crate::output;
use crate::progress::Progress;
use crate::tables::weights::names;
use crate::tables::{count, counted, duration, score};
use crate::tensorboard::TensorBoardWriter;

/// The weight of a new step in the exponential average of the loss that is shown.
const SMOOTHING: f64 = 0.05;

/// Options of `visage train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// A built-in recipe (baseline, original, enhanced) or a TOML file. May be left out with --resume, which uses the run's own.
    #[arg(required_unless_present = "resume")]
    pub recipe: Option<String>,
    #[command(flatten)]
    pub dataset: DatasetArgs,
    #[command(flatten)]
    pub constant: ConstantArgs,
    /// The run folder [default: runs/RECIPE-DATE-TIME].
    #[arg(long, value_name = "RUN")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub set: RecipeArgs,
    /// Resume the run in --out from its last checkpoint.
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// Resume even with another recipe or other data than the run started with.
    #[arg(long, requires = "resume")]
    pub accept_changes: bool,
    /// Also write TensorBoard event files, to `tensorboard` in the run folder.
    #[arg(long)]
    pub tensorboard: bool,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// Trains a model.
pub fn run(args: &TrainArgs) -> Result<(), CommandError> {
    args.out.iter().try_for_each(|folder| extension::check_folder("--out", folder))?;
    let recipe = match (&args.recipe, &args.out) {
        (None, Some(run)) => recipe::of_run(run, &args.set.changes())?,
        (recipe, _) => recipe::load(recipe.as_deref().unwrap_or_default(), &args.set.changes())?,
    };
    let compute = Compute::for_training(&args.compute)?;
    let mut dataset = match &args.out {
        Some(folder) if args.resume => args.dataset.open_again(folder)?,
        _ => args.dataset.open()?,
    };
    args.dataset.check_images(&dataset)?;
    align_for_recipe(&mut dataset, &recipe)?;
    let split_seed = args.constant.prepare(&mut dataset, recipe.training.seed, args.resume)?;
    let folder = args.out.clone().unwrap_or_else(|| RunFolder::default_path(&recipe.name, Timestamp::now()));
    let settings = TrainSettings {
        split_seed,
        resume: args.resume,
        accept_changes: args.accept_changes,
        ..settings(recipe, dataset.into(), &args.dataset.data, &folder, &compute)
    };
    let outcome = train(&settings, args.tensorboard, &resume_command(args, &folder))?;
    output::result(&summary(&outcome, &folder, &args.dataset.data))
}

/// The settings of a new run on a dataset with splits.
pub fn settings(recipe: Recipe, dataset: Arc<Dataset>, data: &Path, folder: &Path, compute: &Compute) -> TrainSettings {
    TrainSettings {
        recipe,
        dataset,
        data_path: data.to_path_buf(),
        split_seed: None,
        folder: folder.to_path_buf(),
        resume: false,
        accept_changes: false,
        pause_after: None,
        device: compute.device.clone(),
        other_devices: compute.other_devices.clone(),
        device_name: compute.name.clone(),
        threads: compute.threads,
    }
}

/// The command that resumes the run, with the options that the run folder does not remember.
fn resume_command(args: &TrainArgs, folder: &Path) -> String {
    format!(
        "visage train --resume --out {} --data {}{}{}",
        shell::path(folder),
        shell::path(&args.dataset.data),
        args.compute.repeated(),
        args.dataset.repeated()
    ) + if args.constant.drop_constant { " --drop-constant" } else { "" }
}

fn summary(Outcome { status, result }: &Outcome, folder: &Path, data: &Path) -> String {
    let reason = match status {
        RunStatus::StoppedEarly => " (stopped early: the validation metric stopped improving)",
        _ => "",
    };
    let run = shell::path(folder);
    let skipped = match result.skipped_steps {
        0 => String::new(),
        steps => format!("skipped {} whose gradients overflowed f16\n", counted(steps, "step")),
    };
    let best = match result.best_epoch {
        0 => String::new(),
        epoch => format!("; the best was epoch {epoch}"),
    };
    let model = RunFolder::model_file(folder);
    format!(
        "{skipped}{} in {}{reason}{best}\n\
         wrote {run}: {} is the model, epochs.csv and steps.csv record its training\n\
         next: visage evaluate {run} --data {}\n",
        counted(u64::from(result.epochs), "epoch"),
        duration(result.seconds),
        model.file_name().unwrap_or_default().display(),
        shell::path(data)
    )
}

/// Trains with progress; Ctrl-C saves a checkpoint and stops. `resume_command` is shown if the run ends early.
pub fn train(settings: &TrainSettings, tensorboard: bool, resume_command: &str) -> Result<Outcome, CommandError> {
    let stop = StopOnInterrupt::install("stopping after this step, then saving");
    let mut printer = TrainingPrinter::new(&settings.recipe, &settings.dataset);
    let mut tensorboard = tensorboard.then(TensorBoardWriter::default);
    let trained = visage_train::train(settings, stop.flag(), &mut |event| {
        printer.show(&event);
        if let Some(tensorboard) = &mut tensorboard {
            tensorboard.write(&event);
        }
    });
    drop(printer);
    warn_of_truncated(&settings.dataset);
    match trained {
        Ok(outcome) if outcome.status == RunStatus::Interrupted => Err(CommandError::Interrupted {
            run: settings.folder.clone(),
            epoch: outcome.result.epochs + 1,
            resume: resume_command.to_owned(),
        }),
        Ok(outcome) => Ok(outcome),
        Err(error) if error.is_external() && settings.folder.join(RunFolder::LAST).is_file() => {
            Err(CommandError::TrainingFailed { error: Box::new(error), resume: resume_command.to_owned() })
        }
        Err(error) => Err(error.into()),
    }
}

/// Prints the events of a run, and shows its progress.
pub struct TrainingPrinter<'a> {
    recipe: &'a Recipe,
    dataset: &'a Dataset,
    epochs: u32,
    /// Steps done.
    steps: u64,
    loss: Option<f64>,
    progress: Option<Progress>,
}

impl<'a> TrainingPrinter<'a> {
    /// A printer for one run.
    pub fn new(recipe: &'a Recipe, dataset: &'a Dataset) -> Self {
        Self { recipe, dataset, epochs: 0, steps: 0, loss: None, progress: None }
    }

    /// Shows an event.
    pub fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Started(started) => self.started(started),
            Event::Step { row, total_steps, .. } => self.step(row, *total_steps),
            Event::Validating { done, images } => {
                if let Some(progress) = &mut self.progress {
                    progress.set(self.steps, || format!("validating, {done} of {images} images"));
                }
            }
            Event::Epoch(row) => self.epoch(row),
            Event::Saved => {}
        }
    }

    fn started(&mut self, started: &Started) {
        self.epochs = started.epochs;
        self.steps = started.resumed_at;
        output::note(&format!(
            "recipe {}: {} with {} parameters, images of {}; {} training and {} validation images of {}",
            self.recipe.name,
            started.architecture,
            count(started.parameters),
            self.recipe.input.size,
            count(started.training_images as u64),
            count(started.validation_images as u64),
            self.dataset.name(),
        ));
        match (&started.pretrained, &self.recipe.model.weights) {
            (Some(pretrained), Some(weights)) => {
                let classifier = if pretrained.classifier_replaced {
                    "; its classifier has other outputs, so a new one was initialised at random"
                } else {
                    "; its classifier was kept"
                };
                let unused = match pretrained.unused {
                    0 => String::new(),
                    1 => "; another tensor of the file is not used".to_owned(),
                    unused => format!("; {} other tensors of the file are not used", count(unused as u64)),
                };
                output::note(&format!(
                    "initial weights: {} tensors from {} ({}){classifier}{unused}",
                    pretrained.tensors,
                    weights.display(),
                    names(pretrained.naming, &pretrained.prefix),
                ));
            }
            _ if started.resumed_at > 0 => output::note(&format!("resuming after step {}", count(started.resumed_at))),
            _ => output::note("initial weights: random"),
        }
        output::note(&format!("run folder: {}", started.folder.display()));
    }

    fn step(&mut self, row: &StepRow, total_steps: u64) {
        let loss = self.loss.map_or(row.loss, |loss| loss + SMOOTHING * (row.loss - loss));
        self.loss = Some(loss);
        self.steps = row.step;
        let progress =
            self.progress.get_or_insert_with(|| Progress::resumed("training", "steps", total_steps, row.step));
        progress.set(row.step, || {
            format!(
                "epoch {} of {}, loss {loss:.4}, learning rate {:.1e}, {:.0} images/s",
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
