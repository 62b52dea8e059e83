//! The space of a search: keys of a recipe, the values that each can take, and what is the same for all trials.

mod domain;
mod error;

use std::fs;
use std::path::Path;

use toml::{Table, Value};
use visage_data::random;

pub use domain::Domain;
pub use error::SpaceError;

use crate::recipe::{Monitor, Recipe, RecipeError};

/// The spaces shipped with visage, by name.
const SHIPPED: [(&str, &str); 1] = [("focal", include_str!("../../recipes/spaces/focal.toml"))];

/// The keys that cannot be searched, and what to do instead.
const FIXED: [(&str, &str); 4] = [
    ("name", "it names the trials"),
    ("input.align", "the faces are aligned once for all trials: choose with --set"),
    ("training.epochs", "it is the length of a whole trial: choose with --set, and the shortest with --min-epochs"),
    ("training.monitor", "it is the metric of the search: choose with --metric"),
];

/// The most trials whose recipes are checked before anything is trained.
const CHECKED: u32 = 1000;

/// A key of the recipe and the values that it can take.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The full key, such as `loss.gamma`.
    pub key: String,
    /// Its values.
    pub domain: Domain,
}

/// What a search varies. Not yet checked against a recipe: see [`Space::of`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Space {
    /// The parameters, in the order of their draws.
    pub parameters: Vec<Parameter>,
    /// Changes to the recipe of every trial, each `key=value`.
    pub set: Vec<String>,
}

impl Space {
    /// The names of the spaces shipped with visage.
    #[must_use]
    pub fn shipped() -> Vec<&'static str> {
        SHIPPED.iter().map(|(name, _)| *name).collect()
    }

    /// Loads a shipped space by name, or a file by path. Shipped names take precedence: write `./focal` for a file.
    ///
    /// # Errors
    ///
    /// When there is no such space, or the file is not one.
    pub fn load(name_or_path: &str) -> Result<Self, SpaceError> {
        if let Some((name, text)) = SHIPPED.iter().find(|(name, _)| *name == name_or_path) {
            return Self::parse(text, &format!("the shipped space {name}"));
        }
        let path = Path::new(name_or_path);
        if path.extension().is_none() && path.components().count() == 1 && !path.is_file() {
            return Err(SpaceError::Unknown { name: name_or_path.to_owned(), shipped: Self::shipped() });
        }
        let text = fs::read_to_string(path).map_err(|source| SpaceError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, name_or_path)
    }

    /// Parses the text of a space, which errors refer to as `origin`: the tables `[parameters]`, of keys and their domains, and
    /// `[set]`, of keys and their values.
    ///
    /// # Errors
    ///
    /// When the text is not TOML, there is anything else in it, or a key or a domain is wrong.
    pub fn parse(text: &str, origin: &str) -> Result<Self, SpaceError> {
        let malformed = |message: String| SpaceError::Malformed { origin: origin.to_owned(), message };
        let table: Table = text.parse().map_err(|error: toml::de::Error| malformed(error.to_string()))?;
        let mut space = Self::default();
        for (section, content) in &table {
            let Value::Table(content) = content else {
                return Err(malformed(format!(
                    "`{section}` is outside of a table: put it below [parameters] or [set]"
                )));
            };
            for (key, value) in flat(content) {
                match (section.as_str(), value) {
                    ("parameters", Value::String(domain)) => space.add(&format!("{key}={domain}"))?,
                    ("parameters", value) => {
                        let remedy = format!("write {key} = \"LOW:HIGH\", \"LOW:HIGH:log\" or \"a,b,c\"");
                        return Err(malformed(format!("{key} is {value}, which is no domain: {remedy}")));
                    }
                    ("set", value) => space.set.push(format!("{key}={value}")),
                    _ => return Err(malformed(format!("there is no table [{section}], only [parameters] and [set]"))),
                }
            }
        }
        Ok(space)
    }

    /// Adds a parameter, written `key=domain`; the section of the key may be left out. A parameter of the same key is replaced.
    ///
    /// # Errors
    ///
    /// When the key is unknown or cannot be searched, or the domain is wrong.
    pub fn add(&mut self, text: &str) -> Result<(), SpaceError> {
        let wrong = |message: String| SpaceError::Domain { parameter: text.to_owned(), message };
        let Some((key, domain)) = text.split_once('=') else {
            return Err(wrong("a parameter is written KEY=DOMAIN, such as loss.gamma=0:3".to_owned()));
        };
        let key = Recipe::full_key(key.trim()).map_err(SpaceError::Recipe)?;
        if let Some((_, remedy)) = FIXED.iter().find(|(fixed, _)| *fixed == key) {
            return Err(SpaceError::Fixed { key, remedy });
        }
        let domain = Domain::parse(domain.trim()).map_err(wrong)?;
        match self.parameters.iter_mut().find(|parameter| parameter.key == key) {
            Some(parameter) => parameter.domain = domain,
            None => self.parameters.push(Parameter { key, domain }),
        }
        Ok(())
    }

    /// The trials around `recipe`, whose values are drawn from `seed`, judged by `metric`. The recipes of the first `trials` trials
    /// are checked, of a thousand at most, and those at the borders of the domains.
    ///
    /// # Errors
    ///
    /// When there is no parameter, the metric cannot compare the trials, or a recipe is not valid.
    pub fn of(&self, recipe: &Recipe, metric: Monitor, seed: u64, trials: Option<u32>) -> Result<Trials, SpaceError> {
        if self.parameters.is_empty() {
            return Err(SpaceError::Empty { shipped: Self::shipped() });
        }
        let loss = self.parameters.iter().find(|parameter| parameter.key.starts_with("loss."));
        if let (Monitor::ValidationLoss, Some(parameter)) = (metric, loss) {
            return Err(SpaceError::LossOfLosses { key: parameter.key.clone() });
        }
        let mut base = recipe.clone();
        let monitor = format!("training.monitor={}", metric.name());
        base.set_all(self.set.iter().chain([&monitor])).map_err(SpaceError::Recipe)?;
        let parameters = self.parameters.clone();
        let mut found = Trials { base, parameters, seed };
        found.find_whole_numbers()?;
        found.check(trials.map_or(CHECKED, |trials| trials.min(CHECKED)))?;
        Ok(found)
    }
}

