//! Everything that decides what a run computes, but the data and the device.

mod error;
mod keys;
mod overrides;
mod sections;
mod validate;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};

pub use error::{Problem, RecipeError};
pub use sections::{
    AugmentationRecipe, DecayRecipe, EvaluationRecipe, InputRecipe, LossRecipe, ModelRecipe, OptimizerKind,
    OptimizerRecipe, ScheduleRecipe, Thresholds, TrainingRecipe,
};

/// The shipped recipes, by name.
const SHIPPED: [(&str, &str); 3] = [
    ("baseline", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes/baseline.toml"))),
    ("original", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes/original.toml"))),
    ("enhanced", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes/enhanced.toml"))),
];

/// How to train one model: the contents of a recipe file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What runs of it are called; a file that does not say takes its own name.
    #[serde(default)]
    pub name: String,
    /// Which network.
    pub model: ModelRecipe,
    /// What it sees.
    pub input: InputRecipe,
    /// How training images vary.
    #[serde(default)]
    pub augmentation: AugmentationRecipe,
    /// What is made small.
    #[serde(default)]
    pub loss: LossRecipe,
    /// By which rule.
    #[serde(default)]
    pub optimizer: OptimizerRecipe,
    /// At which rates.
    #[serde(default)]
    pub schedule: ScheduleRecipe,
    /// For how long.
    #[serde(default)]
    pub training: TrainingRecipe,
    /// How probabilities become answers.
    #[serde(default)]
    pub evaluation: EvaluationRecipe,
}

/// A value that two recipes do not have in common, as TOML; none where a recipe does not have the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The full key, such as `training.epochs`.
    pub key: String,
    /// The one recipe's value.
    pub ours: Option<String>,
    /// The other's.
    pub theirs: Option<String>,
}

impl Recipe {
    /// The names of the recipes shipped with visage.
    #[must_use]
    pub fn shipped() -> Vec<&'static str> {
        SHIPPED.iter().map(|(name, _)| *name).collect()
    }

    /// The text of a shipped recipe, comments and all.
    #[must_use]
    pub fn shipped_text(name: &str) -> Option<&'static str> {
        SHIPPED.iter().find(|(shipped, _)| *shipped == name).map(|(_, text)| *text)
    }

    /// Loads a shipped recipe by name, or a file by path. A shipped name comes first: `./baseline` is a file.
    ///
    /// # Errors
    ///
    /// When there is no such recipe, or the file is not a recipe: see [`RecipeError`].
    pub fn load(name_or_path: &str) -> Result<Self, RecipeError> {
        if let Some(text) = Self::shipped_text(name_or_path) {
            return Self::parse(text, &format!("the shipped recipe {name_or_path}"), name_or_path);
        }
        let path = Path::new(name_or_path);
        let meant_as_path = path.extension().is_some() || path.components().count() > 1 || path.is_file();
        if !meant_as_path {
            return Err(RecipeError::Unknown {
                name: name_or_path.to_owned(),
                nearest: keys::nearest_name(name_or_path, &Self::shipped()),
                shipped: Self::shipped(),
            });
        }
        let text = fs::read_to_string(path).map_err(|source| RecipeError::Read { path: path.to_owned(), source })?;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
        Self::parse(&text, name_or_path, &stem)
    }

    /// Reads the text of a recipe. `origin` is what errors call it, and `name` its name if it does not say.
    ///
    /// # Errors
    ///
    /// When the text is not TOML, a key is unknown, a value is of the wrong kind or out of range.
    pub fn parse(text: &str, origin: &str, name: &str) -> Result<Self, RecipeError> {
        let toml_error = |error: &toml::de::Error| {
            let (line, column) = position(text, error.span().map_or(0, |span| span.start));
            RecipeError::Toml {
                origin: origin.to_owned(),
                line,
                column,
                message: error.message().trim_end().replace('\n', ", "),
                excerpt: text.lines().nth(line - 1).unwrap_or_default().trim().to_owned(),
            }
        };
        let document = DeTable::parse(text).map_err(|error| toml_error(&error))?;
        let places = places(document.get_ref(), text, origin)?;
        let mut recipe: Recipe = toml::from_str(text).map_err(|error| toml_error(&error))?;
        if recipe.name.is_empty() {
            name.clone_into(&mut recipe.name);
        }
        recipe.check(origin, |key| places.get(key).copied())?;
        Ok(recipe)
    }

    /// Changes one value, written `key=value`: see [`Recipe::set_all`].
    ///
    /// # Errors
    ///
    /// As [`Recipe::set_all`].
    pub fn set(&mut self, assignment: &str) -> Result<(), RecipeError> {
        self.set_all([assignment])
    }

    /// Changes values, each written `key=value`; on an error the recipe stays as it was.
    ///
    /// A key is full (`training.epochs`) or, where only one section has it, bare (`epochs`). A value is TOML
    /// (`3`, `[0.5, 0.5]`), or else text, for which no quotes are needed (`weights=resnet18.pth`); `none` takes a key out.
    /// Changing a choice (`loss.kind`) takes out the parameters of the old one.
    ///
    /// # Errors
    ///
    /// When a key is unknown or ambiguous, a value is of the wrong kind, or the resulting recipe is out of range.
    pub fn set_all<S: AsRef<str>>(&mut self, assignments: impl IntoIterator<Item = S>) -> Result<(), RecipeError> {
        let assignments: Vec<S> = assignments.into_iter().collect();
        let changed = overrides::apply(self, assignments.iter().map(AsRef::as_ref))?;
        changed.validate()?;
        *self = changed;
        Ok(())
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    ///
    /// [`RecipeError::Invalid`], which lists everything that is wrong.
    pub fn validate(&self) -> Result<(), RecipeError> {
        self.check(&format!("the recipe {}", self.name), |_| None)
    }

    fn check(&self, origin: &str, line: impl Fn(&str) -> Option<usize>) -> Result<(), RecipeError> {
        let mut problems = validate::problems(self);
        for problem in &mut problems {
            problem.line = line(problem.key);
        }
        if problems.is_empty() { Ok(()) } else { Err(RecipeError::Invalid { origin: origin.to_owned(), problems }) }
    }

    /// Every value that differs between two recipes, by full key, in the order of a recipe.
    ///
    /// # Errors
    ///
    /// As [`Recipe::to_toml`].
    pub fn differences(&self, other: &Self) -> Result<Vec<Difference>, RecipeError> {
        let (ours, theirs) = (toml::Table::try_from(self)?, toml::Table::try_from(other)?);
        let value = |table: &toml::Table, key: &str| {
            let value = match key.split_once('.') {
                Some((section, leaf)) => table.get(section)?.get(leaf)?,
                None => table.get(key)?,
            };
            Some(value.to_string())
        };
        let difference = |key: String| {
            let (ours, theirs) = (value(&ours, &key), value(&theirs, &key));
            (ours != theirs).then_some(Difference { key, ours, theirs })
        };
        Ok(keys::all().into_iter().filter_map(difference).collect())
    }

    /// The recipe as TOML, every value spelt out; [`Recipe::parse`] gives back an equal recipe.
    ///
    /// # Errors
    ///
    /// When TOML cannot hold a value: a path that is not Unicode, or an integer that [`Recipe::validate`] refuses.
    pub fn to_toml(&self) -> Result<String, RecipeError> {
        Ok(toml::to_string(self)?)
    }
}

