//! `visage`: the command line. [`cli`] lists the verbs, [`commands`] has a file for each, [`tables`] lays out results for the
//! terminal. Everything else is done by the library crates.

mod cli;
mod commands;
mod compute;
mod dataset;
mod error;
mod faces;
mod interrupt;
mod logging;
mod markdown_help;
mod output;
mod overwrite;
mod panic;
mod progress;
mod table_args;
mod tables;
mod tensorboard;
mod visible;

use std::process::ExitCode;

use clap::Parser;
use visage_kernels::alignment::LineAligned;

use crate::cli::Cli;

/// Kernels load vectors of a cache line each, which must not straddle two.
#[global_allocator]
static ALLOCATOR: LineAligned = LineAligned;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.verbose, cli.command.log_format());
    match panic::catch(|| commands::run(cli.command)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => error.report(),
        Err(bug) => {
            output::note(&bug);
            ExitCode::FAILURE
        }
    }
}
