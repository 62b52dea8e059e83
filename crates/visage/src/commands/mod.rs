//! The verbs.

mod audit;
mod bench;
mod calibrate;
mod card;
pub mod compare;
mod data;
mod demo;
mod devices;
pub mod evaluate;
mod explain;
mod export;
mod lr_find;
mod predict;
mod recipe;
mod report;
mod runs;
mod serve;
pub mod train;
mod weights;

use std::fs;
use std::path::{Path, PathBuf};

use visage_judge::{RuleSet, Rules};
use visage_model::{Card, Model, Predictor};
use visage_run::RunFolder;

use crate::cli::{Command, DataCommand, RecipeCommand};
use crate::compute::Compute;
use crate::error::CommandError;

/// Does what was asked for.
///
/// # Errors
///
/// Whatever kept it from being done.
pub fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Demo(args) => demo::run(&args),
        Command::Data(DataCommand::Inspect(args)) => data::inspect(&args),
        Command::Data(DataCommand::Verify(args)) => data::verify::run(&args),
        Command::Data(DataCommand::Pack(args)) => data::pack::run(&args),
        Command::Data(DataCommand::Convert(args)) => data::convert::run(&args),
        Command::Data(DataCommand::Preview(args)) => data::preview::run(&args),
        Command::Data(DataCommand::Synth(args)) => data::synth(&args),
        Command::Train(args) => train::run(&args),
        Command::LrFind(args) => lr_find::run(&args),
        Command::Runs(args) => runs::run(&args),
        Command::Recipe(RecipeCommand::Show(args)) => recipe::show(&args),
        Command::Recipe(RecipeCommand::Diff(args)) => recipe::diff(&args),
        Command::Weights(args) => weights::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Card(args) => card::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Devices(args) => devices::run(&args),
    }
}

/// Reads the model that `model` names, a file or the folder of a run, whose best checkpoint it is then. Also returns
/// the file's path.
pub fn read_model(model: &Path, compute: &Compute) -> Result<(Model, PathBuf), CommandError> {
    let file = model_file(model)?;
    Ok((Model::read(&file, &compute.device)?, file))
}

/// [`read_model`], compiled for inference.
pub fn read_predictor(model: &Path, compute: &Compute) -> Result<(Predictor, PathBuf), CommandError> {
    let (model, file) = read_model(model, compute)?;
    Ok((Predictor::new(&model, &compute.device, compute.precision), file))
}

/// The file that `model` names.
fn model_file(model: &Path) -> Result<PathBuf, CommandError> {
    let file = if model.is_dir() { RunFolder::model_file(model) } else { model.to_owned() };
    if model.is_dir() && !file.is_file() {
        return Err(CommandError::NoModel { folder: model.to_owned() });
    }
    Ok(file)
}

/// Which of a model's outputs the attributes of these names are, each once.
fn attribute_numbers(names: &[String], card: &Card) -> Result<Vec<usize>, CommandError> {
    let mut numbers = Vec::new();
    for name in names {
        let Some(number) = card.attributes.iter().position(|known| known == name) else {
            return Err(CommandError::NoSuchAttribute { name: name.clone(), known: card.attributes.clone() });
        };
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

/// The rules in `file`, or without one those of CelebA that are about these attributes.
fn read_rules(file: Option<&Path>, attributes: &[String]) -> Result<Rules, CommandError> {
    let Some(path) = file else {
        return RuleSet::celeba().and_then(|rules| rules.bind(attributes, true)).map_err(CommandError::Rules);
    };
    let text = fs::read_to_string(path).map_err(|source| CommandError::Read { path: path.to_owned(), source })?;
    RuleSet::parse(&text)
        .and_then(|rules| rules.bind(attributes, false))
        .map_err(|source| CommandError::RuleFile { path: path.to_owned(), source })
}
