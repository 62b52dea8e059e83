//! `visage evaluate`.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use visage_data::{Dataset, Split, SplitOrAll};
use visage_model::Card;
use visage_run::evaluation::{EvaluatedModel, EvaluationSettings, evaluate_model};
use visage_run::results::results_folder;
use visage_run::shell;
use visage_run::{MetricsFile, RunFolder};

use super::{attributes_to_judge, images_to_judge, read_predictor_with, read_rules};
use crate::compute::{Compute, InferenceArgs, TestTimeArgs};
use crate::dataset::{DatasetArgs, warn_of_truncated};
use crate::error::CommandError;
use crate::faces::LabelledFacesArgs;
use crate::overwrite::OverwriteArgs;
use crate::progress::Progress;
use crate::{extension, output, tables};

/// Options of `visage evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// A model file, or a run folder, whose best checkpoint is evaluated.
    pub model: PathBuf,
    #[command(flatten)]
    pub dataset: DatasetArgs,
    #[command(flatten)]
    pub faces: LabelledFacesArgs,
    /// The split to evaluate on: train, validation, test, or all for every image [default: test, or all where the table assigns no
    /// splits].
    #[arg(long)]
    pub split: Option<SplitOrAll>,
    /// Judge only these attributes; the table needs no others.
    #[arg(long, value_name = "ATTRIBUTE,...", value_delimiter = ',')]
    pub only: Vec<String>,
    /// The model's own thresholds (`model`), or one number from 0 to 1 for every attribute.
    #[arg(long, value_name = "model|NUMBER", default_value = "model")]
    pub threshold: Threshold,
    /// Also evaluate groups of images: those with and without an attribute, or one group for each value of a text column such as
    /// age_band.
    #[arg(long, value_name = "ATTRIBUTE|COLUMN,...", value_delimiter = ',')]
    pub group_by: Vec<String>,
    /// Rules between attributes, as TOML: rules = ["Goatee => not No_Beard", "at most one of A, B, C"] [default: rules for CelebA's
    /// attributes, where the model has them].
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Also evaluate the most probable predictions that break no rule, as given by `visage predict --consistent`.
    #[arg(long)]
    pub consistent: bool,
    /// Print JSON instead of tables, or write it to FILE ("-" is standard output).
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub json: Option<Option<PathBuf>>,
    /// Where to write the metrics [default: metrics-SPLIT.json in the run folder; on other data than the run's own, in a folder of
    /// other-data in it].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub overwrite: OverwriteArgs,
    #[command(flatten)]
    pub test_time: TestTimeArgs,
    #[command(flatten)]
    pub inference: InferenceArgs,
}

/// The thresholds above which an attribute counts as present.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// Those in the model file.
    Model,
    /// One for every attribute.
    Fixed(f32),
}

impl Threshold {
    /// The threshold that replaces the model's, if any.
    pub fn fixed(self) -> Option<f32> {
        match self {
            Self::Model => None,
            Self::Fixed(value) => Some(value),
        }
    }
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

/// Where JSON goes.
#[derive(Clone, Copy, PartialEq)]
enum JsonTarget<'a> {
    Stdout,
    File(&'a Path),
}

impl EvaluateArgs {
    fn json_target(&self) -> Option<JsonTarget<'_>> {
        self.json.as_ref().map(|file| match file.as_deref() {
            // "-" is standard output, by convention.
            Some(file) if file != Path::new("-") => JsonTarget::File(file),
            _ => JsonTarget::Stdout,
        })
    }

    /// Where the metrics and the predictions go, if they are to be kept.
    fn metrics_path(&self, card: &Card, dataset: &Dataset, split: SplitOrAll) -> Option<PathBuf> {
        let in_run = || {
            let keep = RunFolder::holds_run(&self.model) && !matches!(self.json_target(), Some(JsonTarget::File(_)));
            keep.then(|| results_folder(&self.model, card, dataset).join(MetricsFile::name(split)))
        };
        self.out.clone().or_else(in_run)
    }
}

