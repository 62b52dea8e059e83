//! The recipe: everything that decides what a run computes, except the data and the device.

mod augmentation;
mod check;
mod error;
mod evaluation;
mod input;
mod keys;
mod loss;
mod model;
mod optimizer;
mod overrides;
mod schedule;
mod training;
mod words;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde::ser::Error as _;
use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};
use visage_data::Size;
use visage_model::Architecture;

pub use augmentation::AugmentationRecipe;
pub use error::{Problem, RecipeError};
pub use evaluation::{EvaluationRecipe, ThresholdSource};
pub use input::{Align, InputRecipe};
pub use loss::{LossKind, LossRecipe};
pub use model::ModelRecipe;
pub use optimizer::{OptimizerKind, OptimizerRecipe};
pub use schedule::{Anneal, DecayRecipe, OneCycle, Plateau, ScheduleRecipe};
pub use training::{Monitor, Sampling, TrainingRecipe};

use check::Checks;

/// The shipped recipes, by name.
const SHIPPED: [(&str, &str); 3] = [
    ("baseline", include_str!("../../recipes/baseline.toml")),
    ("original", include_str!("../../recipes/original.toml")),
    ("enhanced", include_str!("../../recipes/enhanced.toml")),
];

/// How to train one model: the contents of a recipe file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The name that default run folders begin with. Absent: the name of the file.
    #[serde(default)]
    pub name: String,
    /// The network.
    pub model: ModelRecipe,
    /// Its input.
    pub input: InputRecipe,
    /// Random changes to training images.
    #[serde(default)]
    pub augmentation: AugmentationRecipe,
    /// The loss.
    #[serde(default)]
    pub loss: LossRecipe,
    /// The optimiser.
    #[serde(default)]
    pub optimizer: OptimizerRecipe,
    /// Its learning rate over the run.
    #[serde(default)]
    pub schedule: ScheduleRecipe,
    /// Length, batches, seed and early stopping.
    #[serde(default)]
    pub training: TrainingRecipe,
    /// How probabilities become answers.
    #[serde(default)]
    pub evaluation: EvaluationRecipe,
}

/// A value that differs between two recipes, as TOML; `None` if a recipe does not have the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The full key, such as `training.epochs`.
    pub key: String,
    /// The first recipe's value.
    pub ours: Option<String>,
    /// The second recipe's value.
    pub theirs: Option<String>,
}

impl Recipe {
    /// The default settings for a network and an input size.
    #[must_use]
    pub fn new(architecture: Architecture, size: Size) -> Self {
        Self {
            name: architecture.name().to_owned(),
            model: ModelRecipe {
                architecture,
                weights: None,
                weights_prefix: None,
                dropout: None,
                stochastic_depth: None,
            },
            input: InputRecipe { size, shorter_side: None, align: None, mean: input::half(), std: input::half() },
            augmentation: AugmentationRecipe::default(),
            loss: LossRecipe::default(),
            optimizer: OptimizerRecipe::default(),
            schedule: ScheduleRecipe::default(),
            training: TrainingRecipe::default(),
            evaluation: EvaluationRecipe::default(),
        }
    }

