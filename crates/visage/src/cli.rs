//! What can be typed.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use visage_data::{Size, Split};
use visage_judge::{CalibrationMethod, ThresholdRule};
use visage_model::device::Choice;
use visage_model::{Architecture, Precision};

/// Trains, judges and uses classifiers that answer many yes/no questions about one image at once.
///
/// Results go to standard output, progress and notes to standard error. The exit code is 0 when the work is done, 1 when
/// it failed and 2 when the command was not understood.
#[derive(Debug, Parser)]
#[command(name = "visage", version, max_term_width = 120)]
pub struct Cli {
    /// Log what is going on to standard error; twice for every detail. VISAGE_LOG takes a filter such as
    /// `visage_data=trace`.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Do everything once, on faces drawn for the purpose: train two models, judge and compare them.
    Demo(DemoArgs),
    /// Look at a dataset, or draw one.
    #[command(subcommand)]
    Data(DataCommand),
    /// Train a model by a recipe.
    Train(TrainArgs),
    /// Find a learning rate: train a little while it climbs, and see where the loss falls fastest.
    LrFind(LrFindArgs),
    /// List the runs of a folder with their results.
    Runs(RunsArgs),
    /// Show a recipe, or how two differ.
    #[command(subcommand)]
    Recipe(RecipeCommand),
    /// Say what a file of weights holds and which network it fits.
    Weights(WeightsArgs),
    /// Judge a model on a part of a dataset.
    Evaluate(EvaluateArgs),
    /// Set evaluated runs side by side, and say what differs beyond chance.
    Compare(CompareArgs),
    /// Draw runs, how they trained and what they are worth, as one page and its figures.
    Report(ReportArgs),
    /// Choose a model's thresholds anew, and make its probabilities mean what they say.
    Calibrate(CalibrateArgs),
    /// Find labels that are likely wrong, and images that are there twice.
    Audit(AuditArgs),
    /// Write the model card of an evaluated run, as Markdown.
    Card(CardArgs),
    /// Ask a model about images.
    Predict(PredictArgs),
    /// Show where in an image a model sees what, as heat over the image.
    Explain(ExplainArgs),
    /// Write a model for other programs: as an ONNX graph, or as a state dict for torchvision or timm.
    Export(ExportArgs),
    /// Answer about images over HTTP: one by one, by the Open Inference Protocol, and on a page.
    Serve(ServeArgs),
    /// Measure the speed of training or inference on random pixels.
    Bench(BenchArgs),
    /// List what there is to compute on, and what this program can reach.
    Devices(DevicesArgs),
}

/// What to look at.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// The dataset, as for `visage data inspect`. A model's attributes are matched by name.
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    /// Look at every image first, leave out those that are missing or cannot be read, and list them.
    #[arg(long)]
    pub skip_bad_images: bool,
}

