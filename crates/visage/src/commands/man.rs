//! `visage man`.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory};

use visage_run::shell;

use crate::cli::Cli;
use crate::error::CommandError;
use crate::{markdown_help, output};

/// Options of `visage man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder to write; `man -M` and MANPATH expect the pages in its subfolder man1.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// Writes the manual pages.
pub fn run(args: &ManArgs) -> Result<(), CommandError> {
    let folder = args.folder.join("man1");
    fs::create_dir_all(&folder).map_err(CommandError::write(&folder))?;
    clap_mangen::generate_to(Cli::command(), &folder).map_err(CommandError::write(&folder))?;
    output::result(&format!("wrote {}\nnext: man -M {} visage\n", folder.display(), shell::path(&args.folder)))
}

/// Prints the reference of all verbs as Markdown.
pub fn markdown() -> Result<(), CommandError> {
    output::result(&markdown_help::render(Cli::command()))
}
