//! `visage`: the command line. A verb a file under `commands`, and no logic of its own.

mod audit_files;
mod board;
mod cli;
mod commands;
mod compute;
mod error;
mod int8_cost;
mod interrupt;
mod model_card;
mod output;
mod panic;
mod pictures;
mod predictions;
mod progress;
mod report_runs;
mod resampling;
mod shell;
mod table;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;
use visage_kernels::alignment::LineAligned;

use crate::cli::{Cli, Command, LogFormat};

/// Kernels run on vectors that lie in one cache line each.
#[global_allocator]
static ALLOCATOR: LineAligned = LineAligned;

/// The variable that holds a filter of log messages.
const LOG_VARIABLE: &str = "VISAGE_LOG";

fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = match &cli.command {
        Command::Serve(args) => args.log,
        _ => LogFormat::Text,
    };
    log(cli.verbose, format);
    match panic::caught(|| commands::run(cli.command)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            let code = error.exit_code();
            if !error.is_closed_pipe() {
                error.show();
            }
            ExitCode::from(code)
        }
        Err(bug) => {
            output::note(&bug);
            ExitCode::FAILURE
        }
    }
}

fn log(verbose: u8, format: LogFormat) {
    let usual = match verbose {
        0 => "warn,visage_serve=info",
        1 => "warn,visage=debug,visage_serve=info",
        _ => "info,visage=trace",
    };
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(usual));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).without_time().init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}