/// Where to compute.
#[derive(Clone, Debug, Args)]
pub struct ComputeArgs {
    /// The device to compute on: cpu, cuda, metal or vulkan, with a number (cuda:1) where there are several, as `visage devices`
    /// lists them; auto is the best that works. `visage train` may share its batches between several (cuda:0,1).
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: Choice,
    /// Threads to compute and to decode with [default: one a processor].
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

impl ComputeArgs {
    /// What to type for the same again, after a blank.
    pub fn repeated(&self) -> String {
        let device = if self.device == Choice::Auto { String::new() } else { format!(" --device {}", self.device) };
        let threads = self.threads.map(|threads| format!(" --threads {threads}")).unwrap_or_default();
        device + &threads
    }
}

/// Where to ask a model, and in which type.
#[derive(Clone, Debug, Args)]
pub struct AskArgs {
    /// The type to compute convolutions and products in: f32, bf16 or f16. The narrower two are faster on many graphics cards; the
    /// processor computes in f32 and rounds.
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    pub precision: Precision,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// Options of `visage devices`.
#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `visage demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where to put everything; must not exist yet.
    #[arg(long, value_name = "DIR", default_value = "visage-demo")]
    pub out: PathBuf,
    /// Faces to draw.
    #[arg(long, value_name = "N", default_value_t = 3000)]
    pub images: usize,
    /// Epochs to train each model for.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub epochs: u32,
    /// Height and width the models see, in pixels.
    #[arg(long, value_name = "H[xW]", default_value = "64")]
    pub size: Size,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// The verbs of `visage data`.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Say what a dataset holds: splits, prevalences, class weights, and what is wrong with it.
    Inspect(InspectArgs),
    /// Check that every row has an image that decodes, that splits are disjoint and labels make sense, and report
    /// everything that is wrong.
    Verify(VerifyArgs),
    /// Write a copy with its images decoded and resized, for fast reading.
    Pack(PackArgs),
    /// Write a dataset in another form: CelebA's layout, CSV and zip, Parquet, or WebDataset.
    Convert(ConvertArgs),
    /// Show what training sees: images with their labels, augmented as each epoch of a recipe would.
    Preview(PreviewArgs),
    /// Draw a dataset of synthetic faces in CelebA's layout.
    Synth(SynthArgs),
}

/// Options of `visage data verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The dataset, as for `visage data inspect`.
    pub path: PathBuf,
    /// Print JSON, with everything that was found, instead of a summary.
    #[arg(long)]
    pub json: bool,
    /// Threads to decode with [default: one a processor].
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

/// Options of `visage data pack`.
#[derive(Debug, Args)]
pub struct PackArgs {
    /// The dataset, as for `visage data inspect`.
    pub path: PathBuf,
    /// The file to write, such as `faces-64.pack`.
    pub out: PathBuf,
    /// The recipe whose input the images are prepared for.
    #[arg(long, value_name = "RECIPE")]
    pub recipe: String,
    /// Change a value of the recipe, as for `visage train`, such as `size=64`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Threads to decode with [default: one a processor].
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

/// Options of `visage data convert`.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// The dataset, as for `visage data inspect`.
    pub path: PathBuf,
    /// The folder or file to write; must not exist yet.
    pub out: PathBuf,
    /// The form to write.
    #[arg(long, value_enum, value_name = "FORM")]
    pub to: LayoutName,
}

/// Options of `visage data preview`.
#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// The dataset, as for `visage data inspect`.
    pub path: PathBuf,
    /// The recipe whose preparation and augmentation are shown.
    #[arg(long, value_name = "RECIPE")]
    pub recipe: String,
    /// Change a value of the recipe, as for `visage train`, such as `flip=0.5`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// The page to write.
    #[arg(long, value_name = "FILE", default_value = "preview.html")]
    pub out: PathBuf,
    /// Images to show, the first of the training split.
    #[arg(long, value_name = "N", default_value_t = 12)]
    pub images: usize,
    /// Epochs to show of each.
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub epochs: u64,
    /// Threads to decode with [default: one a processor].
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

/// A form to convert to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LayoutName {
    /// A folder in CelebA's official layout.
    Celeba,
    /// A zip archive of the images and a CSV table.
    Csv,
    /// A folder of Parquet files, as Hugging Face has them.
    Parquet,
    /// A folder of WebDataset tar shards.
    Webdataset,
}

/// Options of `visage data inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// CelebA in any of its layouts, as a folder or a zip; a table (CSV, TSV, JSON lines, Parquet) of images; a folder or zip
    /// that holds one; WebDataset shards; a pack.
    pub path: PathBuf,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// Options of `visage data synth`.
