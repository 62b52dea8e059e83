//! `visage tune`.

use std::path::{Path, PathBuf};

use clap::Args;
use visage_report::{TunedTrial, Tuning, made};
use visage_run::space::{Space, SpaceError, Trials};
use visage_run::{Monitor, Recipe, RunFolder, TuneFolder, TuneRequest, shell};
use visage_train::tune::{Search, TuneError, TuneOutcome, TuneResults};
use visage_train::{TrainError, TrainSettings};

use super::{recipe, train};
use crate::cli::Overrides;
use crate::compute::{Compute, ComputeArgs};
use crate::dataset::{ConstantArgs, DatasetArgs, warn_of_truncated};
use crate::error::CommandError;
use crate::extension;
use crate::faces::align_for_recipe;
use crate::interrupt::StopOnInterrupt;
use crate::output;
use crate::tables::tuning::{SearchPrinter, text};
use crate::tables::{counted, duration};

/// Options of `visage tune`.
#[derive(Debug, Args)]
pub struct TuneArgs {
    /// A built-in recipe (baseline, original, enhanced) or a TOML file, whose values the trials change. May be left out with
    /// --resume.
    #[arg(required_unless_present = "resume")]
    pub recipe: Option<String>,
    #[command(flatten)]
    pub dataset: DatasetArgs,
    #[command(flatten)]
    pub constant: ConstantArgs,
    #[command(flatten)]
    pub set: Overrides,
    /// What to search: a built-in space (focal) or a TOML file with parameters and their domains.
    #[arg(long, value_name = "SPACE")]
    pub space: Option<String>,
    /// Search a key of the recipe: `KEY=LOW:HIGH`, `KEY=LOW:HIGH:log` (uniform in the logarithm) or `KEY=a,b,c`; may be repeated.
    #[arg(long = "param", value_name = "KEY=DOMAIN")]
    pub parameters: Vec<String>,
    /// The number of trials.
    #[arg(long, value_name = "N", required_unless_present_any = ["hours", "resume"],
          value_parser = clap::value_parser!(u32).range(1..))]
    pub trials: Option<u32>,
    /// Begin nothing after this many hours of training. Without --trials, as many trials as fit.
    #[arg(long, value_name = "H")]
    pub hours: Option<f64>,
    /// The metric on the validation split by which trials are judged: average_precision, f1, accuracy, balanced_accuracy or
    /// validation_loss [default: the recipe's monitor; average_precision if that is the loss].
    #[arg(long, value_name = "METRIC")]
    pub metric: Option<Monitor>,
    /// Of this many trials, one is trained further, for this many times the epochs.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(2..))]
    pub eta: u32,
    /// Epochs of a trial before it can be given up. The recipe's epochs make it a random search.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub min_epochs: u32,
    /// The seed that the values of the trials are drawn from [default: the recipe's seed].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// The folder of the search; if it holds the same search, this goes on where it was [default: runs/tune-RECIPE].
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Go on with the search in --out, with the options it was begun with.
    #[arg(long, requires = "out", conflicts_with_all = ["recipe", "overrides", "space", "parameters", "trials", "hours", "metric", "eta",
          "min_epochs", "seed"])]
    pub resume: bool,
    /// Print JSON: every trial with its scores.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// Searches the best recipe.
pub fn run(args: &TuneArgs) -> Result<(), CommandError> {
    args.out.iter().try_for_each(|folder| extension::check_folder("--out", folder))?;
    let (trials, asked) = asked(args)?;
    let out = folder(args, trials.base());
    let compute = Compute::for_training(&args.compute)?;
    let settings = settings(args, trials.base(), &out, &compute)?;
    let request = TuneRequest { data: settings.dataset.fingerprint(), ..asked };
    let folder = TuneFolder::open(&out, &request)?;
    let search = Search { request: &request, trials: &trials, folder: &folder, settings: &settings };
    let resume = resume_command(args, &out);

    let stop = StopOnInterrupt::install("stopping after this step, then saving");
    let mut printer = SearchPrinter::new(&request, &trials);
    printer.begin(&settings.dataset, &out);
    let searched = search.run(stop.flag(), &mut |event| printer.show(&event));
    let seconds = printer.seconds();
    drop(printer);
    warn_of_truncated(&settings.dataset);
    let results = match searched {
        Ok(TuneOutcome::Finished(results)) => results,
        Ok(TuneOutcome::Interrupted) => return Err(CommandError::SearchInterrupted { folder: out, resume }),
        Err(error) if is_external(&error) => {
            return Err(CommandError::SearchFailed { error: Box::new(error), resume });
        }
        Err(error) => return Err(error.into()),
    };
    page(&results, &request, trials.base(), seconds).write(&folder.file(TuneFolder::PAGE))?;
    output::json_or(args.json, &results, |results| {
        format!("{}\n{}", text(results), ending(args, results, &folder, &trials))
    })
}

