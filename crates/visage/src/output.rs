//! Output: results go to standard output, everything else to standard error. Names in it are [`visible`].

use std::env;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::error::CommandError;
use crate::logging;
use crate::visible::visible;

/// Prints a result.
///
/// # Errors
///
/// If standard output is closed or full.
pub fn result(text: &str) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(visible(text).as_bytes()).and_then(|()| stdout.flush()).map_err(CommandError::Output)
}

/// Prints a result as indented JSON.
///
/// # Errors
///
/// If standard output is closed or full.
pub fn json(value: &impl Serialize) -> Result<(), CommandError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CommandError::Output(error.into()))?;
    result(&format!("{text}\n"))
}

/// Prints a result as JSON in one line.
///
/// # Errors
///
/// If standard output is closed or full.
pub fn json_line(value: &impl Serialize) -> Result<(), CommandError> {
    let text = serde_json::to_string(value).map_err(|error| CommandError::Output(error.into()))?;
    result(&format!("{text}\n"))
}

/// Prints a result as JSON, or as `text`.
///
/// # Errors
///
/// If standard output is closed or full.
pub fn json_or<T: Serialize>(as_json: bool, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), CommandError> {
    if as_json { json(value) } else { result(&text(value)) }
}

/// Whether notes and progress are left out.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Sets whether notes and progress are left out.
pub fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Whether notes and progress are left out.
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Whether standard error is coloured: NO_COLOR and CLICOLOR_FORCE decide (<https://no-color.org>, <https://bixense.com/clicolors>),
/// or else whether it is a terminal.
pub fn is_coloured() -> bool {
    let is_set = |name: &str, off: &[&str]| env::var(name).is_ok_and(|value| !off.contains(&value.as_str()));
    if is_set("NO_COLOR", &[""]) {
        return false;
    }
    is_set("CLICOLOR_FORCE", &["", "0"]) || io::stderr().is_terminal()
}

/// Prints a note, which is not part of the result, unless notes are left out.
pub fn note(text: &str) {
    if !is_quiet() {
        problem(text);
    }
}

/// Prints what went wrong in a part of the work.
pub fn problem(text: &str) {
    standard_error(&format!("{}\n", visible(text)));
}

/// Writes text to standard error: in a server by way of its log, which does not wait for a reader.
pub fn standard_error(text: &str) {
    match logging::background() {
        Some(log) => log.line(text.as_bytes()),
        // If standard error is closed, there is nowhere to report that.
        None => drop(io::stderr().write_all(text.as_bytes())),
    }
}

/// Prints a warning.
pub fn warning(text: &str) {
    problem(&format!("warning: {text}"));
}