/// The line of every key of a document, all of which must be known.
fn places(document: &DeTable<'_>, text: &str, origin: &str) -> Result<HashMap<String, usize>, RecipeError> {
    let sections = keys::sections();
    let unknown = |key: String, at: usize| {
        let (line, column) = position(text, at);
        let nearest = keys::nearest(&key);
        RecipeError::UnknownKey { place: format!("{origin}, line {line}, column {column}"), key, nearest }
    };
    let mut places = HashMap::new();
    for (name, value) in document {
        let section: &str = name.get_ref();
        let at = name.span().start;
        if section == keys::NAME {
            places.insert(section.to_owned(), position(text, at).0);
            continue;
        }
        let Some((_, known)) = sections.iter().find(|(known, _)| *known == section) else {
            let names = sections.map(|(name, _)| name);
            let nearest = keys::nearest_name(section, &names).or_else(|| keys::nearest(section));
            let (line, column) = position(text, at);
            let place = format!("{origin}, line {line}, column {column}");
            return Err(RecipeError::UnknownKey { place, key: section.to_owned(), nearest });
        };
        // What is not a table here is refused, with its place, when the recipe is read.
        let DeValue::Table(table) = value.get_ref() else { continue };
        for key in table.keys() {
            let full = format!("{section}.{}", key.get_ref());
            if !known.contains(&key.get_ref().as_ref()) {
                return Err(unknown(full, key.span().start));
            }
            places.insert(full, position(text, key.span().start).0);
        }
    }
    Ok(places)
}

/// Line and column in characters of a byte offset, both from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests;