    /// The names of the recipes shipped with visage.
    #[must_use]
    pub fn shipped() -> Vec<&'static str> {
        SHIPPED.iter().map(|(name, _)| *name).collect()
    }

    /// The text of a shipped recipe, with its comments.
    #[must_use]
    pub fn shipped_text(name: &str) -> Option<&'static str> {
        SHIPPED.iter().find(|(shipped, _)| *shipped == name).map(|(_, text)| *text)
    }

    /// Loads a shipped recipe by name, or a file by path. Shipped names take precedence: write `./baseline` for a file.
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

    /// Parses the text of a recipe. Errors refer to it as `origin`; `name` is its name if it has no `name` key.
    ///
    /// # Errors
    ///
    /// When the text is not TOML, a key is unknown, or a value is of the wrong type or out of range.
    pub fn parse(text: &str, origin: &str, name: &str) -> Result<Self, RecipeError> {
        let toml_error = |error: &toml::de::Error, lines: &HashMap<String, usize>| {
            let (line, column) = position(text, error.span().map_or(0, |span| span.start));
            // Of the keys on the line, the last before the error.
            let before = text.lines().nth(line - 1).and_then(|found| found.get(..column - 1)).unwrap_or_default();
            let on_line = lines.iter().filter(|(_, at)| **at == line).map(|(key, _)| leaf(key));
            let key = on_line.max_by(|a, b| (before.rfind(a), a).cmp(&(before.rfind(b), b))).unwrap_or("the value");
            RecipeError::Toml {
                origin: origin.to_owned(),
                line,
                column,
                message: words::in_words(key, error.message()),
                excerpt: text.lines().nth(line - 1).unwrap_or_default().trim().to_owned(),
            }
        };
        let document = DeTable::parse(text).map_err(|error| toml_error(&error, &HashMap::new()))?;
        let lines = key_lines(document.get_ref(), text, origin)?;
        let mut recipe: Recipe = toml::from_str(text).map_err(|error| toml_error(&error, &lines))?;
        if recipe.name.is_empty() {
            name.clone_into(&mut recipe.name);
        }
        recipe.check(origin, |key| lines.get(key).copied())?;
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
    /// A key is full (`training.epochs`) or, if only one section has it, short (`epochs`). A value is TOML
    /// (`3`, `[0.5, 0.5]`) or otherwise a string, which needs no quotes (`weights=resnet18.pth`); `none` removes a key.
    /// Changing a choice (`loss.kind`) removes the parameters of the previous one.
    ///
    /// # Errors
    ///
    /// When a key is unknown or ambiguous, a value is of the wrong type, or the resulting recipe is out of range.
    pub fn set_all<S: AsRef<str>>(&mut self, assignments: impl IntoIterator<Item = S>) -> Result<(), RecipeError> {
        let assignments: Vec<S> = assignments.into_iter().collect();
        let changed = overrides::apply(self, assignments.iter().map(AsRef::as_ref))?;
        changed.validate()?;
        *self = changed;
        Ok(())
    }

    /// The full name of a key (`training.epochs`), whose section may be left out if only one has it (`epochs`).
    ///
    /// # Errors
    ///
    /// When the key is unknown or ambiguous.
    pub fn full_key(key: &str) -> Result<String, RecipeError> {
        overrides::full_key(key, key)
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
        let mut problems = self.problems();
        for problem in &mut problems {
            problem.line = line(problem.key);
        }
        if problems.is_empty() { Ok(()) } else { Err(RecipeError::Invalid { origin: origin.to_owned(), problems }) }
    }

    /// Every value that is out of range, in the order of the sections.
    fn problems(&self) -> Vec<Problem> {
        let Self { name, model, input, augmentation, loss, optimizer, schedule, training, evaluation } = self;
        let mut checks = Checks::default();
        let plain = |c: char| c.is_alphanumeric() || "-_.+".contains(c);
        let holds = !name.is_empty() && !name.starts_with('.') && name.chars().all(plain);
        let allowed = "letters, digits, '-', '_', '.' and '+': it names folders";
        checks.require(holds, keys::NAME, format!("{name:?}"), allowed);
        model.check(&mut checks);
        input.check(&mut checks);
        augmentation.check(&mut checks);
        loss.check(&mut checks);
        optimizer.check(&mut checks);
        schedule.check(training.epochs, &mut checks);
        training.check(model.weights.is_some(), &mut checks);
        evaluation.check(&mut checks);
        checks.0
    }

    /// Every value that differs between two recipes, by full key, in the order of a recipe.
    ///
    /// # Errors
    ///
    /// As [`Recipe::to_toml`].
    pub fn differences(&self, other: &Self) -> Result<Vec<Difference>, RecipeError> {
        let (ours, theirs) = (self.to_table()?, other.to_table()?);
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

    /// The recipe as a table, read from its text: an `f32` keeps the digits it is written with (0.485), where a conversion to the `f64`
    /// of a TOML value would add those of its binary form (0.48500001430511475).
    fn to_table(&self) -> Result<toml::Table, RecipeError> {
        Ok(toml::from_str(&self.to_toml()?).map_err(toml::ser::Error::custom)?)
    }

    /// The recipe as TOML with every value spelt out; [`Recipe::parse`] returns an equal recipe.
    ///
    /// # Errors
    ///
    /// When TOML cannot represent a value: a path that is not Unicode, or an integer that [`Recipe::validate`] refuses.
    pub fn to_toml(&self) -> Result<String, RecipeError> {
        Ok(toml::to_string(self)?)
    }
}

/// The line of every key of a document.
///
/// # Errors
///
/// When a section or key is unknown.
fn key_lines(document: &DeTable<'_>, text: &str, origin: &str) -> Result<HashMap<String, usize>, RecipeError> {
    let sections = keys::sections();
    let unknown = |key: &str, at: usize, nearest: Option<String>| {
        let (line, column) = position(text, at);
        let place = format!("{origin}, line {line}, column {column}");
        RecipeError::UnknownKey { place, key: key.to_owned(), nearest }
    };
    let mut lines = HashMap::new();
    for (name, value) in document {
        let section: &str = name.get_ref();
        let at = name.span().start;
        if section == keys::NAME {
            lines.insert(section.to_owned(), position(text, at).0);
            continue;
        }
        let Some((_, known)) = sections.iter().find(|(known, _)| *known == section) else {
            let names = sections.map(|(name, _)| name);
            let nearest = keys::nearest_name(section, &names).or_else(|| keys::nearest(section));
            return Err(unknown(section, at, nearest));
        };
        // A section that is not a table is refused, with its position, when the recipe is deserialised.
        let DeValue::Table(table) = value.get_ref() else { continue };
        for key in table.keys() {
            let full = format!("{section}.{}", key.get_ref());
            if !known.contains(&key.get_ref().as_ref()) {
                return Err(unknown(&full, key.span().start, keys::nearest(&full)));
            }
            lines.insert(full, position(text, key.span().start).0);
        }
    }
    Ok(lines)
}

/// The key without its section.
fn leaf(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// Line and column in characters of a byte offset, both from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests;
