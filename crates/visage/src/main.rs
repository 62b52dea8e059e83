//! `visage`: the command line. [`cli`] lists the verbs, [`commands`] has a file for each, [`tables`] lays out results for the
//! terminal. Everything else is done by the library crates.

mod cli;
mod commands;
mod compute;
mod dataset;
mod dry_run;
mod error;
mod evaluation_choice;
mod extension;
mod faces;
mod interrupt;
mod logging;
mod markdown_help;
mod output;
mod overwrite;
mod panic;
mod progress;
mod project;
mod table_args;
mod tables;
mod tensorboard;
mod training_events;
mod usage;
mod visible;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use visage_kernels::alignment::LineAligned;

use crate::cli::Cli;
use crate::interrupt::StopOnInterrupt;

/// Kernels load vectors of a cache line each, which must not straddle two.
#[global_allocator]
static ALLOCATOR: LineAligned = LineAligned;

fn main() -> ExitCode {
    let arguments = match project::with_defaults(Cli::command, std::env::args_os().collect()) {
        Ok(arguments) => arguments,
        Err(error) => return error.report(),
    };
    let cli = Cli::try_parse_from(arguments.words).unwrap_or_else(|error| usage::in_words(error).exit());
    let is_server = cli.command.is_server();
    // Before anything that takes time: a server that is told to stop while it starts ends as one that is told later.
    let _stop = is_server.then(|| StopOnInterrupt::install("finishing accepted requests"));
    output::set_quiet(cli.quiet);
    logging::start(cli.verbose, cli.quiet, cli.command.log_format(), is_server);
    if !arguments.added.is_empty() {
        output::note(&format!("visage.toml: {}", arguments.added.join(" ")));
    }
    let code = match panic::catch(|| commands::run(cli.command)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => error.report(),
        Err(bug) => {
            output::problem(&bug);
            ExitCode::FAILURE
        }
    };
    logging::flush();
    code
}
