//! Locating pretrained weights.

use std::path::{Path, PathBuf};

use visage_run::RunFolder;
use visage_weights::hub::{Hub, HubError, PREFIX};

/// The file of `weights`: a path, the best checkpoint of the run whose folder it names, or `hub:OWNER/NAME[@REVISION]`, which is downloaded if it is not cached.
///
/// # Errors
///
/// When a repository of the hub cannot be reached or has no weights.
pub fn locate_weights(weights: &Path) -> Result<PathBuf, HubError> {
    match weights.to_str() {
        Some(name) if name.starts_with(PREFIX) => Hub::default().file(&name.parse()?),
        _ if RunFolder::holds_run(weights) => Ok(RunFolder::model_file(weights)),
        _ => Ok(weights.to_owned()),
    }
}
