//! Threads that stay awake between operations.
//!
//! A forward pass is some hundred operations, a training step a thousand. At batch 1 one takes microseconds, and waking a thread
//! takes as long: an idle one looks for tasks instead, and lets other programs go first.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rayon::Yield;

/// How long a thread looks for tasks before it goes to sleep after all. Most operations follow one another sooner.
///
/// It is also what rules out a deadlock: a thread that waits for another's task, and meanwhile finds itself waiting for the
/// end of the whole, goes back soon.
const PATIENCE: Duration = Duration::from_millis(1);

/// How many bodies run at the moment.
static BODIES: AtomicUsize = AtomicUsize::new(0);

/// One of [`BODIES`], to its end, also when it panics.
struct Body<'a> {
    done: &'a AtomicBool,
}

impl Drop for Body<'_> {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Release);
        BODIES.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Runs `body` on a thread of rayon's pool, and keeps the other threads from falling asleep until it is done. Where several run at
/// once, or one within another, there is enough to do, and nothing is kept awake.
pub fn awake<R: Send>(body: impl FnOnce() -> R + Send) -> R {
    let alone = BODIES.fetch_add(1, Ordering::AcqRel) == 0;
    let done = &AtomicBool::new(false);
    let running = Body { done };
    rayon::scope(|scope| {
        // Ends with this closure, before the scope waits for the others.
        let _running = running;
        let here = rayon::current_thread_index();
        let others = if alone { rayon::current_num_threads() - 1 } else { 0 };
        for _ in 0..others {
            scope.spawn(move |_| {
                let mut idle_since = Instant::now();
                // A thread that waits for its own tasks may find this one: it must not stay.
                while rayon::current_thread_index() != here
                    && !done.load(Ordering::Acquire)
                    && BODIES.load(Ordering::Acquire) == 1
                    && idle_since.elapsed() < PATIENCE
                {
                    match rayon::yield_now() {
                        Some(Yield::Executed) => idle_since = Instant::now(),
                        _ => std::thread::yield_now(),
                    }
                }
            });
        }
        body()
    })
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use rayon::prelude::*;

    use super::*;

    fn sum(until: usize) -> usize {
        (0..until).into_par_iter().with_max_len(1).sum()
    }

    #[test]
    fn results_and_panics_come_through() {
        for threads in 1..4 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| awake(|| sum(100))), 4950);
            let caught =
                std::panic::catch_unwind(AssertUnwindSafe(|| pool.install(|| awake(|| assert_eq!(sum(100), 0)))));
            assert!(caught.is_err());
            assert_eq!(pool.install(|| awake(|| awake(|| sum(10)))), 45, "one within another");
        }
    }

    #[test]
    fn many_may_ask_at_once() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        std::thread::scope(|scope| {
            let asked: Vec<_> =
                (0..8).map(|_| scope.spawn(|| pool.install(|| awake(|| (0..50).map(sum).sum::<usize>())))).collect();
            for answer in asked {
                assert_eq!(answer.join().unwrap(), 19_600);
            }
        });
    }
}
