//! Resuming: the checks that a run continues with the recipe and the data that it began with.

use std::collections::HashSet;

use visage_run::{DataRecord, RunFolder};

use super::{TrainSettings, record};
use crate::error::TrainError;

/// The run to resume.
///
/// # Errors
///
/// When there is none, or when its recipe or data has changed and changes are not accepted.
pub(super) fn open(settings: &TrainSettings, fingerprint: &str) -> Result<RunFolder, TrainError> {
    let folder = RunFolder::open(&settings.folder)?;
    let before = folder.record()?.data;
    if settings.accept_changes {
        return Ok(folder);
    }
    let run = || settings.folder.clone();
    if before.fingerprint != fingerprint {
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
    let (before, now) = (&before.fingerprint, &now.fingerprint);
    lines.push(format!("  its fingerprint was {before:.12}, this one's is {now:.12}: labels, splits or names differ"));
    lines.join("\n")
}

fn lines_only_in(text: &str, other: &str) -> String {
    let other: HashSet<&str> = other.lines().collect();
    let lines = text.lines().filter(|line| !other.contains(line));
    lines.map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