#[derive(Debug, Args)]
pub struct SynthArgs {
    /// The folder to write; must be empty or not exist yet.
    pub path: PathBuf,
    /// Images to draw.
    #[arg(long, value_name = "N")]
    pub images: usize,
    /// Which population of faces: the same seed draws the same faces.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Height and width of an image in pixels, each from 16 to 4096.
    #[arg(long, value_name = "H[xW]", default_value = "218x178")]
    pub size: Size,
    /// Shares of the training, validation and test split.
    #[arg(long, value_name = "TRAIN,VALIDATION,TEST", value_delimiter = ',', num_args = 1, default_values_t = [0.8, 0.1, 0.1])]
    pub splits: Vec<f64>,
    /// Write every label as it is drawn. Otherwise some are written wrong, on the attributes people disagree on, and
    /// listed in Anno/label_noise.csv.
    #[arg(long)]
    pub no_label_noise: bool,
    /// Threads to draw with [default: one a processor].
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

/// Options of `visage train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// A shipped recipe (baseline, original, enhanced) or a TOML file. With --resume, the run's own if left out.
    #[arg(required_unless_present = "resume")]
    pub recipe: Option<String>,
    #[command(flatten)]
    pub source: SourceArgs,
    /// The folder of the run [default: runs/RECIPE-DATE-TIME].
    #[arg(long, value_name = "RUN")]
    pub out: Option<PathBuf>,
    /// Change a value of the recipe, such as `epochs=3` or `model.weights=resnet18.pth`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Go on with the run in --out from its last checkpoint.
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// Go on even with another recipe or other data than the run began with; it then is a run of the new ones.
    #[arg(long, requires = "resume")]
    pub accept_changes: bool,
    /// Also write what happens as TensorBoard's events, to `tensorboard` in the run folder.
    #[arg(long)]
    pub tensorboard: bool,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// Options of `visage lr-find`.
#[derive(Debug, Args)]
pub struct LrFindArgs {
    /// A shipped recipe (baseline, original, enhanced) or a TOML file; its schedule and epochs are not used.
    pub recipe: String,
    #[command(flatten)]
    pub source: SourceArgs,
    /// Change a value of the recipe; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// The first learning rate.
    #[arg(long, value_name = "RATE", default_value_t = 1e-6)]
    pub start: f64,
    /// The last learning rate.
    #[arg(long, value_name = "RATE", default_value_t = 1.0)]
    pub end: f64,
    /// Steps from the first to the last.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..))]
    pub steps: u32,
    /// Write the whole curve to FILE, as CSV.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Print JSON, the whole curve in it.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// Options of `visage runs`.
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// The folder the runs are in.
    #[arg(default_value = "runs")]
    pub folder: PathBuf,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// The verbs of `visage recipe`.
#[derive(Debug, Subcommand)]
pub enum RecipeCommand {
    /// Show a recipe with every value spelt out, defaults too.
    Show(RecipeShowArgs),
    /// Show in which values two recipes differ.
    Diff(RecipeDiffArgs),
}

/// Options of `visage recipe show`.
#[derive(Debug, Args)]
pub struct RecipeShowArgs {
    /// A shipped recipe (baseline, original, enhanced), a TOML file, or the folder of a run.
    pub recipe: String,
    /// Change a value first; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

/// Options of `visage recipe diff`.
#[derive(Debug, Args)]
pub struct RecipeDiffArgs {
    /// A recipe, as for `visage recipe show`.
    pub first: String,
    /// Another.
    pub second: String,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Options of `visage weights`.
#[derive(Debug, Args)]
pub struct WeightsArgs {
    /// A safetensors or PyTorch file, or `hub:OWNER/NAME[@REVISION]`.
    pub path: PathBuf,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// Options of `visage evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// A model file, or the folder of a run, of which the best checkpoint is judged.
    pub model: PathBuf,
    #[command(flatten)]
    pub source: SourceArgs,
    /// The part of the dataset to judge on: train, validation or test.
    #[arg(long, default_value_t = Split::Test)]
    pub split: Split,
    /// The model's own thresholds (`model`), or one for every attribute, from 0 to 1.
    #[arg(long, value_name = "model|NUMBER", default_value = "model")]
    pub threshold: Threshold,
    /// Also judge groups of images apart: those that have and those that lack an attribute, or those of each value of a
    /// column of words, such as age_band.
    #[arg(long, value_name = "ATTRIBUTE|COLUMN,...", value_delimiter = ',')]
    pub group_by: Vec<String>,
    /// Rules between attributes, as TOML: rules = ["Goatee => not No_Beard", "at most one of A, B, C"] [default: CelebA's,
    /// where the attributes are].
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Also judge the most probable answers that do not contradict one another by the rules between attributes, which
    /// `visage predict --consistent` gives.
    #[arg(long)]
    pub consistent: bool,
    /// Print JSON instead of tables, or write it to FILE ("-" is standard output).
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub json: Option<Option<PathBuf>>,
    /// Where to write the metrics [default: metrics-SPLIT.json in the run folder].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub ask: AskArgs,
}

/// Which thresholds turn probabilities into answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// Those in the model file.
    Model,
    /// One for every attribute.
    Fixed(f32),
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            _ if text == "model" => Ok(Self::Model),
            Ok(value) if (0.0..=1.0).contains(&value) => Ok(Self::Fixed(value)),
            _ => Err("write `model` or a number from 0 to 1".to_owned()),
        }
    }
}

/// Options of `visage calibrate`.
#[derive(Debug, Args)]
pub struct CalibrateArgs {
    /// A model file, or the folder of a run, of which the best checkpoint is calibrated.
    pub model: PathBuf,
    #[command(flatten)]
    pub source: SourceArgs,
    /// The part of the dataset to calibrate on: not the one to train on, nor the one to judge on.
    #[arg(long, default_value_t = Split::Validation)]
    pub split: Split,
    /// How a logit becomes a probability: `temperature`, which keeps the order of images; `isotonic`, which also mends the
    /// shift of a weighted loss; `none` for the plain sigmoid; `keep` for what the model has.
    #[arg(long, value_name = "temperature|isotonic|none|keep", default_value = "keep")]
    pub method: Method,
    /// What thresholds are chosen for, attribute by attribute: the best F1; the most recall at a precision of P or more; the
    /// most precision at a recall of R or more; or one number for all.
    #[arg(long, value_name = "best-f1|precision=P|recall=R|NUMBER", default_value = "best-f1")]
    pub thresholds: ThresholdChoice,
    /// Where to write the model [default: the file it was read from].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub ask: AskArgs,
}

/// Where a model's calibration is to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Fitted.
    Fit(CalibrationMethod),
    /// None from now on.
    Remove,
    /// What the model has.
    Keep,
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::Remove),
            "keep" => Ok(Self::Keep),
            _ => {
                text.parse().map(Self::Fit).map_err(|_| "write `temperature`, `isotonic`, `none` or `keep`".to_owned())
            }
        }
    }
}

