//! Whether the server accepts requests, for readiness probes.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::problem::Problem;

#[derive(Debug, Default)]
pub(crate) struct Readiness {
    is_shutting_down: AtomicBool,
}

impl Readiness {
    pub(crate) fn shut_down(&self) {
        self.is_shutting_down.store(true, Ordering::Relaxed);
    }

    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.is_shutting_down.load(Ordering::Relaxed) { Err(Problem::shutting_down()) } else { Ok(()) }
    }
}
