//! Watches the model files. A changed file is loaded and tried first, while the previous model keeps answering.

use std::error::Error as _;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::metrics::Metrics;
use crate::models::{Models, Slot};
use crate::source::Source;

/// Modification time and length of a file, if there is one.
type Stamp = Option<(SystemTime, u64)>;

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

pub(crate) fn stamps(sources: &[Source]) -> Vec<Stamp> {
    sources.iter().map(|source| stamp(&source.path)).collect()
}

/// Checks the files every `interval` until `stopped` is set and this thread is unparked. `known` are the stamps from before the
/// files were first read.
pub(crate) fn watch(
    models: &Models,
    mut known: Vec<Stamp>,
    interval: Duration,
    metrics: &Metrics,
    stopped: &AtomicBool,
) {
    let mut next = Instant::now() + interval;
    while !stopped.load(Ordering::Relaxed) {
        let now = Instant::now();
        if now < next {
            thread::park_timeout(next - now);
            continue;
        }
        for (slot, known) in models.slots().iter().zip(&mut known) {
            let found = stamp(&slot.source.path);
            // A missing file may be in the middle of being replaced.
            if found.is_some() && found != *known {
                // A file that is still being written fails to load now, and changes again.
                *known = found;
                reload(models, slot, metrics);
            }
        }
        next = Instant::now() + interval;
    }
}

fn reload(models: &Models, slot: &Slot, metrics: &Metrics) {
    let (model, path) = (slot.source.name.as_str(), slot.source.path.display());
    let loaded = models.reload(slot);
    metrics.loaded(model, loaded.is_ok());
    match loaded {
        Ok(loaded) => {
            slot.replace(loaded);
            tracing::info!(model, %path, "the model file changed and is now in use");
        }
        Err(error) => {
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            tracing::error!(model, %path, %error, cause, "the changed model file cannot be used: the previous model stays in use");
        }
    }
}
