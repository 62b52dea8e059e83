//! The keys of a recipe, and suggestions for misspelt ones.

use std::cell::Cell;

use serde::de::value::Error as Halt;
use serde::de::{Deserializer, Error as _, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::augmentation::AugmentationRecipe;
use super::evaluation::EvaluationSection;
use super::input::InputRecipe;
use super::loss::LossSection;
use super::model::ModelRecipe;
use super::optimizer::OptimizerSection;
use super::schedule::ScheduleSection;
use super::training::TrainingRecipe;

/// The only key outside of a section.
pub(super) const NAME: &str = "name";

/// Every section and its keys, in the order they are written.
pub(super) fn sections() -> [(&'static str, &'static [&'static str]); 8] {
    [
        ("model", fields::<ModelRecipe>()),
        ("input", fields::<InputRecipe>()),
        ("augmentation", fields::<AugmentationRecipe>()),
        ("loss", fields::<LossSection>()),
        ("optimizer", fields::<OptimizerSection>()),
        ("schedule", fields::<ScheduleSection>()),
        ("training", fields::<TrainingRecipe>()),
        ("evaluation", fields::<EvaluationSection>()),
    ]
}

/// Every full key, such as `training.epochs`.
pub(super) fn all() -> Vec<String> {
    let dotted =
        sections().into_iter().flat_map(|(section, keys)| keys.iter().map(move |key| format!("{section}.{key}")));
    std::iter::once(NAME.to_owned()).chain(dotted).collect()
}

/// The known key most similar to `key`, which may or may not contain a section.
pub(super) fn nearest(key: &str) -> Option<String> {
    let leaf = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let all = all();
    // The right key in the wrong section or without one is likelier than a key that is spelt similarly.
    let same_leaf = all.iter().find(|known| leaf(known) == leaf(key));
    if let Some(known) = same_leaf {
        return Some(known.clone());
    }
    let candidates = all.into_iter().map(|known| {
        let whole = similarity(key, &known);
        let leaves = similarity(&leaf(key), &leaf(&known));
        (known, whole.max(leaves))
    });
    most_similar(candidates)
}

/// The name most similar to `name`.
pub(super) fn nearest_name(name: &str, names: &[&str]) -> Option<String> {
    most_similar(names.iter().map(|known| ((*known).to_owned(), similarity(name, known))))
}

fn most_similar(candidates: impl Iterator<Item = (String, f64)>) -> Option<String> {
    /// Below this, a suggestion would be a guess.
    const SIMILAR_ENOUGH: f64 = 0.6;
    let (name, score) = candidates.max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    (score >= SIMILAR_ENOUGH).then_some(name)
}

/// Similarity of two names, from 0 to 1; initials (`lr` for `learning_rate`) count as equal.
fn similarity(typed: &str, known: &str) -> f64 {
    let initials: String = known.split('_').filter_map(|word| word.chars().next()).collect();
    if known.contains('_') && typed == initials { 1.0 } else { strsim::normalized_damerau_levenshtein(typed, known) }
}

/// The names of a struct's fields, as `serde` deserialises them.
fn fields<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let names = Cell::new(&[][..]);
    // Always an error: the deserialiser stops as soon as it has seen the names.
    let _ = T::deserialize(FieldNames(&names));
    names.get()
}

/// A deserialiser without data that records the fields a struct expects.
struct FieldNames<'a>(&'a Cell<&'static [&'static str]>);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = Halt;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Halt> {
        self.0.set(fields);
        Err(Halt::custom("fields recorded"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Halt> {
        Err(Halt::custom("not a struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_has_keys_and_no_two_are_the_same() {
        assert!(sections().iter().all(|(_, keys)| !keys.is_empty()));
        let mut all = all();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(all.iter().any(|key| key == "loss.gamma_positive"));
    }

    #[test]
    fn suggests_the_key_that_was_meant() {
        let table = [
            ("training.epoch", Some("training.epochs")),
            ("epoch", Some("training.epochs")),
            ("model.epochs", Some("training.epochs")),
            ("trainig.epochs", Some("training.epochs")),
            ("epochs", Some("training.epochs")),
            ("lr", Some("optimizer.learning_rate")),
            ("learning-rate", Some("optimizer.learning_rate")),
            ("optimiser.learning_rate", Some("optimizer.learning_rate")),
            ("batchsize", Some("training.batch_size")),
            ("bs", Some("training.batch_size")),
            ("achitecture", Some("model.architecture")),
            ("loss.gama", Some("loss.gamma")),
            ("nane", Some("name")),
            ("zzzzzz", None),
            ("", None),
        ];
        for (typed, meant) in table {
            assert_eq!(nearest(typed).as_deref(), meant, "{typed}");
        }
    }
}
