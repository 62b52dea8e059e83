//! `visage data pack`.

use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use visage_data::pack::{self, PackError, Packed};
use visage_data::{Dataset, Preparation, Split};
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
use crate::progress::Progress;
use crate::table_args::TableArgs;
use crate::tables::{counted, duration};

/// Options of `visage data pack`.
#[derive(Debug, Args)]
pub struct PackArgs {
    /// The dataset, as for `visage data inspect`.
    pub path: PathBuf,
    /// The file to write, such as `faces-64.pack`.
    pub out: PathBuf,
    /// The recipe whose input preparation is applied.
    #[arg(long, value_name = "RECIPE")]
    pub recipe: String,
    #[command(flatten)]
    pub set: Overrides,
    /// Also use images whose files are cut short, as far as they go; otherwise such an image is an error.
    #[arg(long)]
    pub allow_truncated: bool,
    /// Threads for decoding [default: one per processor; the variable VISAGE_THREADS sets it too].
    #[arg(long, value_name = "N", env = "VISAGE_THREADS", hide_env = true)]
    pub threads: Option<NonZeroUsize>,
    #[command(flatten)]
    pub table: TableArgs,
}

/// Packs a dataset.
pub fn run(args: &PackArgs) -> Result<(), CommandError> {
    extension::check("the pack", &args.out, &["pack"])?;
    start_threads(args.threads)?;
    let recipe = recipe::load(&args.recipe, &args.set.overrides)?;
    let mut dataset = open(&args.path, &args.table.options()?, args.allow_truncated)?;
    dataset.require_images(&(0..dataset.samples().len()).collect::<Vec<_>>())?;
    align_for_recipe(&mut dataset, &recipe)?;
    let packed = write(args, &dataset, &recipe.input.preparation_for(&dataset))?;
    warn_of_truncated(&dataset);
    output::result(&summary(args, &dataset, packed)?)
}

/// Writes the pack; its file appears once it is complete.
fn write(args: &PackArgs, dataset: &Dataset, preparation: &Preparation) -> Result<Packed, CommandError> {
    let mut progress = Progress::new("packing", "images", dataset.samples().len() as u64);
    let mut result = None;
    let written = atomic::write(&args.out, |out| {
        let packed = pack::write(dataset, preparation, out, |done| progress.set(done as u64, String::new));
        // An error of any kind keeps the file from appearing.
        let failed = packed.is_err();
        result = Some(packed);
        if failed { Err(io::Error::other("an image failed")) } else { Ok(()) }
    });
    match (result, written) {
        (Some(Ok(packed)), Ok(())) => Ok(packed),
        (Some(Err(PackError::Data(error))), _) => Err(error.into()),
        (Some(Err(PackError::Write(source))), _) | (_, Err(source)) => Err(CommandError::write(&args.out)(source)),
        (Some(Err(error)), Ok(())) => Err(error.into()),
        (None, Ok(())) => unreachable!("atomic::write calls its closure before it succeeds"),
    }
}

/// What was written, and the measured time it saves.
fn summary(args: &PackArgs, source: &Dataset, packed: Packed) -> Result<String, CommandError> {
    let Packed { images, size, bytes, preparing } = packed;
    let (preparing, reading) = (preparing.as_secs_f64(), pack::reading_time(&args.out)?.as_secs_f64());
    let per_image = |seconds: f64| format!("{:.3} ms", seconds * 1e3 / images.max(1) as f64);
    let train = source.indices(Split::Train).len();
    let saved = (preparing - reading).max(0.0) * train as f64 / images.max(1) as f64;
    let pack = shell::path(&args.out);
    Ok(format!(
        "wrote {pack}: {} of {size}, {:.1} MB\n\
         processor time per image: {} to read and prepare, {} from the pack; an epoch of {} saves {}\n\
         next: visage train {} --data {pack}{}\n",
        counted(images as u64, "image"),
        bytes as f64 / 1e6,
        per_image(preparing),
        per_image(reading),
        counted(train as u64, "training image"),
        duration(saved),
        shell::word(&args.recipe),
        args.set.repeated(),
    ))
}
