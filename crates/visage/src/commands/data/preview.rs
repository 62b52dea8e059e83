//! `visage data preview`.

use std::io::Write;
use std::sync::Arc;

use visage_data::preview::{Preview, page};
use visage_data::{Dataset, Split};
use visage_run::Recipe;
use visage_weights::atomic;

use crate::cli::PreviewArgs;
use crate::compute::start_threads;
use crate::error::CommandError;
use crate::output;
use crate::shell;
use crate::table::counted;

/// Shows what training sees.
pub fn run(args: &PreviewArgs) -> Result<(), CommandError> {
    if !args.out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("html")) {
        return Err(CommandError::Usage(
            format!("{} is a page for a browser: name it .html", args.out.display()).into(),
        ));
    }
    start_threads(args.threads)?;
    let mut recipe = Recipe::load(&args.recipe).map_err(CommandError::usage)?;
    recipe.set_all(&args.overrides).map_err(CommandError::usage)?;
    let dataset = Dataset::open(&args.path)?;
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
    let html = page(&Arc::new(dataset), &preview)?;
    atomic::write(&args.out, |file| file.write_all(html.as_bytes()))
        .map_err(|source| CommandError::Write { path: args.out.clone(), source })?;
    output::result(&format!(
        "wrote {}: {} as {} of {} see them; open it in a browser\n",
        shell::path(&args.out),
        counted(preview.indices.len() as u64, "training image"),
        counted(args.epochs, "epoch"),
        recipe.name
    ))
}
