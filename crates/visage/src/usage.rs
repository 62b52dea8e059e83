//! Errors of the command line that clap states in terms of the program, in the words of a user.

use std::error::Error as _;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use visage_run::Recipe;

/// The same error, with a value that cannot be read described without types, and with the way to set a key of a recipe.
pub fn in_words(mut error: clap::Error) -> clap::Error {
    match error.kind() {
        ErrorKind::ValueValidation => wrong_value(&error).unwrap_or(error),
        ErrorKind::UnknownArgument => {
            if let Some(tip) = tip(&error) {
                error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
            }
            error
        }
        _ => error,
    }
}

/// Text of the context of an error.
fn text(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        _ => None,
    }
}

fn wrong_value(error: &clap::Error) -> Option<clap::Error> {
    let option = text(error, ContextKind::InvalidArg)?.split(' ').next()?;
    let value = text(error, ContextKind::InvalidValue)?;
    let expected = expected(&error.source()?.to_string())?;
    let message = format!("{option} must be {expected}, not {value:?}\n\nFor more information, try '--help'.\n");
    Some(clap::Error::raw(ErrorKind::ValueValidation, message))
}

/// What a value must be, by the message of the parser of numbers.
fn expected(message: &str) -> Option<String> {
    let whole = "a whole number";
    Some(match message {
        "invalid digit found in string" | "cannot parse integer from empty string" => whole.to_owned(),
        "number would be zero for non-zero type" => format!("{whole} of at least 1"),
        "number too large to fit in target type" => format!("a smaller {}", whole.trim_start_matches("a ")),
        "number too small to fit in target type" => format!("{whole} of at least 0"),
        "invalid float literal" | "cannot parse float from empty string" => "a number".to_owned(),
        _ => {
            let (_, range) = message.split_once(" is not in ")?;
            let (low, high) = range.split_once("..=").or_else(|| range.split_once(".."))?;
            let is_open = high.is_empty() || high.parse().is_ok_and(|high: u64| high >= u64::from(u32::MAX));
            if is_open { format!("{whole} of at least {low}") } else { format!("{whole} from {low} to {high}") }
        }
    })
}

/// How a key of a recipe that was written as an option is set, with a verb that takes changes to a recipe.
fn tip(error: &clap::Error) -> Option<String> {
    if error.get(ContextKind::SuggestedArg).is_some() {
        return None;
    }
    let usage = error.get(ContextKind::Usage)?.to_string();
    let takes_changes = [" train ", " tune ", " lr-find ", " recipe show "];
    if !takes_changes.iter().any(|verb| usage.contains(verb)) {
        return None;
    }
    let option = text(error, ContextKind::InvalidArg)?.strip_prefix("--")?;
    let key = Recipe::full_key(&option.split('=').next()?.replace('-', "_")).ok()?;
    Some(format!("{key} is a key of recipes: --set {key}=VALUE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_described_without_types() {
        for (message, described) in [
            ("1.5".parse::<u32>().unwrap_err().to_string(), "a whole number"),
            ("0".parse::<std::num::NonZeroUsize>().unwrap_err().to_string(), "a whole number of at least 1"),
            ("x".parse::<f64>().unwrap_err().to_string(), "a number"),
            ("1 is not in 2..=4294967295".to_owned(), "a whole number of at least 2"),
            ("1 is not in 2..=100".to_owned(), "a whole number from 2 to 100"),
        ] {
            assert_eq!(expected(&message).as_deref(), Some(described), "{message}");
        }
        assert_eq!(expected("write `model` or a number from 0 to 1"), None);
    }
}
