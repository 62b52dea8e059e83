//! Whether the server accepts requests and answers them, for the probes of a cluster.
//!
//! A watchdog asks the engine and the decoding threads the smallest question, whether or not there are requests. A part that does not
//! answer in time is stalled.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join;
use tokio::time::sleep;

use crate::decode::DecodePool;
use crate::engine::Queue;
use crate::problem::Problem;

/// Questions to an idle part within the time that it has for one answer. A stall is noticed later by at most one part in as many.
const QUESTIONS: u32 = 10;

#[derive(Debug)]
pub(crate) struct Readiness {
    is_shutting_down: AtomicBool,
    queue: Arc<Queue>,
    decoding: Arc<DecodePool>,
    to_engine: Question,
    to_decoders: Question,
    /// Longest time that an answer to the watchdog, a batch, or the decoding of an image may take.
    stall: Duration,
}

impl Readiness {
    pub(crate) fn new(queue: Arc<Queue>, decoding: Arc<DecodePool>, stall: Duration) -> Self {
        let (to_engine, to_decoders) = (Question::default(), Question::default());
        Self { is_shutting_down: AtomicBool::new(false), queue, decoding, to_engine, to_decoders, stall }
    }

    pub(crate) fn shut_down(&self) {
        self.is_shutting_down.store(true, Ordering::Relaxed);
    }

    /// The watchdog. Never completes.
    pub(crate) async fn watch(&self) {
        let interval = self.stall / QUESTIONS;
        let engine = self.to_engine.repeat(interval, async || self.queue.ask().await);
        let decoders = self.to_decoders.repeat(interval, async || self.decoding.ask().await);
        join(engine, decoders).await;
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
        // One decoding thread may be stalled while the others answer.
        let decoder = self.to_decoders.pending().max(self.decoding.longest());
        for (part, silent) in [("the network", self.to_engine.pending()), ("a decoder", decoder)] {
            if silent > self.stall {
                tracing::error!(part, seconds = silent.as_secs(), "stalled: the server must be restarted");
                return Err(Problem::stalled(part, silent));
            }
        }
        Ok(())
    }
}

/// A question of the watchdog that is asked again and again.
#[derive(Debug, Default)]
struct Question {
    /// When it was asked, if there is no answer yet.
    asked: Mutex<Option<Instant>>,
}

impl Question {
    fn asked(&self) -> MutexGuard<'_, Option<Instant>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, waits for the answer, and asks again after `interval`.
    async fn repeat(&self, interval: Duration, ask: impl AsyncFn()) {
        loop {
            *self.asked() = Some(Instant::now());
            ask().await;
            *self.asked() = None;
            sleep(interval).await;
        }
    }

    /// How long the question has been waiting for its answer.
    fn pending(&self) -> Duration {
        self.asked().map_or(Duration::ZERO, |asked| asked.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;
    use std::thread;

    use futures_util::future::select;
    use tokio::runtime::{self, Runtime};
    use tokio::task::spawn_blocking;
    use tokio::time::timeout;

    use super::*;
    use crate::client::{Client, Party};
    use crate::engine;
    use crate::metrics::Metrics;
    use crate::options::{Batching, Options};

    /// Longer than any test waits.
    const LONG: Duration = Duration::from_secs(60);

    fn parts(stall: Duration) -> (Arc<Queue>, Arc<DecodePool>, Readiness) {
        let metrics = Arc::new(Metrics::new());
        let queue = Arc::new(Queue::new(Batching::default(), Arc::clone(&metrics)));
        let decoding = Arc::new(DecodePool::new(&Options::default(), metrics));
        let readiness = Readiness::new(Arc::clone(&queue), Arc::clone(&decoding), stall);
        (queue, decoding, readiness)
    }

    fn runtime() -> Runtime {
        runtime::Builder::new_current_thread().enable_time().max_blocking_threads(1).build().unwrap()
    }

    /// Runs `test` next to the watchdog.
    async fn watched(readiness: &Readiness, test: impl Future<Output = ()>) {
        timeout(LONG, select(pin!(readiness.watch()), pin!(test))).await.expect("the test ends");
    }

    /// Waits until the server counts as alive or not.
    async fn until(readiness: &Readiness, is_alive: bool) {
        while readiness.is_alive().is_ok() != is_alive {
            sleep(Duration::from_millis(5)).await;
        }
    }

    #[test]
    fn a_decoder_that_takes_too_long_is_named() {
        let (_, decoding, readiness) = parts(Duration::from_millis(50));
        assert!(readiness.check().is_ok());
        runtime().block_on(async {
            let (end, ended) = mpsc::channel::<()>();
            let party = Party { model: "m".to_owned(), client: Client::numbered(1) };
            let working = decoding.run(&party, 1, move || {
                let _ = ended.recv();
                Ok(())
            });
            let ending = async {
                until(&readiness, false).await;
                let problem = readiness.check().unwrap_err();
                assert!(problem.detail().contains("a decoder has not answered for 0 s"), "{}", problem.detail());
                drop(end);
            };
            timeout(LONG, join(working, ending)).await.expect("it is noticed").0.unwrap();
        });
        assert!(readiness.check().is_ok());
        readiness.shut_down();
        assert!(readiness.is_alive().is_ok() && readiness.check().is_err());
    }

    #[test]
    fn an_engine_that_ends_while_the_server_idles_is_noticed() {
        let (queue, _, readiness) = parts(Duration::from_millis(50));
        let engine = thread::spawn({
            let queue = Arc::clone(&queue);
            move || engine::run(&queue)
        });
        runtime().block_on(async {
            timeout(LONG, queue.ask()).await.expect("the engine answers");
            queue.close();
            engine.join().unwrap();
            watched(&readiness, until(&readiness, false)).await;
        });
        let problem = readiness.is_alive().unwrap_err();
        assert!(problem.detail().contains("the network has not answered"), "{}", problem.detail());
    }

    #[test]
    fn decoding_threads_that_do_nothing_are_noticed_while_the_server_idles() {
        let (queue, _, readiness) = parts(Duration::from_millis(500));
        let engine = thread::spawn({
            let queue = Arc::clone(&queue);
            move || engine::run(&queue)
        });
        runtime().block_on(async {
            // Occupies the only thread.
            let (end, ended) = mpsc::channel::<()>();
            let occupied = spawn_blocking(move || ended.recv());
            let test = async {
                until(&readiness, false).await;
                let problem = readiness.is_alive().unwrap_err();
                assert!(problem.detail().contains("a decoder has not answered"), "{}", problem.detail());
                drop(end);
                let _ = occupied.await.unwrap();
                until(&readiness, true).await;
            };
            watched(&readiness, test).await;
        });
        queue.close();
        engine.join().unwrap();
    }
}
