//! What is wrong with a value, in the words of a recipe: the deserialiser speaks of types of the program.

use super::keys;

/// The message of the deserialiser about the value of `key`, as a sentence about the key.
pub(super) fn in_words(key: &str, message: &str) -> String {
    let message = message.trim_end().replace('\n', ", ");
    let wrong = ["invalid type: ", "invalid value: "].into_iter().find_map(|start| message.strip_prefix(start));
    if let Some((found, expected)) = wrong.and_then(|rest| rest.rsplit_once(", expected ")) {
        return wrong_value(key, found, expected);
    }
    if let Some((found, length)) =
        message.strip_prefix("invalid length ").and_then(|rest| rest.split_once(", expected an array of length "))
    {
        return format!("{key} must be a list of {length} values, not of {found}");
    }
    if let Some((found, known)) =
        message.strip_prefix("unknown variant `").and_then(|rest| rest.split_once("`, expected "))
    {
        // Names stand between backquotes, with "one of", commas or "or" between them.
        let names: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        let nearest = keys::nearest_name(found, &names);
        let suggestion = nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        return format!("{key} must be {}, not {found}{suggestion}", alternatives(&names));
    }
    message
}

fn wrong_value(key: &str, found: &str, expected: &str) -> String {
    let (kind, value) = match found.split_once(" `") {
        Some((kind, value)) => (kind, value.trim_end_matches('`')),
        None => match found.strip_prefix("string ") {
            Some(text) => ("string", text.trim_matches('"')),
            None => (found, found),
        },
    };
    let value = match kind {
        "sequence" => "a list",
        "map" => "a table",
        _ => value,
    };
    let is_whole = matches!(expected, "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize");
    let digits = value.strip_prefix('-').unwrap_or(value);
    let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // TOML reads digits that no integer holds as a text.
    let is_quoted = kind == "string" && digits.len() < 19 && digits.parse::<f64>().is_ok();
    if is_whole && is_integer && !is_quoted {
        return match value.starts_with('-') {
            true => format!("{key} must be a whole number of at least 0, not {value}"),
            false => format!("{key} is too large: {value}"),
        };
    }
    let expected = match expected {
        _ if is_whole => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a string" => "a text".to_owned(),
        other => match other.strip_prefix("an array of length ") {
            Some(length) => {
                format!("a list of {length} values, such as [{}]", vec!["0.5"; length.parse().unwrap_or(1)].join(", "))
            }
            None if other.starts_with("struct ") => {
                "a section, whose name stands in brackets, such as [training]".to_owned()
            }
            None => other.to_owned(),
        },
    };
    let value = if is_quoted { format!("\"{value}\" in quotes") } else { value.to_owned() };
    format!("{key} must be {expected}, not {value}")
}

/// `a`, `a or b`, `a, b or c`.
fn alternatives(names: &[&str]) -> String {
    match names {
        [] => "another value".to_owned(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use crate::Recipe;

    #[test]
    fn values_are_refused_without_the_names_of_types() {
        let mut recipe = Recipe::load("baseline").unwrap();
        for (change, expected) in [
            ("epochs=2.5", "epochs must be a whole number, not 2.5"),
            ("epochs=abc", "epochs must be a whole number, not abc"),
            ("epochs=-3", "epochs must be a whole number of at least 0, not -3"),
            ("batch_size=99999999999999999999", "batch_size is too large: 99999999999999999999"),
            ("epochs=99999999999", "epochs is too large: 99999999999"),
            ("flip=x", "flip must be a number, not x"),
            ("flip=[1]", "flip must be a number, not a list"),
            ("learning_rate=fast", "learning_rate must be a number, not fast"),
            ("mean=0.5", "mean must be a list of 3 values, such as [0.5, 0.5, 0.5], not 0.5"),
            ("mean=[0.5]", "mean must be a list of 3 values, not of 1"),
            ("decay_norms_and_biases=5", "decay_norms_and_biases must be true or false, not 5"),
            ("loss.kind=focl", "loss.kind must be bce, focal or asymmetric, not focl; did you mean `focal`?"),
        ] {
            let error = recipe.set(change).unwrap_err().to_string();
            assert!(error.ends_with(expected), "{change}: {error}");
        }
    }

    #[test]
    fn values_in_a_file_are_refused_with_their_key() {
        let head = "[model]\narchitecture = \"resnet18\"\n[input]\nsize = 64\n";
        for (lines, expected) in [
            ("[training]\nepochs = 2.5", "line 6, column 10: epochs must be a whole number, not 2.5"),
            ("[augmentation]\nflip = \"x\"", "flip must be a number, not x"),
            ("[training]\nepochs = \"3\"", "epochs must be a whole number, not \"3\" in quotes"),
            ("[training]\nseed = -1", "seed must be a whole number of at least 0, not -1"),
        ] {
            let error = Recipe::parse(&format!("{head}{lines}\n"), "mine.toml", "mine").unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
