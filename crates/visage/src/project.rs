//! Defaults of options from `visage.toml` in the working folder.
//!
//! Keys are names of options without dashes. Those at the top hold for every verb that has the option, those in a table for the verb that
//! the table is named after. An option on the command line or in the environment precedes them.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

use clap::error::ErrorKind;
use clap::{Arg, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::CommandError;

/// The file.
const FILE: &str = "visage.toml";

/// Options that a run does not remember. Only these are added to a command that resumes.
const NOT_REMEMBERED: [&str; 4] = ["threads", "device", "json", "tensorboard"];

/// Options that are short for a key of the recipe, and that key, which `--set` may also give.
const SHORT: [(&str, &str); 5] =
    [("epochs", "epochs"), ("batch-size", "batch_size"), ("lr", "learning_rate"), ("size", "size"), ("seed", "seed")];

/// The command line with the defaults of the project.
pub struct Arguments {
    /// The words.
    pub words: Vec<OsString>,
    /// The options that were added.
    pub added: Vec<String>,
}

/// Adds the defaults of `visage.toml`, if there is one, to the words of a command line.
///
/// # Errors
///
/// When the file cannot be read, or names a verb or an option that does not exist.
pub fn with_defaults(command: impl FnOnce() -> Command, words: Vec<OsString>) -> Result<Arguments, CommandError> {
    let asks_about_itself = |word: &OsString| ["-h", "--help", "-V", "--version"].iter().any(|known| word == known);
    if words.iter().any(asks_about_itself) {
        return Ok(Arguments { words, added: Vec::new() });
    }
    let path = Path::new(FILE);
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Arguments { words, added: Vec::new() }),
        Err(error) => return Err(CommandError::read(path)(error)),
    };
    add(command(), words, &text)
}

fn add(mut command: Command, words: Vec<OsString>, text: &str) -> Result<Arguments, CommandError> {
    let fault = |span: Range<usize>, message: String| {
        let line = 1 + text.get(..span.start).unwrap_or_default().matches('\n').count();
        CommandError::usage(format!("{FILE}, line {line}: {message}"))
    };
    let table = DeTable::parse(text)
        .map_err(|error| fault(error.span().unwrap_or_default(), error.message().to_owned()))?
        .into_inner();
    command.build();
    check(&command, &table, &fault)?;
    let Some((verb, place)) = verb(&command, &words) else { return Ok(Arguments { words, added: Vec::new() }) };
    let of_verb = table.iter().filter(|(name, _)| verb_name(&command, verb) == name.get_ref().as_ref());
    let of_verb = of_verb.filter_map(|(_, value)| value.get_ref().as_table()).flatten();
    let resumes = words[place..].iter().any(|word| word == "--resume");
    let (mut decided, mut defaults): (Vec<&str>, Vec<Vec<String>>) = (Vec::new(), Vec::new());
    for (name, value) in of_verb.chain(&table) {
        let Some(option) = option(verb, name.get_ref()) else { continue };
        let is_remembered = resumes && !NOT_REMEMBERED.contains(&name.get_ref().as_ref());
        // The verb's own table comes first.
        if is_remembered || is_given(option, &words[place..]) || decided.contains(&name.get_ref().as_ref()) {
            continue;
        }
        decided.push(name.get_ref());
        defaults.push(option_words(option, name.get_ref(), value).map_err(|message| fault(value.span(), message))?);
    }
    leave_out_unfitting(&command, &words, &mut defaults);
    let added = defaults.concat();
    let words = with(&words, &defaults);
    Ok(Arguments { words, added })
}

/// The words with those of defaults at the end, before any that are no options.
fn with(words: &[OsString], defaults: &[Vec<String>]) -> Vec<OsString> {
    let place = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let (before, after) = words.split_at(place);
    before
        .iter()
        .cloned()
        .chain(defaults.concat().into_iter().map(OsString::from))
        .chain(after.iter().cloned())
        .collect()
}

