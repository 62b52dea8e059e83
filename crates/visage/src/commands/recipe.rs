//! `visage recipe`.

use std::path::Path;

use clap::{Args, Subcommand};
use visage_model::Model;
use visage_run::{Recipe, RecipeError, RunFolder};

use crate::cli::RecipeArgs;
use crate::error::CommandError;
use crate::output;
use crate::tables::Table;

/// The verbs of `visage recipe`.
#[derive(Debug, Subcommand)]
pub enum RecipeCommand {
    /// Show a recipe with all its values, defaults included.
    Show(ShowArgs),
    /// Show the values in which two recipes differ.
    Diff(DiffArgs),
}

/// Options of `visage recipe show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A built-in recipe (baseline, original, enhanced), a TOML file, a run folder, or a model file, which holds the recipe it was
    /// trained by.
    pub recipe: String,
    #[command(flatten)]
    pub set: RecipeArgs,
}

/// Options of `visage recipe diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// A recipe, as for `visage recipe show`.
    pub first: String,
    /// The recipe to compare it with.
    pub second: String,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Shows one recipe, or how two differ.
pub fn run(command: &RecipeCommand) -> Result<(), CommandError> {
    match command {
        RecipeCommand::Show(args) => {
            let recipe = load_or_run(&args.recipe, &args.set.changes())?;
            output::result(&recipe.to_toml()?)
        }
        RecipeCommand::Diff(args) => diff(args),
    }
}

fn diff(args: &DiffArgs) -> Result<(), CommandError> {
    let (first, second) = (load_or_run(&args.first, &[])?, load_or_run(&args.second, &[])?);
    let differences = first.differences(&second)?;
    if args.json {
        return output::json(&differences);
    }
    if differences.is_empty() {
        return output::result("the recipes are the same\n");
    }
    let mut table = Table::new(3, &["Key", &args.first, &args.second]);
    for difference in differences {
        let cell = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        table.row([difference.key, cell(difference.ours), cell(difference.theirs)]);
    }
    output::result(&table.text())
}

/// The built-in recipe of this name, or the recipe in this file, with changes. An unknown name is wrong usage.
pub fn load(name: &str, overrides: &[String]) -> Result<Recipe, CommandError> {
    let recipe = Recipe::load(name).map_err(|error| match error {
        RecipeError::Unknown { .. } => CommandError::usage(error),
        error => error.into(),
    })?;
    changed(recipe, overrides)
}

/// The same; `name` may also be a run folder or a model file.
pub fn load_or_run(name: &str, overrides: &[String]) -> Result<Recipe, CommandError> {
    let path = Path::new(name);
    if RunFolder::holds_run(path) {
        of_run(path, overrides)
    } else if path.extension().is_some_and(|extension| extension == "safetensors") {
        let card = Model::read_card(path).map_err(|error| CommandError::model(path, error))?;
        let recipe = Recipe::parse(&card.origin.recipe, &format!("the recipe in {name}"), "")?;
        changed(recipe, overrides)
    } else {
        load(name, overrides)
    }
}

/// The recipe of a run, with changes.
pub fn of_run(run: &Path, overrides: &[String]) -> Result<Recipe, CommandError> {
    let recipe = RunFolder::open(run)?.recipe()?;
    changed(recipe, overrides)
}

fn changed(mut recipe: Recipe, overrides: &[String]) -> Result<Recipe, CommandError> {
    recipe.set_all(overrides).map_err(CommandError::usage)?;
    Ok(recipe)
}
