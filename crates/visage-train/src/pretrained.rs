//! Where a recipe's first weights are.

use std::path::{Path, PathBuf};

use visage_weights::hub::{Hub, HubError, PREFIX};

/// The file that `weights` names: itself, or what `hub:OWNER/NAME[@REVISION]` stands for, downloaded if need be.
///
/// # Errors
///
/// Where it names a repository and that cannot be had.
pub fn locate(weights: &Path) -> Result<PathBuf, HubError> {
    match weights.to_str() {
        Some(name) if name.starts_with(PREFIX) => Hub::default().file(&name.parse()?),
        _ => Ok(weights.to_owned()),
    }
}