/// The trials, and what was asked for but for the data: by the options, or by the search that goes on.
fn asked(args: &TuneArgs) -> Result<(Trials, TuneRequest), CommandError> {
    if let (true, Some(out)) = (args.resume, &args.out) {
        let asked = TuneFolder::request_of(out)?;
        let recipe =
            Recipe::parse(&asked.recipe, &format!("the recipe in {}", out.join(TuneFolder::REQUEST).display()), "")?;
        let mut space = Space::default();
        asked.parameters.iter().try_for_each(|parameter| space.add(parameter)).map_err(space_error)?;
        let trials = space.of(&recipe, asked.metric, asked.seed, asked.trials).map_err(space_error)?;
        return Ok((trials, asked));
    }
    if args.hours.is_some_and(|hours| !(hours > 0.0 && hours.is_finite())) {
        return Err(CommandError::usage("--hours must be above 0"));
    }
    let recipe = recipe::load(args.recipe.as_deref().unwrap_or_default(), &args.set.overrides)?;
    let metric = args.metric.unwrap_or(match recipe.training.monitor {
        // Of different losses, the values cannot be compared.
        Monitor::ValidationLoss => Monitor::AveragePrecision,
        monitor => monitor,
    });
    let seed = args.seed.unwrap_or(recipe.training.seed);
    let mut space = args.space.as_deref().map_or_else(|| Ok(Space::default()), Space::load).map_err(space_error)?;
    args.parameters.iter().try_for_each(|parameter| space.add(parameter)).map_err(space_error)?;
    let trials = space.of(&recipe, metric, seed, args.trials).map_err(space_error)?;
    let parameters = trials.parameters().iter().map(|each| format!("{}={}", each.key, each.domain));
    let asked = TuneRequest {
        recipe: trials.base().to_toml()?,
        parameters: parameters.collect(),
        metric,
        trials: args.trials,
        hours: args.hours,
        eta: args.eta,
        min_epochs: args.min_epochs,
        seed,
        data: String::new(),
    };
    Ok((trials, asked))
}

fn space_error(error: SpaceError) -> CommandError {
    match error {
        SpaceError::Read { .. } | SpaceError::Malformed { .. } => TuneError::Space(error).into(),
        error => CommandError::usage(error),
    }
}

fn folder(args: &TuneArgs, recipe: &Recipe) -> PathBuf {
    args.out.clone().unwrap_or_else(|| Path::new("runs").join(format!("tune-{}", recipe.name)))
}

/// What all trials share.
fn settings(args: &TuneArgs, recipe: &Recipe, out: &Path, compute: &Compute) -> Result<TrainSettings, CommandError> {
    // The first trial remembers how the table of the dataset was read.
    let first = out.join("trials").join("000");
    let resumed = RunFolder::holds_run(&first);
    let mut dataset = if resumed { args.dataset.open_again(&first)? } else { args.dataset.open()? };
    args.dataset.check_images(&dataset)?;
    align_for_recipe(&mut dataset, recipe)?;
    let split_seed = args.constant.prepare(&mut dataset, recipe.training.seed, resumed)?;
    Ok(TrainSettings {
        split_seed,
        skip_bad_images: args.dataset.options.skip_bad_images,
        ..train::settings(recipe.clone(), dataset.into(), &args.dataset.data, out, compute)
    })
}

fn is_external(error: &TuneError) -> bool {
    matches!(error, TuneError::Trial { error, .. } if TrainError::is_external(error))
}

/// The command that goes on with the search, with the options that its folder does not remember.
fn resume_command(args: &TuneArgs, out: &Path) -> String {
    format!(
        "visage tune --resume --out {} --data {}{}{}",
        shell::path(out),
        shell::path(&args.dataset.data),
        args.compute.repeated(),
        args.dataset.repeated()
    ) + if args.constant.drop_constant { " --drop-constant" } else { "" }
}

fn page(results: &TuneResults, request: &TuneRequest, recipe: &Recipe, seconds: f64) -> Tuning {
    let metric = request.metric.in_words();
    let trials = results.ranked().into_iter().map(|trial| TunedTrial {
        number: trial.number,
        values: trial.values.clone(),
        epochs: trial.scores.trained,
        diverged: trial.scores.diverged,
        best: results.best == Some(trial.number),
        value: trial.scores.value(request.metric),
        accuracy: trial.scores.accuracy,
        f1: trial.scores.f1,
    });
    let epochs: u32 = results.trials.iter().map(|trial| trial.scores.trained).sum();
    let halving = if results.trials.iter().all(|trial| trial.scores.epochs == recipe.training.epochs) {
        "A random search: every trial was trained in full.".to_owned()
    } else {
        let (eta, whole) = (request.eta, recipe.training.epochs);
        format!(
            "Successive halving: of {eta} trials that were trained equally long, the best one went on for {eta} times the epochs, up to \
             {whole}."
        )
    };
    let about = vec![
        format!(
            "{} of the recipe {}, judged by {metric} on the validation split, with seed {}; {} of training in {}.",
            counted(results.trials.len() as u64, "trial"),
            recipe.name,
            request.seed,
            counted(epochs.into(), "epoch"),
            duration(seconds)
        ),
        halving,
        format!("Searched: {}.", request.parameters.join("; ")),
    ];
    Tuning {
        recipe: recipe.name.clone(),
        made: made(),
        about,
        metric,
        parameters: results.parameters.clone(),
        trials: trials.collect(),
        importance: results.importance.iter().map(|each| (each.key.clone(), each.share, each.by_chance)).collect(),
        important_trials: results.important_trials,
    }
}

/// What was written, and what to do next.
fn ending(args: &TuneArgs, results: &TuneResults, folder: &TuneFolder, trials: &Trials) -> String {
    let [page, table] = [TuneFolder::PAGE, TuneFolder::TABLE].map(|name| shell::path(&folder.file(name)));
    let data = shell::path(&args.dataset.data);
    let Some(best) = results.best.and_then(|best| results.trials.get(best)) else {
        return format!("every trial diverged: search lower learning rates\nwrote {table} and {page}\n");
    };
    let recipe = shell::path(&folder.file(TuneFolder::BEST));
    let trained = if best.scores.epochs == trials.base().training.epochs {
        let run = shell::path(&folder.trial(best.number as u32));
        format!(
            "trial {} is trained in full: visage evaluate {run} --data {data}\nto train it again: visage train {recipe} --data {data}\n",
            best.number
        )
    } else {
        format!("next: visage train {recipe} --data {data}\n")
    };
    format!("wrote {recipe}, {table} and {page} (opens in any browser)\n{trained}")
}
