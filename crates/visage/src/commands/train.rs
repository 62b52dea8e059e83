//! `visage train`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use visage_data::Dataset;
use visage_run::shell;
use visage_run::{EpochRow, Recipe, RunFolder, RunStatus, StepRow};
use visage_train::{Event, IMAGENET, Outcome, Started, TrainSettings, imagenet_weights};

use super::{recipe, split_to_judge};
use crate::cli::RecipeArgs;
use crate::compute::{Compute, ComputeArgs};
use crate::dataset::{ConstantArgs, DatasetArgs, DatasetOptions, warn_of_truncated};
use crate::error::CommandError;
use crate::extension;
use crate::faces::align_for_recipe;
use crate::interrupt::StopOnInterrupt;
use crate::output;
use crate::progress::Progress;
use crate::tables::weights::names;
use crate::tables::{count, counted, duration, score};
use crate::tensorboard::TensorBoardWriter;
use crate::{dry_run, training_events};

/// The weight of a new step in the exponential average of the loss that is shown.
const SMOOTHING: f64 = 0.05;

/// Options of `visage train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// A built-in recipe (baseline, original, enhanced) or a TOML file. May be left out with --resume, which uses the run's own.
    #[arg(required_unless_present = "resume")]
    pub recipe: Option<String>,
    /// The dataset, as for `visage data inspect`. May be left out with --resume.
    #[arg(long, value_name = "PATH", required_unless_present = "resume")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub options: DatasetOptions,
    /// Train and validate on at most N images each, drawn at random: for a first try.
    #[arg(long, value_name = "N", value_parser = at_least_two)]
    pub limit: Option<usize>,
    #[command(flatten)]
    pub constant: ConstantArgs,
    /// The run folder [default: runs/RECIPE-DATE-TIME].
    #[arg(long, value_name = "RUN")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub set: RecipeArgs,
    /// Resume a run (RUN, or that in --out) from its last checkpoint, with its own recipe, data and options.
    #[arg(long, value_name = "RUN", num_args = 0..=1)]
    pub resume: Option<Option<PathBuf>>,
    /// Resume even with another recipe or other data than the run started with.
    #[arg(long, requires = "resume")]
    pub accept_changes: bool,
    /// Check everything, take a few steps, estimate time and memory, and write nothing.
    #[arg(long, conflicts_with_all = ["resume", "json"])]
    pub dry_run: bool,
    /// Also write TensorBoard event files, to `tensorboard` in the run folder.
    #[arg(long)]
    pub tensorboard: bool,
    /// Print the events of the training as JSON, one a line.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// A number of images that training can use.
fn at_least_two(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&images| images >= 2).ok_or_else(|| "write a whole number of at least 2".to_owned())
}

impl TrainArgs {
    /// The recipe that was named, and the run to resume.
    fn recipe_and_run(&self) -> Result<(Option<String>, Option<PathBuf>), CommandError> {
        let named = self.recipe.clone();
        match (&self.resume, &self.out) {
            (None, _) => Ok((named, None)),
            (Some(Some(run)), None) | (Some(None), Some(run)) => Ok((named, Some(run.clone()))),
            // The recipe follows the option: --resume RECIPE --out RUN.
            (Some(Some(recipe)), Some(run)) if named.is_none() && !RunFolder::holds_run(recipe) => {
                Ok((Some(recipe.to_string_lossy().into_owned()), Some(run.clone())))
            }
            (Some(Some(_)), Some(_)) => Err(CommandError::usage("name the run to resume once: --resume RUN")),
            (Some(None), None) => Err(CommandError::usage("name the run to resume: --resume RUN")),
        }
    }
}