/// Which thresholds a model is to have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ThresholdChoice {
    /// Chosen by a rule.
    Rule(ThresholdRule),
    /// One for every attribute.
    Fixed(f32),
}

impl FromStr for ThresholdChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let level = |text: &str| text.parse().ok().filter(|level: &f64| *level > 0.0 && *level <= 1.0);
        let chosen = match text.split_once('=') {
            None if text == "best-f1" => Some(Self::Rule(ThresholdRule::BestF1)),
            None => text.parse().ok().filter(|value| (0.0..=1.0).contains(value)).map(Self::Fixed),
            Some(("precision", wanted)) => level(wanted).map(|level| Self::Rule(ThresholdRule::Precision(level))),
            Some(("recall", wanted)) => level(wanted).map(|level| Self::Rule(ThresholdRule::Recall(level))),
            Some(_) => None,
        };
        chosen.ok_or_else(|| "write `best-f1`, `precision=0.8`, `recall=0.9` or a number from 0 to 1".to_owned())
    }
}

/// Options of `visage compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Folders of evaluated runs, or metrics files; differences are taken from the first.
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// The split whose metrics are compared [default: the first of test, validation and train that every run has].
    #[arg(long)]
    pub split: Option<Split>,
    /// Show every attribute.
    #[arg(long)]
    pub attributes: bool,
    /// Also show what others published on CelebA's test split: the write-up's two models attribute by attribute, and means.
    #[arg(long)]
    pub published: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// Options of `visage report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Folders of runs, to stand side by side. What was not evaluated is shown as far as it was trained.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// The folder to write: report.html and a folder of figures [default: RUN/report, of several runs visage-report].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// The split whose metrics are shown [default: the first of test, validation and train that a run has].
    #[arg(long)]
    pub split: Option<Split>,
    /// Also show the images that a model was most wrong and least certain about. They go into the page: think of who is
    /// on them.
    #[arg(long)]
    pub gallery: bool,
}

