//! The verbs of the command line. The options of a verb are defined in its file under [`commands`](crate::commands).

use clap::{Args, Parser, Subcommand};

use visage_run::shell;

use crate::commands::{
    audit, bench, calibrate, card, compare, completions, data, demo, devices, ensemble, evaluate, explain, export,
    faces, lr_find, man, predict, recipe, report, runs, serve, train, tune, weights,
};
use crate::logging::LogFormat;

/// Train, evaluate, explain and serve image classifiers with many yes/no attributes.
///
/// Results go to standard output; progress and notes go to standard error. The exit code is 0 on success, 1 on failure, 2 if
/// the command line is wrong, and 130 if Ctrl-C stopped the work. NO_COLOR and CLICOLOR_FORCE are followed. `visage.toml` in the working
/// folder holds defaults of options: `threads = 4` for every verb that has the option, `epochs = 3` below `[train]` for one.
#[derive(Debug, Parser)]
#[command(name = "visage", version, max_term_width = 120)]
pub struct Cli {
    /// Log more to standard error; twice for all details. VISAGE_LOG takes a filter such as `visage_data=trace`.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Print results, warnings and errors only: no progress and no notes.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything once on synthetic faces: train two models, evaluate and compare them.
    Demo(demo::DemoArgs),
    /// Inspect, verify, convert or generate a dataset.
    #[command(subcommand)]
    Data(data::DataCommand),
    /// Train a model from a recipe.
    Train(train::TrainArgs),
    /// Search the recipe that is best by a metric on the validation split, by successive halving.
    Tune(tune::TuneArgs),
    /// Find a learning rate with a range test: train while the rate rises, and see where the loss falls fastest.
    LrFind(lr_find::LrFindArgs),
    /// List the runs in a folder with their results.
    Runs(runs::RunsArgs),
    /// Show a recipe, or the differences between two.
    #[command(subcommand)]
    Recipe(recipe::RecipeCommand),
    /// List the tensors of a weight file and the networks they fit.
    Weights(weights::WeightsArgs),
    /// Evaluate a model on a split of a dataset.
    Evaluate(evaluate::EvaluateArgs),
    /// Compare evaluated runs, with significance tests.
    Compare(compare::CompareArgs),
    /// Write a report of runs, training and evaluation, as one HTML page and its figures.
    Report(report::ReportArgs),
    /// Calibrate the probabilities of a model and choose its thresholds.
    Calibrate(calibrate::CalibrateArgs),
    /// Find likely label errors and duplicate images.
    Audit(audit::AuditArgs),
    /// Write the model card of an evaluated run, as Markdown.
    Card(card::CardArgs),
    /// Predict the attributes of images.
    Predict(predict::PredictArgs),
    /// Find and align the faces in photographs.
    #[command(subcommand)]
    Faces(faces::FacesCommand),
    /// Combine several models into one file, which averages their logits.
    Ensemble(ensemble::EnsembleArgs),
    /// Show which regions of an image a model's predictions rely on, as heat maps.
    Explain(explain::ExplainArgs),
    /// Export a model as an ONNX graph, or as a PyTorch state dict for torchvision or timm.
    Export(export::ExportArgs),
    /// Serve models over HTTP: a JSON API, the Open Inference Protocol, and a web page.
    Serve(serve::ServeArgs),
    /// Measure the speed of training or inference on random pixels.
    Bench(bench::BenchArgs),
    /// List the devices this program can compute on.
    Devices(devices::DevicesArgs),
    /// Print a shell completion script.
    Completions(completions::CompletionsArgs),
    /// Write the manual pages, one per verb.
    Man(man::ManArgs),
    /// Print the reference of all verbs as Markdown.
    #[command(hide = true)]
    MarkdownHelp,
}

impl Command {
    /// Whether this is a server, which must not wait for the reader of its log.
    pub fn is_server(&self) -> bool {
        matches!(self, Self::Serve(_))
    }

    /// The format of the log: only a server lets its user choose.
    pub fn log_format(&self) -> LogFormat {
        match self {
            Self::Serve(args) => args.log,
            _ => LogFormat::Text,
        }
    }
}

/// Changes to a recipe.
#[derive(Clone, Debug, Args)]
pub struct Overrides {
    /// Change a value of the recipe, such as `epochs=3` or `model.weights=resnet18.pth`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

impl Overrides {
    /// The same options as text, each after a space, to repeat them in a command shown to the user.
    pub fn repeated(&self) -> String {
        self.overrides.iter().map(|change| format!(" --set {}", shell::word(change))).collect()
    }
}

/// Changes to a recipe, the commonest of which have options of their own.
#[derive(Clone, Debug, Args)]
pub struct RecipeArgs {
    #[command(flatten)]
    pub set: Overrides,
    /// How often training sees every image: short for `--set epochs=N`.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub epochs: Option<String>,
    /// Images in a batch: short for `--set batch_size=N`.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub batch_size: Option<String>,
    /// The learning rate: short for `--set learning_rate=RATE`.
    #[arg(long, visible_alias = "learning-rate", value_name = "RATE", allow_negative_numbers = true)]
    pub lr: Option<String>,
    /// The size of the images that the network sees: short for `--set size=H[xW]`.
    #[arg(long, value_name = "H[xW]", allow_negative_numbers = true)]
    pub size: Option<String>,
    /// The seed of every random draw: short for `--set seed=N`.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<String>,
}

impl RecipeArgs {
    /// The changes, as `key=value`.
    pub fn changes(&self) -> Vec<String> {
        let Self { set, epochs, batch_size, lr, size, seed } = self;
        let short =
            [("epochs", epochs), ("batch_size", batch_size), ("learning_rate", lr), ("size", size), ("seed", seed)];
        let short = short.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_ref()?)));
        set.overrides.iter().cloned().chain(short).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_recipe_may_be_left_out_only_to_resume() {
        let parse = |line: &str| Cli::try_parse_from(line.split_whitespace());
        assert!(parse("visage train --data d").is_err());
        assert!(parse("visage train --resume r").is_ok());
        assert!(parse("visage train --data d --resume --out r").is_ok());
        assert!(parse("visage train baseline").is_err(), "the data, too");
        assert!(parse("visage train baseline --data d").is_ok());
    }
}
