//! Ctrl-C: once to bring to an end what is under way, twice to leave at once.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use crate::output;

/// Set when a run is to stop.
static STOP: AtomicBool = AtomicBool::new(false);
/// Whether there is something that will look at [`STOP`].
static LISTENING: AtomicBool = AtomicBool::new(false);
static INSTALLED: Once = Once::new();
/// What to say when it is asked to stop.
static TOLD: Mutex<&str> = Mutex::new("");

/// While it lives, Ctrl-C and requests to terminate set a flag for what is under way.
pub struct Listening(());

impl Listening {
    /// Begins to listen; `told` is said when it is asked to stop.
    pub fn begin(told: &'static str) -> Self {
        *TOLD.lock().unwrap_or_else(PoisonError::into_inner) = told;
        INSTALLED.call_once(|| {
            if let Err(error) = ctrlc::set_handler(on_signal) {
                output::warning(&format!("Ctrl-C will end this at once, without saving: {error}"));
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
        // Whatever is written is written whole or not at all, so what was before stays.
        process::exit(1);
    }
    let told = *TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    output::note(&format!("\n{told}; press Ctrl-C again to leave at once"));
}