/// Options of `visage audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// A model file, or the folder of a run. With --folds a recipe instead: a shipped one (baseline, original, enhanced), a
    /// TOML file, or the folder of a run, whose recipe is used again.
    #[arg(value_name = "MODEL|RECIPE")]
    pub model: PathBuf,
    #[command(flatten)]
    pub source: SourceArgs,
    /// The parts of the dataset to audit [default: validation,test, which the model was not trained on].
    #[arg(long = "split", value_name = "SPLIT,...", value_delimiter = ',')]
    pub splits: Vec<Split>,
    /// Audit the labels of every image, training images too: train N models, each without one part of the images, and ask
    /// each about that part. Their runs are kept in the output folder: the same command goes on after a stop.
    #[arg(long, value_name = "N", conflicts_with = "splits", value_parser = clap::value_parser!(u16).range(2..=100))]
    pub folds: Option<u16>,
    /// With --folds, change a value of the recipe; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "folds")]
    pub overrides: Vec<String>,
    /// The share of the labels, the most doubtful first, that audit-labels.csv lists; above 0 to 1.
    #[arg(long, value_name = "S", default_value_t = 0.05, value_parser = share)]
    pub share: f64,
    /// The folder to write audit.html, audit-labels.csv and audit-duplicates.csv to [default: the run, or where the model file
    /// is; with --folds visage-audit].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Also show the images with the most doubtful labels, and those that are there twice. They go into the page: think of
    /// who is on them.
    #[arg(long)]
    pub gallery: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// A share above 0, at most 1.
fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share: &f64| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "write a number above 0 and at most 1".to_owned())
}

/// Options of `visage card`.
#[derive(Debug, Args)]
pub struct CardArgs {
    /// The folder of an evaluated run. What `visage evaluate --group-by` found is part of the card.
    pub run: PathBuf,
    /// The split whose metrics the card shows.
    #[arg(long, default_value_t = Split::Test)]
    pub split: Split,
    /// Where to write it [default: MODEL_CARD.md in the run].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Options of `visage predict`.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// A model file, or the folder of a run.
    pub model: PathBuf,
    /// Image files; folders, which are searched for images; zip and tar archives of images; patterns such as 'photos/**/*.jpg',
    /// where the shell does not expand them; `-` for paths on standard input, one a line. Answers come in this order.
    #[arg(required = true, value_name = "IMAGE|FOLDER|ZIP|-")]
    pub images: Vec<PathBuf>,
    /// Answer about these attributes alone, in this order.
    #[arg(long, value_delimiter = ',', value_name = "NAME,NAME...")]
    pub only: Vec<String>,
    /// Give the K most probable attributes of each image, whether present or not.
    #[arg(long, value_name = "K")]
    pub top: Option<NonZeroUsize>,
    /// The model's own thresholds (`model`), or one for every attribute, from 0 to 1. A CSV of probabilities needs none.
    #[arg(long, value_name = "model|NUMBER", default_value = "model")]
    pub threshold: Threshold,
    /// Give the most probable answers that do not contradict one another by the rules between attributes. In a CSV, which
    /// otherwise holds probabilities, answers are 1 and 0.
    #[arg(long)]
    pub consistent: bool,
    /// Rules between attributes, as TOML: rules = ["Goatee => not No_Beard", "at most one of A, B, C"] [default: CelebA's,
    /// where the attributes are].
    #[arg(long, requires = "consistent", value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// How to answer [default: what the ending of --output says, or a table].
    #[arg(long, value_enum)]
    pub format: Option<PredictionFormat>,
    /// The file to write. Images that have a row there are not asked about again: a command that was stopped goes on, and new images
    /// of a folder are added. A Parquet file is written whole, when all are answered.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Also write a copy of each image with the attributes it has below it, the surest first, ten or --top of them.
    #[arg(long, value_name = "DIR")]
    pub annotate: Option<PathBuf>,
    #[command(flatten)]
    pub ask: AskArgs,
}

