//! A model file that changes is served anew: the old one answers until the new one was read and has answered.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::metrics::Metrics;
use crate::models::Models;

/// What a file looks like from outside: when it was written, and its length.
type Stamp = Option<(SystemTime, u64)>;

fn stamp(path: &Path) -> Stamp {
    let about = fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

/// What the files look like, as they are read.
pub(crate) fn stamps(sources: &[crate::Source]) -> Vec<Stamp> {
    sources.iter().map(|source| stamp(&source.path)).collect()
}

/// Looks at the files every so often until the server ends, at which this thread is to be unparked. `known` is what they looked like
/// before they were read.
pub(crate) fn watch(models: &Models, mut known: Vec<Stamp>, every: Duration, metrics: &Metrics, ended: &AtomicBool) {
    let mut next = Instant::now() + every;
    while !ended.load(Ordering::Relaxed) {
        if Instant::now() < next {
            thread::park_timeout(next.saturating_duration_since(Instant::now()));
            continue;
        }
        for (slot, known) in models.slots().iter().zip(&mut known) {
            let now = stamp(&slot.source.path);
            // A file that is gone may be about to come back.
            if now.is_none() || now == *known {
                continue;
            }
            // A file that is still being written fails now, and changes again.
            *known = now;
            let (name, path) = (slot.source.name.as_str(), slot.source.path.display());
            let loaded = models.read_anew(slot);
            metrics.loaded(name, loaded.is_ok());
            match loaded {
                Ok(loaded) => {
                    slot.replace(loaded);
                    tracing::info!(model = name, %path, "the model file changed and is served now");
                }
                Err(error) => {
                    let reason = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    tracing::error!(model = name, %path, %error, reason, "the model file changed and cannot be used: the old one goes on");
                }
            }
        }
        next = Instant::now() + every;
    }
}
