//! `key=value` overrides.

use toml::{Table, Value};

use super::error::RecipeError;
use super::words::in_words;
use super::{Recipe, keys};

/// Keys that decide which other keys of their section apply. Changing one resets those to their defaults: the focal
/// loss's alpha is not another loss's.
const CHOICES: [(&str, &[&str]); 7] = [
    ("model.architecture", &["dropout", "stochastic_depth"]),
    ("model.weights", &["weights_prefix"]),
    ("loss.kind", &["alpha", "gamma", "gamma_positive", "gamma_negative", "clip"]),
    ("loss.weighting", &["weighting_beta", "weighting_power"]),
    ("optimizer.kind", &["betas", "epsilon", "momentum", "nesterov"]),
    (
        "schedule.kind",
        &[
            "warmup_epochs",
            "warmup_start",
            "final_factor",
            "step_epochs",
            "factor",
            "plateau_patience",
            "plateau_threshold",
            "plateau_cooldown",
            "min_factor",
            "pct_start",
            "div_factor",
            "final_div_factor",
            "anneal",
            "three_phase",
            "cycle_momentum",
            "base_momentum",
            "max_momentum",
        ],
    ),
    ("evaluation.thresholds", &["threshold", "accuracy_weight", "wanted_precision", "wanted_recall"]),
];

/// One parsed override.
struct Assignment<'a> {
    text: &'a str,
    key: String,
    value: &'a str,
}

/// `recipe` with every override applied, without checking ranges.
///
/// Choices are applied first, so that the order of the overrides only matters if two set the same key: the later one
/// wins.
pub(super) fn apply<'a>(recipe: &Recipe, texts: impl Iterator<Item = &'a str>) -> Result<Recipe, RecipeError> {
    let mut assignments = texts.map(split).collect::<Result<Vec<_>, _>>()?;
    assignments.sort_by_key(|assignment| dependents(&assignment.key).is_none());
    let mut recipe = recipe.clone();
    for assignment in &assignments {
        recipe = apply_one(&recipe, assignment)?;
    }
    Ok(recipe)
}

fn split(text: &str) -> Result<Assignment<'_>, RecipeError> {
    let (key, value) = text.split_once('=').ok_or_else(|| RecipeError::Assignment {
        assignment: text.to_owned(),
        message: "an override is written key=value, such as training.epochs=3".to_owned(),
    })?;
    Ok(Assignment { text, key: full_key(text, key.trim())?, value: value.trim() })
}

/// The key with its section.
pub(super) fn full_key(text: &str, key: &str) -> Result<String, RecipeError> {
    let all = keys::all();
    if all.iter().any(|known| known == key) {
        return Ok(key.to_owned());
    }
    let mut candidates: Vec<String> =
        all.into_iter().filter(|known| known.split_once('.').is_some_and(|(_, leaf)| leaf == key)).collect();
    match candidates.len() {
        0 => Err(RecipeError::UnknownKey {
            place: format!("{text:?}"),
            key: key.to_owned(),
            nearest: keys::nearest(key),
        }),
        1 => Ok(candidates.remove(0)),
        _ => Err(RecipeError::AmbiguousKey { assignment: text.to_owned(), key: key.to_owned(), candidates }),
    }
}

fn dependents(key: &str) -> Option<&'static [&'static str]> {
    CHOICES.iter().find(|(choice, _)| *choice == key).map(|(_, dependents)| *dependents)
}

fn apply_one(recipe: &Recipe, assignment: &Assignment<'_>) -> Result<Recipe, RecipeError> {
    let parsed = parse(assignment.value);
    let text = Some(Value::String(assignment.value.to_owned()));
    // `size=128` is an integer in TOML and a size in the recipe: retry a refused value as a string.
    let attempt = insert(recipe, &assignment.key, parsed.clone());
    let attempt =
        if attempt.is_err() && parsed != text { insert(recipe, &assignment.key, text).or(attempt) } else { attempt };
    attempt.map_err(|message| {
        let key = assignment.text.split('=').next().unwrap_or_default().trim();
        RecipeError::Assignment { assignment: assignment.text.to_owned(), message: in_words(key, &message) }
    })
}

/// An override's value: TOML if it parses, otherwise a string; `None` for `none`, which removes a key.
fn parse(text: &str) -> Option<Value> {
    if text == "none" {
        return None;
    }
    let table: Option<Table> = format!("value = {text}").parse().ok();
    let alone = table.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    Some(alone.unwrap_or_else(|| Value::String(text.to_owned())))
}

/// The recipe with one key changed or removed, or the reason why that is impossible.
fn insert(recipe: &Recipe, key: &str, value: Option<Value>) -> Result<Recipe, String> {
    let mut root = Table::try_from(recipe).map_err(|error| error.to_string())?;
    let (table, leaf) = match key.split_once('.') {
        Some((section, leaf)) => {
            let section = root.entry(section).or_insert_with(|| Value::Table(Table::new()));
            (section.as_table_mut().ok_or("not a section")?, leaf)
        }
        None => (&mut root, key),
    };
    let changed = table.get(leaf) != value.as_ref();
    match value {
        Some(value) => table.insert(leaf.to_owned(), value),
        None => table.remove(leaf),
    };
    if changed {
        for dependent in dependents(key).unwrap_or_default() {
            table.remove(*dependent);
        }
    }
    root.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}
