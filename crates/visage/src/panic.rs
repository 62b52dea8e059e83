//! A panic is a bug in visage, and is shown as one sentence.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

/// The latest panic of any thread. Those that a library catches and turns into errors are never shown.
static LATEST: Mutex<Option<String>> = Mutex::new(None);

/// What `work` returns, or what to tell the user if it panics.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    panic::set_hook(Box::new(|info| {
        let what = info.payload_as_str().unwrap_or("unknown reason");
        let place = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
        *LATEST.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{what}{place}"));
    }));
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        let latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner).take();
        format!(
            "error: this is a bug in visage {}: {}; please report it with this line and the command you ran",
            env!("CARGO_PKG_VERSION"),
            latest.as_deref().unwrap_or("unknown reason"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_sentence() {
        assert_eq!(caught(|| 3), Ok(3));
        let told = caught(|| std::thread::spawn(|| panic!("the sky fell")).join().unwrap()).unwrap_err();
        assert!(told.starts_with("error: this is a bug in visage") && told.contains("src/panic.rs"), "{told}");
    }
}