/// Leaves out the defaults that contradict the other options, or that need one which is not given.
fn leave_out_unfitting(command: &Command, words: &[OsString], defaults: &mut Vec<Vec<String>>) {
    let is_unfitting = |defaults: &[Vec<String>]| {
        let parsed = command.clone().try_get_matches_from(with(words, defaults));
        let kind = parsed.err().map(|error| error.kind());
        matches!(kind, Some(ErrorKind::ArgumentConflict | ErrorKind::MissingRequiredArgument))
    };
    while is_unfitting(defaults) {
        let without = |place: usize| {
            let mut others = defaults.clone();
            others.remove(place);
            others
        };
        match (0..defaults.len()).find(|&place| !is_unfitting(&without(place))) {
            Some(place) => drop(defaults.remove(place)),
            // Several do not fit, or none of this is about a default.
            None if !is_unfitting(&[]) => defaults.clear(),
            None => return,
        }
    }
}

/// Checks that every key is an option, and every table a verb.
fn check(
    command: &Command,
    table: &DeTable<'_>,
    fault: &impl Fn(Range<usize>, String) -> CommandError,
) -> Result<(), CommandError> {
    let verbs = verbs(command);
    for (name, value) in table {
        let known = verbs.iter().find(|verb| verb_name(command, verb) == name.get_ref().as_ref());
        match (value.get_ref().as_table(), known) {
            (Some(options), Some(verb)) => {
                if let Some((wrong, _)) =
                    options.iter().find(|(option_name, _)| option(verb, option_name.get_ref()).is_none())
                {
                    return Err(fault(
                        wrong.span(),
                        format!("visage {} has no option --{}", name.get_ref(), wrong.get_ref()),
                    ));
                }
            }
            (Some(_), None) => return Err(fault(name.span(), format!("there is no verb {}", name.get_ref()))),
            (None, _) if verbs.iter().all(|verb| option(verb, name.get_ref()).is_none()) => {
                return Err(fault(name.span(), format!("no verb has an option --{}", name.get_ref())));
            }
            (None, _) => {}
        }
    }
    Ok(())
}

/// Every verb, nested ones instead of those around them.
fn verbs(command: &Command) -> Vec<&Command> {
    let inner = command.get_subcommands().filter(|verb| verb.get_name() != "help");
    inner.flat_map(|verb| if verb.has_subcommands() { verbs(verb) } else { vec![verb] }).collect()
}

/// The name of a verb after that of the program, such as `data synth`.
fn verb_name<'a>(command: &Command, verb: &'a Command) -> &'a str {
    let name = verb.get_bin_name().unwrap_or(verb.get_name());
    name.strip_prefix(command.get_name()).map_or(name, str::trim_start)
}

/// The option of a verb with this name.
fn option<'a>(verb: &'a Command, name: &str) -> Option<&'a Arg> {
    verb.get_arguments().find(|arg| arg.get_long() == Some(name) && !arg.is_global_set())
}

/// The verb of a command line, and the place of the word after it.
fn verb<'a>(command: &'a Command, words: &[OsString]) -> Option<(&'a Command, usize)> {
    let (mut verb, mut place) = (command, 1);
    while verb.has_subcommands() {
        // Options before a verb take no values.
        let is_option = |word: &OsString| word.to_string_lossy().starts_with('-');
        place += words.get(place..)?.iter().position(|word| !is_option(word))?;
        verb = verb.find_subcommand(&words[place])?;
        place += 1;
    }
    Some((verb, place))
}

/// Whether an option is on the command line after its verb, or in the environment.
fn is_given(option: &Arg, words: &[OsString]) -> bool {
    let names = option.get_long_and_visible_aliases().unwrap_or_default();
    let is_name = |word: &OsString| {
        let word = word.to_string_lossy();
        word.strip_prefix("--").is_some_and(|word| names.contains(&word.split('=').next().unwrap_or_default()))
    };
    let keys = SHORT.iter().filter(|(short, _)| names.contains(short)).map(|(_, key)| *key);
    let keys: Vec<&str> = keys.collect();
    // The value of `--set KEY=VALUE`, whose section may be left out.
    let is_set = |word: &OsString| {
        let word = word.to_string_lossy();
        let word = word.strip_prefix("--set=").unwrap_or(&word);
        word.split_once('=').is_some_and(|(key, _)| keys.contains(&key.rsplit('.').next().unwrap_or_default()))
    };
    words.iter().any(|word| is_name(word) || is_set(word))
        || option.get_env().is_some_and(|variable| env::var_os(variable).is_some())
}