/// Trains a model.
pub fn run(args: &TrainArgs) -> Result<(), CommandError> {
    args.out.iter().try_for_each(|folder| extension::check_folder("--out", folder))?;
    let (named, resumed) = args.recipe_and_run()?;
    let recipe = match (&named, &resumed) {
        (None, Some(run)) => recipe::of_run(run, &args.set.changes())?,
        (recipe, _) => recipe::load(recipe.as_deref().unwrap_or_default(), &args.set.changes())?,
    };
    warn_of_other_preparation(&recipe);
    let remembered = resumed.as_ref().map(|run| RunFolder::open(run)?.record()).transpose()?.map(|record| record.data);
    let limit = args.limit.or(remembered.as_ref().and_then(|data| data.limit));
    let skip_bad_images = args.options.skip_bad_images || remembered.as_ref().is_some_and(|data| data.skip_bad_images);
    let data = args.data.clone().or(remembered.map(|data| data.path)).unwrap_or_default();
    let options = DatasetOptions { skip_bad_images, ..args.options.clone() };
    let dataset_args = DatasetArgs { data, options };
    let compute = Compute::for_training(&args.compute)?;
    let mut dataset = match &resumed {
        Some(folder) => dataset_args.open_again(folder)?,
        None => dataset_args.open()?,
    };
    dataset_args.check_images(&dataset)?;
    align_for_recipe(&mut dataset, &recipe)?;
    let split_seed = args.constant.prepare(&mut dataset, recipe.training.seed, resumed.is_some())?;
    let folder = resumed.clone().or_else(|| args.out.clone());
    let folder = folder.unwrap_or_else(|| RunFolder::default_path(&recipe.name, Timestamp::now()));
    let settings = TrainSettings {
        split_seed,
        skip_bad_images,
        limit,
        resume: resumed.is_some(),
        accept_changes: args.accept_changes,
        ..settings(recipe, dataset.into(), &dataset_args.data, &folder, &compute)
    };
    if args.dry_run {
        return output::result(&dry_run::run(&settings)?);
    }
    // A run that was begun with event files goes on with them.
    let shown = Shown { tensorboard: args.tensorboard || TensorBoardWriter::folder(&folder).is_dir(), json: args.json };
    let resume = format!("visage train --resume {}{}", shell::path(&folder), args.compute.repeated());
    let outcome = train(&settings, shown, &resume)?;
    if args.json {
        return training_events::end(&outcome, &folder);
    }
    output::result(&summary(&outcome, &settings, &dataset_args))
}

/// Warns if ImageNet's weights will see images that are normalised otherwise than those they were trained on.
fn warn_of_other_preparation(recipe: &Recipe) {
    let is_by_name = recipe.model.weights.as_deref() == Some(Path::new(IMAGENET));
    let Some(known) = imagenet_weights(recipe.model.architecture).filter(|_| is_by_name) else { return };
    if (recipe.input.mean, recipe.input.std) != (known.mean, known.std) {
        output::warning(&format!(
            "these weights were trained on images with mean {:?} and standard deviation {:?}, and the recipe has {:?} and {:?}: set input.mean \
             and input.std",
            known.mean, known.std, recipe.input.mean, recipe.input.std
        ));
    }
}

/// The settings of a new run on a dataset with splits.
pub fn settings(recipe: Recipe, dataset: Arc<Dataset>, data: &Path, folder: &Path, compute: &Compute) -> TrainSettings {
    TrainSettings {
        recipe,
        dataset,
        data_path: data.to_path_buf(),
        split_seed: None,
        skip_bad_images: false,
        limit: None,
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

fn summary(Outcome { status, result }: &Outcome, settings: &TrainSettings, dataset: &DatasetArgs) -> String {
    let folder = &settings.folder;
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
         next: visage evaluate {run} --data {}{}{}\n",
        counted(u64::from(result.epochs), "epoch"),
        duration(result.seconds),
        model.file_name().unwrap_or_default().display(),
        shell::path(&dataset.data),
        split_to_judge(&settings.dataset),
        dataset.repeated()
    )
}

/// Where the events of a training go, besides the terminal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown {
    /// Whether TensorBoard event files are written.
    pub tensorboard: bool,
    /// Whether the events are printed as JSON.
    pub json: bool,
}

/// Trains with progress; Ctrl-C saves a checkpoint and stops. `resume_command` is shown if the run ends early.
pub fn train(settings: &TrainSettings, shown: Shown, resume_command: &str) -> Result<Outcome, CommandError> {
    let stop = StopOnInterrupt::install("stopping after this step, then saving");
    let mut printer = TrainingPrinter::new(&settings.recipe, &settings.dataset);
    let mut tensorboard = shown.tensorboard.then(TensorBoardWriter::default);
    let trained = visage_train::train(settings, stop.flag(), &mut |event| {
        printer.show(&event);
        if shown.json {
            training_events::print(&event);
        }
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
        self.configuration(started);
        output::note(&format!("run folder: {}", started.folder.display()));
    }

    /// Prints what is trained, on what, from which weights.
    pub fn configuration(&self, started: &Started) {
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
