//! Where words go: results to standard output, everything else to standard error.

use std::io::{self, Write};

use serde::Serialize;

use crate::error::CommandError;

/// Prints a result.
///
/// # Errors
///
/// When standard output is closed or full.
pub fn result(text: &str) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(CommandError::Output)
}

/// Prints a result as indented JSON.
///
/// # Errors
///
/// When standard output is closed or full.
pub fn json(value: &impl Serialize) -> Result<(), CommandError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CommandError::Output(error.into()))?;
    result(&format!("{text}\n"))
}

/// Says something that is no result.
pub fn note(text: &str) {
    // Nobody is left to tell if standard error is gone.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says something that should not be overlooked.
pub fn warning(text: &str) {
    note(&format!("warning: {text}"));
}
