//! Resuming: the checks that a run continues with the recipe and the data that it began with, and its last checkpoint.

use std::collections::HashSet;
use std::path::Path;

use visage_model::{Model, NetworkConfig};
use visage_run::{DataRecord, Recipe, RunFolder};

use super::{TrainSettings, record};
use crate::checkpoint::{self, Checkpoint, Unreadable};
use crate::early_stopping::BestEpoch;
use crate::error::{Remedy, TrainError};

/// The run to resume.
///
/// # Errors
///
/// When there is none, or when its recipe or data has changed and changes are not accepted.
pub(super) fn open(settings: &TrainSettings, fingerprint: &str) -> Result<RunFolder, TrainError> {
    let folder = RunFolder::open(&settings.folder)?;
    folder.remove_left_behind()?;
    let before = folder.record()?.data;
    if settings.accept_changes {
        return Ok(folder);
    }
    let run = || settings.folder.clone();
    if before.fingerprint != fingerprint || before.limit != settings.limit {
        let changes = data_changes(&before, &record::data(settings, fingerprint.to_owned()));
        return Err(TrainError::OtherData { run: run(), changes });
    }
    let (theirs, ours) = (folder.recipe()?.to_toml()?, settings.recipe.to_toml()?);
    if theirs != ours {
        return Err(TrainError::OtherRecipe {
            run: run(),
            theirs: lines_only_in(&theirs, &ours),
            ours: lines_only_in(&ours, &theirs),
        });
    }
    Ok(folder)
}

/// The checkpoint to resume from; `None` if the run was killed before it wrote the first.
///
/// # Errors
///
/// When it is damaged or missing, contradicts the recipe or the dataset, was trained with another recipe and changes are not
/// accepted, or the best checkpoint is damaged.
pub(super) fn checkpoint(
    folder: &RunFolder,
    network: &NetworkConfig,
    settings: &TrainSettings,
) -> Result<Option<Checkpoint>, TrainError> {
    let [last, best] = [RunFolder::LAST, RunFolder::BEST].map(|name| folder.file(name));
    let refused = |reason: String| {
        let remedy = remedy(&last, &best, network, settings);
        TrainError::Checkpoint { path: last.clone(), reason, remedy }
    };
    if !last.is_file() {
        // A run that is killed between its first `best` and its first `last` starts again. Any other `best` had a `last` beside it, and
        // starting again would overwrite the model.
        let is_first = checkpoint::position_of(&best).is_some_and(|position| position.epoch == 1);
        return if is_first || !best.is_file() { Ok(None) } else { Err(refused("it is missing".to_owned())) };
    }
    let mut checkpoint = match checkpoint::read(&last, settings.recipe.optimizer, &settings.device) {
        Err(Unreadable::Io(error)) => return Err(error.into()),
        Err(Unreadable::Damaged(reason)) => return Err(refused(reason)),
        Ok(checkpoint) => checkpoint,
    };
    if let Some(reason) = contradiction(&checkpoint, network, settings.dataset.attributes()) {
        return Err(refused(reason));
    }
    if !settings.accept_changes {
        same_recipe(&checkpoint, &last, folder, settings)?;
    }
    if best.is_file() {
        read_best(&best, settings)?;
    } else if checkpoint.position.best.epoch > 0 {
        // Removed, because it was damaged. The best of the epochs to come replaces it.
        checkpoint.position.best = BestEpoch::default();
    }
    Ok(Some(checkpoint))
}

/// Checks that a checkpoint was trained with the recipe of the settings. A damaged `recipe.toml` may still be a recipe.
fn same_recipe(
    checkpoint: &Checkpoint,
    last: &Path,
    folder: &RunFolder,
    settings: &TrainSettings,
) -> Result<(), TrainError> {
    let trained_with = &checkpoint.model.card.origin.recipe;
    let theirs = Recipe::parse(trained_with, "the recipe in the checkpoint", "").and_then(|recipe| recipe.to_toml());
    let (theirs, ours) = (theirs.unwrap_or_else(|_| trained_with.clone()), settings.recipe.to_toml()?);
    if theirs == ours {
        return Ok(());
    }
    Err(TrainError::ChangedRecipe {
        recipe: folder.file(RunFolder::RECIPE),
        checkpoint: last.to_owned(),
        theirs: lines_only_in(&theirs, &ours),
        ours: lines_only_in(&ours, &theirs),
    })
}