/// Evaluates a model on a split of a dataset.
pub fn run(args: &EvaluateArgs) -> Result<(), CommandError> {
    args.out.iter().try_for_each(|path| extension::check("--out", path, &["json"]))?;
    args.out.as_ref().map_or(Ok(()), |path| args.overwrite.check(path))?;
    if let Some(JsonTarget::File(file)) = args.json_target() {
        extension::check("--json", file, &["json"])?;
        args.overwrite.check(file)?;
    }
    let compute = Compute::for_inference(&args.inference)?;
    let (predictor, model_file) = read_predictor_with(&args.model, &compute, args.test_time)?;
    let card = predictor.card();
    let attributes = attributes_to_judge(&args.only, card)?;
    let judged: Vec<String> = attributes.iter().map(ToString::to_string).collect();
    let rules = read_rules(args.rules.as_deref(), &judged)?;
    if args.consistent && rules.is_empty() {
        return Err(CommandError::NoRules);
    }
    let dataset = Arc::new(args.dataset.open_for(card, args.faces)?);
    let split = args.split.unwrap_or_else(|| images_to_judge(&dataset, card).unwrap_or(Split::Test.into()));
    let has_training_images = matches!(split, SplitOrAll::All | SplitOrAll::Split(Split::Train));
    if has_training_images && dataset.fingerprint() == card.origin.dataset_fingerprint {
        output::warning("the model was trained on some of these images: the results say little about others");
    }
    let settings = EvaluationSettings {
        predictor: &predictor,
        model_file: &model_file,
        precision: compute.precision,
        dataset: &dataset,
        data: &args.dataset.data,
        split,
        attributes: &attributes,
        threshold: args.threshold.fixed(),
        group_by: &args.group_by,
        rules: &rules,
        consistent: args.consistent,
    };
    let path = args.metrics_path(card, &dataset, split);
    if let Some(path) = &path {
        args.overwrite.check(path)?;
        if !args.overwrite.force {
            MetricsFile::require_same_question(path, &settings.question())?;
        }
    }
    write(args, path.as_deref(), &evaluate(&settings)?)
}

/// Evaluates a model, with progress.
pub fn evaluate(settings: &EvaluationSettings<'_>) -> Result<EvaluatedModel, CommandError> {
    let images = settings.dataset.indices_of(settings.split).len();
    let mut progress = Progress::new(&format!("evaluating on {}", settings.split.phrase()), "images", images as u64);
    let evaluated = evaluate_model(settings, |done| progress.set(done as u64, String::new))?;
    drop(progress);
    warn_of_truncated(settings.dataset);
    Ok(evaluated)
}

/// Writes the files and prints the result.
fn write(args: &EvaluateArgs, path: Option<&Path>, evaluated: &EvaluatedModel) -> Result<(), CommandError> {
    let EvaluatedModel { metrics, .. } = evaluated;
    let mut written = Vec::new();
    if let Some(path) = path {
        written.extend(evaluated.write(path)?);
    }
    match args.json_target() {
        Some(JsonTarget::Stdout) => output::result(&metrics.to_json())?,
        Some(JsonTarget::File(file)) => {
            metrics.write(file)?;
            written.push(file.to_owned());
            output::result(&tables::evaluation::text(metrics))?;
        }
        None => output::result(&tables::evaluation::text(metrics))?,
    }
    if !written.is_empty() {
        let written: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
        output::note(&format!("wrote {}", written.join(", ")));
        if RunFolder::holds_run(&args.model) {
            output::note(&format!("next: visage report {}", shell::path(&args.model)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_the_models_or_a_number() {
        assert_eq!("model".parse(), Ok(Threshold::Model));
        assert_eq!("0.25".parse(), Ok(Threshold::Fixed(0.25)));
        for wrong in ["1.5", "-0.1", "NaN", "best", ""] {
            assert!(wrong.parse::<Threshold>().is_err(), "{wrong}");
        }
    }
}
