//! Locating pretrained weights.

use std::path::{Path, PathBuf};

use visage_weights::hub::{Hub, HubError, PREFIX};

/// The file of `weights`: a path, or `hub:OWNER/NAME[@REVISION]`, which is downloaded if it is not cached.
///
/// # Errors
///
/// When a repository of the hub cannot be reached or has no weights.
pub fn locate_weights(weights: &Path) -> Result<PathBuf, HubError> {
    match weights.to_str() {
        Some(name) if name.starts_with(PREFIX) => Hub::default().file(&name.parse()?),
        _ => Ok(weights.to_owned()),
    }
}
