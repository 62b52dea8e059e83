//! The log, on standard error.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// The environment variable with a filter of log messages.
const FILTER_VARIABLE: &str = "VISAGE_LOG";

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line, with a timestamp.
    Json,
}

/// Starts logging. `verbose` is how often `--verbose` was given; `VISAGE_LOG` takes precedence.
pub fn start(verbose: u8, format: LogFormat) {
    let default = match verbose {
        0 => "warn,visage_serve=info",
        1 => "warn,visage=debug,visage_serve=info",
        _ => "info,visage=trace",
    };
    let filter = EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => subscriber.with_ansi(io::stderr().is_terminal()).without_time().init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
}
