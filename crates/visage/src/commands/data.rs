//! `visage data`.

pub mod convert;
pub mod formats;
pub mod inspect;
pub mod pack;
pub mod preview;
pub mod synth;
pub mod verify;

use clap::Subcommand;

use crate::error::CommandError;

/// The verbs of `visage data`.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Show what a dataset contains: splits, prevalences, class weights, correlations, and warnings.
    Inspect(inspect::InspectArgs),
    /// Print the names of files and columns and the words that are recognised, as Markdown.
    Formats(formats::FormatsArgs),
    /// Check that every image exists and decodes, that splits are disjoint and that labels are plausible; report every problem.
    Verify(verify::VerifyArgs),
    /// Write a copy with decoded and resized images, for fast reading.
    Pack(pack::PackArgs),
    /// Convert a dataset to another format: CelebA's layout, CSV and zip, Parquet, or WebDataset.
    Convert(convert::ConvertArgs),
    /// Show what training sees: images with their labels, augmented as in each epoch of a recipe.
    Preview(preview::PreviewArgs),
    /// Generate a dataset of synthetic faces in CelebA's layout.
    Synth(synth::SynthArgs),
}

/// Runs a verb.
pub fn run(command: &DataCommand) -> Result<(), CommandError> {
    match command {
        DataCommand::Inspect(args) => inspect::run(args),
        DataCommand::Formats(args) => formats::run(args),
        DataCommand::Verify(args) => verify::run(args),
        DataCommand::Pack(args) => pack::run(args),
        DataCommand::Convert(args) => convert::run(args),
        DataCommand::Preview(args) => preview::run(args),
        DataCommand::Synth(args) => synth::run(args),
    }
}
