//! The verbs, one file each: its options, and a `run` that resolves them and calls the libraries.

pub mod audit;
pub mod bench;
pub mod calibrate;
pub mod card;
pub mod compare;
pub mod completions;
pub mod data;
pub mod demo;
pub mod devices;
pub mod ensemble;
pub mod evaluate;
pub mod explain;
pub mod export;
pub mod faces;
pub mod lr_find;
pub mod man;
pub mod predict;
pub mod recipe;
pub mod report;
pub mod runs;
pub mod serve;
pub mod train;
pub mod tune;
pub mod weights;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use visage_data::{Dataset, Split, SplitOrAll};
use visage_judge::{RuleSet, Rules};
use visage_model::{Card, Model, Predictor};
use visage_run::RunFolder;
use visage_run::evaluation::{BATCH_SIZE, split_indices};
use visage_run::predict::{LabelledOutputs, logits};

use crate::cli::Command;
use crate::compute::{Compute, TestTimeArgs};
use crate::error::CommandError;
use crate::output;
use crate::progress::Progress;
use crate::tables::counted;

/// Runs a verb.
///
/// # Errors
///
/// Why it failed.
pub fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Demo(args) => demo::run(&args),
        Command::Data(command) => data::run(&command),
        Command::Train(args) => train::run(&args),
        Command::Tune(args) => tune::run(&args),
        Command::LrFind(args) => lr_find::run(&args),
        Command::Runs(args) => runs::run(&args),
        Command::Recipe(command) => recipe::run(&command),
        Command::Weights(args) => weights::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Ensemble(args) => ensemble::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Card(args) => card::run(&args),
        Command::Faces(command) => faces::run(&command),
        Command::Predict(args) => predict::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::MarkdownHelp => man::markdown(),
    }
}

/// Reads a model file, or the best checkpoint of a run folder. Also returns the file's path.
fn read_model(model: &Path, compute: &Compute) -> Result<(Model, PathBuf), CommandError> {
    let file = model_file(model)?;
    match Model::read(&file, &compute.device) {
        Ok(model) => Ok((model, file)),
        Err(error) => Err(CommandError::model(&file, error)),
    }
}

/// Reads the same, compiled for inference.
pub fn read_predictor(model: &Path, compute: &Compute) -> Result<(Predictor, PathBuf), CommandError> {
    read_predictor_with(model, compute, TestTimeArgs { tta: None })
}

/// Reads the same, with the views of an image that were given. Warns if the thresholds were chosen for others.
fn read_predictor_with(
    model: &Path,
    compute: &Compute,
    test_time: TestTimeArgs,
) -> Result<(Predictor, PathBuf), CommandError> {
    let (mut model, file) = read_model(model, compute)?;
    test_time.apply_to_chosen(&mut model);
    Ok((Predictor::new(&model, &compute.device, compute.precision), file))
}

/// The labels of a split and the model's logits, with progress.
fn split_logits(
    predictor: &Predictor,
    dataset: &Arc<Dataset>,
    split: Split,
    activity: &str,
) -> Result<LabelledOutputs, CommandError> {
    let indices = split_indices(dataset, split)?;
    let mut progress = Progress::new(activity, "images", indices.len() as u64);
    let report = |done: usize| progress.set(done as u64, String::new);
    let attributes = attributes_to_judge(&[], predictor.card())?;
    Ok(logits(&attributes, predictor, dataset, indices, BATCH_SIZE, report)?)
}

/// The option of `visage evaluate` for a dataset without test images, after a space.
fn split_to_judge(dataset: &Dataset) -> &'static str {
    if dataset.indices(Split::Test).is_empty() { " --split validation" } else { "" }
}

/// The images of a dataset without splits: all of them, which is said. `None` if it has splits.
fn images_to_judge(dataset: &Dataset, card: &Card) -> Option<SplitOrAll> {
    if dataset.has_splits() {
        return None;
    }
    let images = counted(dataset.samples().len() as u64, "image");
    output::note(&format!("{} assigns no splits: all are used: {images}", dataset.name()));
    if card.origin.split_seed.is_some() && card.origin.dataset == dataset.name() {
        output::warning(
            "the splits of the training cannot be drawn again, because the table is another one: if it holds images that the model \
             was trained on, the results are too good",
        );
    }
    Some(SplitOrAll::All)
}

/// The model file that `model` names: itself, or the best checkpoint of a run folder.
fn model_file(model: &Path) -> Result<PathBuf, CommandError> {
    let file = if model.is_dir() { RunFolder::model_file(model) } else { model.to_owned() };
    if model.is_dir() && !file.is_file() {
        return Err(CommandError::NoModel { folder: model.to_owned() });
    }
    Ok(file)
}

/// The model's outputs with these names, each once.
fn attribute_indices(names: &[String], card: &Card) -> Result<Vec<usize>, CommandError> {
    let mut indices = Vec::new();
    for name in names {
        let Some(index) = card.attributes.iter().position(|known| known == name) else {
            return Err(CommandError::UnknownAttribute { name: name.clone(), known: card.attributes.clone() });
        };
        if !indices.contains(&index) {
            indices.push(index);
        }
    }
    Ok(indices)
}

/// The attributes of a model that are named, or all, in the model's order.
fn attributes_to_judge<'a>(only: &[String], card: &'a Card) -> Result<Vec<&'a str>, CommandError> {
    let named = attribute_indices(only, card)?;
    let all = card.attributes.iter().enumerate();
    let wanted = all.filter(|(index, _)| named.is_empty() || named.contains(index));
    Ok(wanted.map(|(_, name)| name.as_str()).collect())
}

/// The rules in `file`, or else those for CelebA's attributes as far as the model has them.
fn read_rules(file: Option<&Path>, attributes: &[String]) -> Result<Rules, CommandError> {
    let Some(path) = file else {
        return RuleSet::celeba().and_then(|rules| rules.bind(attributes, true)).map_err(CommandError::Rules);
    };
    let text = fs::read_to_string(path).map_err(CommandError::read(path))?;
    RuleSet::parse(&text)
        .and_then(|rules| rules.bind(attributes, false))
        .map_err(|source| CommandError::RuleFile { path: path.to_owned(), source })
}