/// How predictions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PredictionFormat {
    /// A line an image: the attributes it has, each with its probability.
    Table,
    /// A JSON object a line and image: every attribute's probability and answer.
    Json,
    /// A row an image, a column an attribute: its probability.
    Csv,
    /// The same as a Parquet file, which --output names.
    Parquet,
}

/// Options of `visage explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A model file, or the folder of a run.
    pub model: PathBuf,
    /// An image file.
    pub image: PathBuf,
    /// An attribute to explain, as often as wanted [default: those the model says are present, or the most probable].
    #[arg(long = "attribute", value_name = "NAME")]
    pub attributes: Vec<String>,
    /// How channels of the network's feature map are weighed.
    #[arg(long, value_enum, default_value_t = ExplainMethod::GradCam)]
    pub method: ExplainMethod,
    /// The folder for the page and its pictures.
    #[arg(long, value_name = "FOLDER", default_value = "visage-explanation")]
    pub out: PathBuf,
    #[command(flatten)]
    pub ask: AskArgs,
}

/// Ways to make heat maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExplainMethod {
    /// Grad-CAM (Selvaraju et al., 2017).
    #[value(name = "grad-cam")]
    GradCam,
    /// Grad-CAM++ (Chattopadhay et al., 2018), which finds what is in several places in each.
    #[value(name = "grad-cam++")]
    GradCamPlusPlus,
    /// Score-CAM (Wang et al., 2020), which needs no gradients but a pass of the network for each channel.
    #[value(name = "score-cam")]
    ScoreCam,
    /// LayerCAM (Jiang et al., 2021), of the map before the last, which is twice as fine.
    #[value(name = "layer-cam")]
    LayerCam,
}

/// Options of `visage export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// A model file, or the folder of a run, of which the best checkpoint is exported.
    pub model: PathBuf,
    /// What to write.
    #[arg(long, value_enum)]
    pub format: ExportFormat,
    /// The file to write; of `torch` one that ends in .pth, .pt or .safetensors [default: beside the model].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Of `onnx`: scale and normalise inside the graph, which then takes RGB bytes [batch, height, width, 3] and not normalised
    /// floats [batch, 3, height, width].
    #[arg(long)]
    pub raw_images: bool,
    /// Of `onnx`: weights and activations in 8 bits, a quarter of the size and faster where processors have instructions for it. Ranges
    /// are those on images of the validation split, and what it costs is measured on the test split.
    #[arg(long, requires = "data")]
    pub int8: bool,
    /// With --int8, the dataset, as for `visage data inspect`.
    #[arg(long, value_name = "PATH", requires = "int8")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// What `visage export` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// An ONNX graph that gives probabilities and logits, with the model's card in its metadata.
    Onnx,
    /// A state dict with torchvision's names (of EfficientNet-Lite0, timm's).
    Torch,
}

