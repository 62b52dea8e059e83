//! Whether the server accepts requests and answers them, for the probes of a cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::engine::Queue;
use crate::gate::Gate;
use crate::problem::Problem;

#[derive(Debug)]
pub(crate) struct Readiness {
    is_shutting_down: AtomicBool,
    queue: Arc<Queue>,
    decoding: Arc<Gate>,
    /// Longest time that a batch, or the decoding of an image, may take.
    stall: Duration,
}

impl Readiness {
    pub(crate) fn new(queue: Arc<Queue>, decoding: Arc<Gate>, stall: Duration) -> Self {
        Self { is_shutting_down: AtomicBool::new(false), queue, decoding, stall }
    }

    pub(crate) fn shut_down(&self) {
        self.is_shutting_down.store(true, Ordering::Relaxed);
    }

    /// Whether the server accepts requests and answers them.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.is_shutting_down.load(Ordering::Relaxed) {
            return Err(Problem::shutting_down());
        }
        self.is_alive()
    }

    /// Whether the engine and the decoding threads answer. If they do not, only a restart helps.
    pub(crate) fn is_alive(&self) -> Result<(), Problem> {
        for (part, silent) in [("the network", self.queue.silent_for()), ("a decoder", self.decoding.longest())] {
            if silent > self.stall {
                return Err(Problem::stalled(part, silent));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime;

    use super::*;
    use crate::client::{Client, Party};
    use crate::metrics::Metrics;
    use crate::options::Batching;

    #[test]
    fn a_part_that_does_not_answer_is_named() {
        let queue = Arc::new(Queue::new(Batching::default(), Arc::new(Metrics::new())));
        let gate = Arc::new(Gate::new(1, 1));
        let readiness = Readiness::new(queue, Arc::clone(&gate), Duration::ZERO);
        assert!(readiness.check().is_ok());
        let party = Party { model: "m".to_owned(), client: Client::numbered(1) };
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        let pass = runtime.block_on(gate.enter(&party, 1));
        let problem = readiness.is_alive().unwrap_err();
        assert!(problem.detail().contains("a decoder has not answered for 0 s"), "{}", problem.detail());
        assert!(readiness.check().is_err());
        drop(pass);
        assert!(readiness.check().is_ok());
        readiness.shut_down();
        assert!(readiness.is_alive().is_ok() && readiness.check().is_err());
    }
}