/// The trials of a search: a function of the recipe, the space and a seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Trials {
    base: Recipe,
    parameters: Vec<Parameter>,
    seed: u64,
}

impl Trials {
    /// The recipe that the trials vary, with the metric of the search as its monitor.
    #[must_use]
    pub fn base(&self) -> &Recipe {
        &self.base
    }

    /// What is varied.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The value of each parameter in a trial, as it is written after `key=`.
    #[must_use]
    pub fn values(&self, trial: u32) -> Vec<String> {
        // A stream for each key, so that a further parameter does not change the values of the others.
        let draw = |Parameter { key, domain }: &Parameter| {
            domain.draw(&mut random::stream(self.seed, &format!("tune {key}"), u64::from(trial), 0))
        };
        self.parameters.iter().map(draw).collect()
    }

    /// The same with their keys, each `key=value`.
    #[must_use]
    pub fn assignments(&self, trial: u32) -> Vec<String> {
        self.assigned(&self.values(trial))
    }

    fn assigned(&self, values: &[String]) -> Vec<String> {
        self.parameters.iter().zip(values).map(|(parameter, value)| format!("{}={value}", parameter.key)).collect()
    }

    /// The recipe of a trial, named `name`.
    ///
    /// # Errors
    ///
    /// When it is not valid.
    pub fn recipe(&self, trial: u32, name: &str) -> Result<Recipe, SpaceError> {
        let mut recipe = self.with(&self.values(trial))?;
        recipe.name = name.to_owned();
        Ok(recipe)
    }

    fn with(&self, values: &[String]) -> Result<Recipe, SpaceError> {
        let assignments = self.assigned(values);
        let mut recipe = self.base.clone();
        match recipe.set_all(&assignments) {
            Ok(()) => Ok(recipe),
            Err(source) => Err(SpaceError::Trial { assignments: assignments.join(" "), source }),
        }
    }

    /// The first border of every domain: a recipe to vary one value of.
    fn corner(&self) -> Vec<String> {
        self.parameters.iter().map(|parameter| parameter.domain.borders().swap_remove(0)).collect()
    }

    /// Ranges of keys that take only whole numbers become ranges of these: the recipe refuses the type of any other number.
    fn find_whole_numbers(&mut self) -> Result<(), SpaceError> {
        let corner = self.corner();
        for number in 0..self.parameters.len() {
            let Parameter { key, domain } = &self.parameters[number];
            let Domain::Range { low, .. } = domain else { continue };
            let with = |value: f64| {
                let mut values = corner.clone();
                values[number] = value.to_string();
                self.with(&values)
            };
            let (whole, between) = (with(low.floor()), with(low.floor() + 0.5));
            if whole.is_ok() && matches!(between, Err(SpaceError::Trial { source: RecipeError::Assignment { .. }, .. }))
            {
                let parameter = format!("{key}={domain}");
                let domain = domain.clone().of_whole_numbers();
                self.parameters[number].domain = domain.map_err(|message| SpaceError::Domain { parameter, message })?;
            }
        }
        Ok(())
    }

    fn check(&self, trials: u32) -> Result<(), SpaceError> {
        let corner = self.corner();
        for (number, parameter) in self.parameters.iter().enumerate() {
            for border in parameter.domain.borders() {
                let mut values = corner.clone();
                values[number] = border;
                self.with(&values)?;
            }
        }
        (0..trials).try_for_each(|trial| self.with(&self.values(trial)).map(drop))
    }
}

/// The keys of nested tables, joined by dots, and their values.
fn flat(table: &Table) -> Vec<(String, &Value)> {
    let mut entries = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                entries.extend(flat(inner).into_iter().map(|(leaf, value)| (format!("{key}.{leaf}"), value)));
            }
            value => entries.push((key.clone(), value)),
        }
    }
    entries
}

#[cfg(test)]
mod tests;
