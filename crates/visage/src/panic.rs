//! A panic is a bug in visage, and is reported in one sentence.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

/// The last panic of any thread. Panics that a library catches and turns into errors are never shown.
static LAST: Mutex<Option<String>> = Mutex::new(None);

/// Runs `work`. If it panics, returns the message for the user.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    panic::set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("unknown reason");
        let location = info.location().map(|location| format!(" at {location}")).unwrap_or_default();
        *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{message}{location}"));
    }));
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        let last = LAST.lock().unwrap_or_else(PoisonError::into_inner).take();
        format!(
            "error: this is a bug in visage {}: {}; please report it with this line and the command you ran",
            env!("CARGO_PKG_VERSION"),
            last.as_deref().unwrap_or("unknown reason"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_sentence() {
        assert_eq!(catch(|| 3), Ok(3));
        let message = catch(|| std::thread::spawn(|| panic!("out of cheese")).join().unwrap()).unwrap_err();
        assert!(message.starts_with("error: this is a bug in visage") && message.contains("src/panic.rs"), "{message}");
    }
}
