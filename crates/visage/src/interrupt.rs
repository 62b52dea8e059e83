//! Ctrl-C: once to stop after the step under way and save, twice to leave at once.

use std::process;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::output;

/// Set when a run is to stop.
static STOP: AtomicBool = AtomicBool::new(false);
/// Whether there is a run that will look at [`STOP`].
static LISTENING: AtomicBool = AtomicBool::new(false);
static INSTALLED: Once = Once::new();

/// While it lives, Ctrl-C and requests to terminate set a flag for the run under way.
pub struct Listening(());

impl Listening {
    /// Begins to listen.
    pub fn begin() -> Self {
        INSTALLED.call_once(|| {
            if let Err(error) = ctrlc::set_handler(on_signal) {
                output::warning(&format!("Ctrl-C will end training without saving: {error}"));
            }
        });
        LISTENING.store(true, Ordering::SeqCst);
        Self(())
    }

    /// The flag.
    pub fn flag(&self) -> &'static AtomicBool {
        &STOP
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        LISTENING.store(false, Ordering::SeqCst);
    }
}

fn on_signal() {
    if !LISTENING.load(Ordering::SeqCst) || STOP.swap(true, Ordering::SeqCst) {
        // Checkpoints are written whole or not at all, so that of before stays.
        process::exit(1);
    }
    output::note("\nstopping after this step, then saving; press Ctrl-C again to leave at once");
}
