//! `visage data preview`.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use visage_data::Split;
use visage_data::preview::{Preview, page};
use visage_run::shell;
use visage_weights::atomic;

use crate::cli::Overrides;
use crate::commands::recipe;
use crate::compute::start_threads;
use crate::dataset::{open, warn_of_truncated};
use crate::error::CommandError;
use crate::extension;
use crate::faces::align_for_recipe;
use crate::output;
use crate::table_args::TableArgs;
use crate::tables::counted;

/// Options of `visage data preview`.
#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// The dataset, as for `visage data inspect`.
    pub path: PathBuf,
    /// The recipe whose preparation and augmentation are shown.
    #[arg(long, value_name = "RECIPE")]
    pub recipe: String,
    #[command(flatten)]
    pub set: Overrides,
    /// The HTML page to write.
    #[arg(long, value_name = "FILE", default_value = "preview.html")]
    pub out: PathBuf,
    /// Number of images to show, the first of the training split.
    #[arg(long, value_name = "N", default_value_t = 12)]
    pub images: usize,
    /// Number of epochs to show of each.
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub epochs: u64,
    /// Also use images whose files are cut short, as far as they go; otherwise such an image is an error.
    #[arg(long)]
    pub allow_truncated: bool,
    /// Threads for decoding [default: one per processor; the variable VISAGE_THREADS sets it too].
    #[arg(long, value_name = "N", env = "VISAGE_THREADS", hide_env = true)]
    pub threads: Option<NonZeroUsize>,
    #[command(flatten)]
    pub table: TableArgs,
}

/// Shows what training sees.
pub fn run(args: &PreviewArgs) -> Result<(), CommandError> {
    extension::check("--out", &args.out, &["html", "htm"])?;
    start_threads(args.threads)?;
    let recipe = recipe::load(&args.recipe, &args.set.overrides)?;
    let mut dataset = open(&args.path, &args.table.options()?, args.allow_truncated)?;
    align_for_recipe(&mut dataset, &recipe)?;
    let everything = || (0..dataset.samples().len()).collect();
    let training = if dataset.has_splits() { dataset.indices(Split::Train) } else { everything() };
    let indices: Vec<usize> = training.into_iter().take(args.images).collect();
    dataset.require_images(&indices)?;
    let preview = Preview {
        indices,
        epochs: args.epochs,
        seed: recipe.training.seed,
        preparation: recipe.input.preparation(),
        augmentation: recipe.augmentation.augmentation(),
        mixing: recipe.augmentation.mixing(),
    };
    let dataset = Arc::new(dataset);
    let html = page(&dataset, &preview)?;
    warn_of_truncated(&dataset);
    atomic::write(&args.out, |file| file.write_all(html.as_bytes())).map_err(CommandError::write(&args.out))?;
    output::result(&format!(
        "wrote {}: {} as {} of {} see them; open it in a browser\n",
        shell::path(&args.out),
        counted(preview.indices.len() as u64, "training image"),
        counted(args.epochs, "epoch"),
        recipe.name
    ))
}