/// The best checkpoint of a run, which becomes its model.
///
/// # Errors
///
/// When it cannot be read.
pub(super) fn read_best(best: &Path, settings: &TrainSettings) -> Result<Model, TrainError> {
    Model::read(best, &settings.device).map_err(|error| match Unreadable::from(error) {
        Unreadable::Io(error) => error.into(),
        Unreadable::Damaged(reason) => TrainError::BestCheckpoint { path: best.to_owned(), reason },
    })
}

/// How to go on without the last checkpoint.
fn remedy(last: &Path, best: &Path, network: &NetworkConfig, settings: &TrainSettings) -> Remedy {
    match checkpoint::read(best, settings.recipe.optimizer, &settings.device) {
        Ok(checkpoint) if contradiction(&checkpoint, network, settings.dataset.attributes()).is_none() => {
            let epoch = checkpoint.position.epoch;
            return Remedy::ResumeFromBest { best: best.to_owned(), last: last.to_owned(), epoch };
        }
        _ => {}
    }
    // A last checkpoint that contradicts the recipe is still a model.
    let whole = [best, last].into_iter().find(|path| Model::read(path, &settings.device).is_ok());
    whole.map_or(Remedy::StartAgain, |path| Remedy::NewRun { weights: path.to_owned() })
}

/// How a checkpoint contradicts the recipe or the dataset, if it does.
fn contradiction(checkpoint: &Checkpoint, network: &NetworkConfig, attributes: &[String]) -> Option<String> {
    let card = &checkpoint.model.card;
    if card.network.architecture != network.architecture {
        let (found, expected) = (card.network.architecture, network.architecture);
        return Some(format!("its network is {found}, the recipe's is {expected}"));
    }
    if card.attributes != attributes {
        let (found, expected) = (card.attributes.join(", "), attributes.join(", "));
        return Some(format!("its attributes are {found}, the dataset's are {expected}"));
    }
    let fits = checkpoint.optimizer.as_ref().is_some_and(|optimizer| optimizer.fits(&checkpoint.model.network));
    (!fits).then(|| "the optimiser's state in it is incomplete, or of another kind than the recipe's".to_owned())
}

/// The differences between two datasets, one per line.
fn data_changes(before: &DataRecord, now: &DataRecord) -> String {
    let missing = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|name| !those.contains(name)).cloned().collect()
    };
    let mut lines = Vec::new();
    for (split, before, now) in [
        ("training", before.train, now.train),
        ("validation", before.validation, now.validation),
        ("test", before.test, now.test),
    ] {
        if before != now {
            lines.push(format!("  it had {before} {split} images, this one has {now}"));
        }
    }
    for (verb, names) in [
        ("lacks", missing(&before.attributes, &now.attributes)),
        ("adds", missing(&now.attributes, &before.attributes)),
    ] {
        if !names.is_empty() {
            lines.push(format!("  this one {verb} {}", names.join(", ")));
        }
    }
    if before.limit != now.limit {
        let words = |limit: Option<usize>| limit.map_or("no limit".to_owned(), |limit| format!("--limit {limit}"));
        lines.push(format!("  it was trained with {}, now there is {}", words(before.limit), words(now.limit)));
    }
    let (before, now) = (&before.fingerprint, &now.fingerprint);
    if before != now {
        lines.push(format!(
            "  its fingerprint was {before:.12}, this one's is {now:.12}: labels, splits or names differ"
        ));
    }
    lines.join("\n")
}

fn lines_only_in(text: &str, other: &str) -> String {
    let other: HashSet<&str> = other.lines().collect();
    let lines = text.lines().filter(|line| !other.contains(line));
    lines.map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
