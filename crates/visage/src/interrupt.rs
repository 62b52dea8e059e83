//! Ctrl-C: the first press stops the work in progress cleanly, the second exits at once.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use crate::error::INTERRUPTED;
use crate::output;

/// Set when the work in progress should stop.
static STOP: AtomicBool = AtomicBool::new(false);
/// Whether some work checks [`STOP`].
static HANDLED: AtomicBool = AtomicBool::new(false);
static INSTALL: Once = Once::new();
/// What to print on the first press.
static MESSAGE: Mutex<&str> = Mutex::new("");

/// While it lives, Ctrl-C and SIGTERM set a flag that the work in progress checks.
pub struct StopOnInterrupt(());

impl StopOnInterrupt {
    /// Installs the handler; `message` is printed on the first press.
    pub fn install(message: &'static str) -> Self {
        *MESSAGE.lock().unwrap_or_else(PoisonError::into_inner) = message;
        // Before the handler, which may be called as soon as it is installed.
        HANDLED.store(true, Ordering::SeqCst);
        INSTALL.call_once(|| {
            if let Err(error) = ctrlc::set_handler(on_signal) {
                output::warning(&format!("Ctrl-C will exit at once, without saving: {error}"));
            }
        });
        Self(())
    }

    /// The flag, true once the work should stop.
    pub fn flag(&self) -> &'static AtomicBool {
        flag()
    }
}

/// The flag of the handler, if it was installed earlier.
pub fn flag() -> &'static AtomicBool {
    &STOP
}

impl Drop for StopOnInterrupt {
    fn drop(&mut self) {
        HANDLED.store(false, Ordering::SeqCst);
    }
}

fn on_signal() {
    if !HANDLED.load(Ordering::SeqCst) || STOP.swap(true, Ordering::SeqCst) {
        // Files are replaced atomically, so earlier versions stay intact.
        process::exit(INTERRUPTED.into());
    }
    let message = *MESSAGE.lock().unwrap_or_else(PoisonError::into_inner);
    output::note(&format!("\n{message}; press Ctrl-C again to exit at once"));
}
