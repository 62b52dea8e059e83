//! The log, on standard error.

mod background;

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use self::background::BackgroundLog;
use crate::output;

/// The environment variable with a filter of log messages.
const FILTER_VARIABLE: &str = "VISAGE_LOG";

/// Longest time that the program waits at its end for lines to be written.
const FLUSH: Duration = Duration::from_secs(1);

/// The log of a server; empty for all other verbs, which write to standard error themselves.
static BACKGROUND: OnceLock<BackgroundLog> = OnceLock::new();

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line, with a timestamp.
    Json,
}

/// Starts logging. `verbose` is how often `--verbose` was given, `quiet` whether `--quiet` was; `VISAGE_LOG` takes precedence. Of a server, a thread of its own
/// writes the lines.
pub fn start(verbose: u8, quiet: bool, format: LogFormat, is_server: bool) {
    // Without the thread, lines are written as those of other verbs are.
    if is_server && let Ok(log) = BackgroundLog::start(io::stderr()) {
        let log = BACKGROUND.get_or_init(|| log);
        return init(verbose, quiet, format, || log.clone());
    }
    init(verbose, quiet, format, io::stderr);
}

fn init(verbose: u8, quiet: bool, format: LogFormat, writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) {
    let default = match verbose {
        _ if quiet => "warn",
        0 => "warn,visage_serve=info",
        1 => "warn,visage=debug,visage_serve=info",
        _ => "info,visage=trace",
    };
    let filter = EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // An error of writing would be printed to standard error, which panics where that is what fails.
    let subscriber = subscriber.log_internal_errors(false);
    match format {
        LogFormat::Text => subscriber.with_ansi(output::is_coloured()).without_time().init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
}

/// The log of a server, for what else it writes to standard error.
pub fn background() -> Option<&'static BackgroundLog> {
    BACKGROUND.get()
}

/// The number of log lines that were dropped.
pub fn dropped() -> Arc<AtomicU64> {
    background().map(|log| Arc::clone(log.dropped())).unwrap_or_default()
}

/// Waits for lines to be written, for a short time.
pub fn flush() {
    if let Some(log) = background() {
        log.flush(FLUSH);
    }
}
