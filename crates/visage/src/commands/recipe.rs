//! `visage recipe`.

use std::path::Path;

use visage_run::{Recipe, RecipeError, RunFolder};

use crate::cli::{RecipeDiffArgs, RecipeShowArgs};
use crate::error::CommandError;
use crate::output;
use crate::table::Columns;

/// Shows a recipe.
pub fn show(args: &RecipeShowArgs) -> Result<(), CommandError> {
    let mut recipe = of_name_or_run(&args.recipe)?;
    recipe.set_all(&args.overrides).map_err(CommandError::usage)?;
    output::result(&recipe.to_toml()?)
}

/// Shows how two recipes differ.
pub fn diff(args: &RecipeDiffArgs) -> Result<(), CommandError> {
    let (first, second) = (of_name_or_run(&args.first)?, of_name_or_run(&args.second)?);
    let differences = first.differences(&second)?;
    if args.json {
        return output::json(&differences);
    }
    if differences.is_empty() {
        return output::result("the recipes are the same\n");
    }
    let mut table = Columns::new(3, &["Key", &args.first, &args.second]);
    for difference in differences {
        let cell = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        table.row([difference.key, cell(difference.ours), cell(difference.theirs)]);
    }
    output::result(&table.text())
}

/// The recipe of a name or file; a name that is none is wrong usage.
pub fn of_name(name: &str) -> Result<Recipe, CommandError> {
    Recipe::load(name).map_err(|error| match error {
        RecipeError::Unknown { .. } => CommandError::usage(error),
        error => error.into(),
    })
}

/// The same, or the recipe of the run in a folder.
pub fn of_name_or_run(name: &str) -> Result<Recipe, CommandError> {
    let run = Path::new(name);
    if RunFolder::holds_run(run) {
        return Ok(RunFolder::open(run).and_then(|run| run.recipe())?);
    }
    of_name(name)
}