/// An option as words of a command line; a list gives it several times.
fn option_words(option: &Arg, name: &str, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, String> {
    let takes_value = option.get_action().takes_values();
    let may_stand_alone = option.get_num_args().is_some_and(|number| number.min_values() == 0);
    let single = |value: &DeValue<'_>| match value {
        DeValue::String(text) if takes_value => Ok(format!("--{name}={text}")),
        DeValue::Integer(number) if takes_value => Ok(format!("--{name}={number}")),
        DeValue::Float(number) if takes_value => Ok(format!("--{name}={number}")),
        _ if takes_value => Err(format!("{name} must be a text or a number")),
        _ => Err(format!("{name} must be true or false")),
    };
    match value.get_ref() {
        DeValue::Boolean(true) if !takes_value || may_stand_alone => Ok(vec![format!("--{name}")]),
        DeValue::Boolean(false) if !takes_value || may_stand_alone => Ok(Vec::new()),
        DeValue::Array(values) => values.iter().map(|value| single(value.get_ref())).collect(),
        value => Ok(vec![single(value)?]),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn words(line: &str, text: &str) -> Result<String, String> {
        let words = line.split_whitespace().map(OsString::from).collect();
        let added = add(Cli::command(), words, text).map_err(|error| error.to_string())?;
        Ok(added.words.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn options_that_are_not_given_are_added_to_verbs_that_have_them() {
        let text = "threads = 2\ndata = \"faces\"\ntensorboard = true\njson = true\n[train]\nset = [\"input.size=32\", \"seed=1\"]\njson = false\nthreads = 4\nepochs = 3\n\
                    [\"data synth\"]\nimages = 50\n";
        for (line, expected) in [
            (
                "visage -v train baseline",
                "--set=input.size=32 --set=seed=1 --threads=4 --epochs=3 --data=faces --tensorboard",
            ),
            ("visage train baseline --data x --set epochs=10 --threads 1", "--tensorboard"),
            ("visage train baseline --data=x --set=training.epochs=10", "--threads=4 --tensorboard"),
            // The run knows the rest.
            ("visage train --resume RUN", "--threads=4 --tensorboard"),
            // What contradicts an option, or needs one that is not given.
            (
                "visage train baseline --data x --dry-run",
                "--set=input.size=32 --set=seed=1 --threads=4 --epochs=3 --tensorboard",
            ),
            ("visage export RUN --format onnx", "--threads=2"),
            ("visage data synth train", "--images=50 --threads=2"),
            ("visage evaluate RUN", "--threads=2 --data=faces --json"),
            ("visage runs", "--json"),
            ("visage card RUN --out x.md", ""),
            ("visage data", ""),
            ("visage", ""),
        ] {
            let found = words(line, text).unwrap();
            let sorted = |line: &str| {
                let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
                words.sort();
                words
            };
            assert_eq!(sorted(&found), sorted(&format!("{line} {expected}")), "{found}");
            assert!(found.starts_with(line), "the defaults come last: {found}");
        }
        assert_eq!(words("visage runs -- x", text).unwrap(), "visage runs --json -- x");
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, expected) in [
            ("data = \"x\"\ndatta = 1\n", "visage.toml, line 2: no verb has an option --datta"),
            ("[trian]\n", "visage.toml, line 1: there is no verb trian"),
            ("[train]\nepoch = 3\n", "visage.toml, line 2: visage train has no option --epoch"),
            ("[train]\ntensorboard = 3\n", "visage.toml, line 2: tensorboard must be true or false"),
            ("[train]\nout = true\n", "visage.toml, line 2: out must be a text or a number"),
            ("threads = \n", "visage.toml, line 1:"),
        ] {
            let error = words("visage train baseline", text).unwrap_err();
            assert!(error.contains(expected), "{expected:?} in {error}");
        }
    }
}