/// Options of `visage serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Model files, folders of runs, or folders of either; each is asked for by the name of its file or run, or by another:
    /// NAME=PATH. The first answers where none is named. A file that changes is read anew.
    #[arg(required = true, value_name = "[NAME=]MODEL")]
    pub models: Vec<String>,
    /// The host to listen on: 0.0.0.0 for everybody.
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,
    /// The port to listen on; 0 for any that is free.
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// A port for gRPC too; 0 for any that is free.
    #[cfg(feature = "grpc")]
    #[arg(long, value_name = "PORT")]
    pub grpc_port: Option<u16>,
    /// A file with the token that requests must carry as `Authorization: Bearer TOKEN` [default: that in VISAGE_TOKEN, or none].
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The most images that go through the network together.
    #[arg(long, value_name = "N", default_value = "16")]
    pub batch: NonZeroUsize,
    /// How long an image waits for others that are on their way, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 2)]
    pub batch_delay: u64,
    /// The most images that are accepted and not yet answered; further requests are told to come again.
    #[arg(long, value_name = "N", default_value = "256")]
    pub queue: NonZeroUsize,
    /// The most images in a request.
    #[arg(long, value_name = "N", default_value = "64")]
    pub max_images: NonZeroUsize,
    /// The most bytes in a request, in MiB.
    #[arg(long, value_name = "MIB", default_value = "32")]
    pub max_body: NonZeroUsize,
    /// The most pixels of a request's images together, in millions, by their headers.
    #[arg(long, value_name = "MILLIONS", default_value = "50")]
    pub max_pixels: NonZeroUsize,
    /// The most connections; others wait.
    #[arg(long, value_name = "N", default_value = "1024")]
    pub max_connections: NonZeroUsize,
    /// How long a request's head, and then its body, may take to arrive, in seconds. Idle connections are closed after as long.
    #[arg(long, value_name = "S", default_value = "15")]
    pub read_timeout: NonZeroUsize,
    /// How requests are logged, to standard error: a line each, without what is in an image.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text)]
    pub log: LogFormat,
    /// How long to finish what was accepted when asked to stop, in seconds.
    #[arg(long, value_name = "S", default_value_t = 30)]
    pub grace: u64,
    #[command(flatten)]
    pub ask: AskArgs,
}

/// How a server's log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line, with the time.
    Json,
}

/// Options of `visage bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to measure.
    pub mode: BenchMode,
    /// The network: resnet18, efficientnet-b0 or efficientnet-lite0.
    #[arg(long)]
    pub arch: Architecture,
    /// Height and width of the images in pixels, at least 32.
    #[arg(long, value_name = "H[xW]", value_parser = network_size)]
    pub size: Size,
    /// Images in a batch.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: u32,
    /// Train as with the recipe key of this name: less memory, more time.
    #[arg(long)]
    pub checkpoint_activations: bool,
    /// Seconds to measure for, after the warm-up.
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    pub seconds: f64,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub ask: AskArgs,
}

/// What `visage bench` measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchMode {
    /// Training steps: forward, loss, backward, optimiser.
    Train,
    /// Forward passes.
    Infer,
}

/// A size the networks take: they halve their input five times.
fn network_size(text: &str) -> Result<Size, String> {
    let size: Size = text.parse().map_err(|error: visage_data::InvalidSize| error.to_string())?;
    if size.height.min(size.width) < 32 {
        return Err("the networks need at least 32 pixels a side".to_owned());
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_threshold_is_the_models_or_a_number() {
        assert_eq!("model".parse(), Ok(Threshold::Model));
        assert_eq!("0.25".parse(), Ok(Threshold::Fixed(0.25)));
        for wrong in ["1.5", "-0.1", "NaN", "best", ""] {
            assert!(wrong.parse::<Threshold>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn thresholds_are_chosen_by_a_rule_or_given() {
        let rule = |rule| Ok(ThresholdChoice::Rule(rule));
        assert_eq!("best-f1".parse(), rule(ThresholdRule::BestF1));
        assert_eq!("precision=0.8".parse(), rule(ThresholdRule::Precision(0.8)));
        assert_eq!("recall=1".parse(), rule(ThresholdRule::Recall(1.0)));
        assert_eq!("0.4".parse(), Ok(ThresholdChoice::Fixed(0.4)));
        for wrong in ["precision=0", "recall=1.1", "recall=", "accuracy=0.9", "NaN", "1.5", ""] {
            assert!(wrong.parse::<ThresholdChoice>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_recipe_may_be_left_out_only_to_resume() {
        let parse = |line: &str| Cli::try_parse_from(line.split_whitespace());
        assert!(parse("visage train --data d").is_err());
        assert!(parse("visage train --data d --resume").is_err());
        assert!(parse("visage train --data d --resume --out r").is_ok());
        assert!(parse("visage train baseline --data d").is_ok());
    }
}
