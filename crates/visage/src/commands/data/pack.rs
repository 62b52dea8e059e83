//! `visage data pack`.

use std::io;

use visage_data::Dataset;
use visage_data::pack::{self, PackError, Packed};
use visage_run::Recipe;
use visage_weights::atomic;

use crate::cli::PackArgs;
use crate::compute::start_threads;
use crate::error::CommandError;
use crate::output;
use crate::progress::Progress;
use crate::shell;
use crate::table::{counted, duration};

/// Packs a dataset.
pub fn run(args: &PackArgs) -> Result<(), CommandError> {
    start_threads(args.threads)?;
    let mut recipe = Recipe::load(&args.recipe).map_err(CommandError::usage)?;
    recipe.set_all(&args.overrides).map_err(CommandError::usage)?;
    let dataset = Dataset::open(&args.path)?;
    dataset.require_images(&(0..dataset.samples().len()).collect::<Vec<_>>())?;
    let mut progress = Progress::new("packing", "images", dataset.samples().len() as u64);
    let mut outcome = None;
    // The file appears when it is whole; what kept it from being so is told as it was.
    let written = atomic::write(&args.out, |out| {
        let preparation = recipe.input.preparation();
        let packed = pack::write(&dataset, &preparation, out, |done| progress.set(done as u64, String::new));
        let failed = packed.is_err();
        outcome = Some(packed);
        if failed { Err(io::Error::other("an image failed")) } else { Ok(()) }
    });
    drop(progress);
    let packed = match (outcome, written) {
        (Some(Err(PackError::Data(error))), _) => return Err(error.into()),
        (Some(Err(PackError::Write(source))), _) | (None, Err(source)) | (Some(Ok(_)), Err(source)) => {
            return Err(CommandError::Write { path: args.out.clone(), source });
        }
        (Some(Ok(packed)), Ok(())) => packed,
        (Some(Err(error)), _) => return Err(error.into()),
        (None, Ok(())) => return Ok(()),
    };
    output::result(&told(args, &dataset, packed)?)
}

/// What was written, and what it saves: reading it is measured.
fn told(args: &PackArgs, source: &Dataset, packed: Packed) -> Result<String, CommandError> {
    let Packed { images, size, bytes, preparing } = packed;
    let reading = pack::reading_time(&args.out)?;
    let an_image = |seconds: f64| format!("{:.3} ms", seconds * 1e3 / images.max(1) as f64);
    let (preparing, reading) = (preparing.as_secs_f64(), reading.as_secs_f64());
    let train = source.indices(visage_data::Split::Train).len();
    let saved = (preparing - reading).max(0.0) * train as f64 / images.max(1) as f64;
    let pack = shell::path(&args.out);
    Ok(format!(
        "wrote {pack}: {} of {size} in {:.1} MB\n\
         an image took {} of a processor to read and prepare, and takes {} from the pack: an epoch of {} saves {} of one\n\
         next: visage train {} --data {pack}{}\n",
        counted(images as u64, "image"),
        bytes as f64 / 1e6,
        an_image(preparing),
        an_image(reading),
        counted(train as u64, "training image"),
        duration(saved),
        shell::word(&args.recipe),
        args.overrides.iter().map(|change| format!(" --set {}", shell::word(change))).collect::<String>(),
    ))
}
