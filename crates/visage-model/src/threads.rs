//! Busy waiting of rayon's threads between operations.
//!
//! A forward pass has about a hundred operations, a training step a thousand. At batch size 1 each takes microseconds, and waking a
//! sleeping thread takes as long. Idle threads therefore poll for tasks, and yield to other programs meanwhile.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rayon::Yield;

/// How long a thread polls for tasks before it sleeps. The pause between most operations is shorter.
///
/// The limit also prevents a deadlock: a thread that waits for a task may pick up this polling loop meanwhile, and must return to
/// its own work.
const POLLING_TIME: Duration = Duration::from_millis(1);

/// The number of running calls of [`awake`].
static CALLS: AtomicUsize = AtomicUsize::new(0);

/// Ends one of [`CALLS`] when it is dropped, also on a panic.
struct Call<'a> {
    done: &'a AtomicBool,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Release);
        CALLS.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Runs `body` on a thread of rayon's pool and keeps the other threads awake until it returns. Concurrent and nested calls run
/// without that, because they keep the threads busy themselves.
pub fn awake<R: Send>(body: impl FnOnce() -> R + Send) -> R {
    let alone = CALLS.fetch_add(1, Ordering::AcqRel) == 0;
    let done = &AtomicBool::new(false);
    let running = Call { done };
    rayon::scope(|scope| {
        // Dropped with this closure, before the scope waits for the other threads.
        let _running = running;
        let here = rayon::current_thread_index();
        let others = if alone { rayon::current_num_threads() - 1 } else { 0 };
        for _ in 0..others {
            scope.spawn(move |_| {
                let mut idle_since = Instant::now();
                // The thread of `body` may pick up this task while it waits for its own tasks. It must return at once.
                while rayon::current_thread_index() != here
                    && !done.load(Ordering::Acquire)
                    && CALLS.load(Ordering::Acquire) == 1
                    && idle_since.elapsed() < POLLING_TIME
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
    fn results_and_panics_are_propagated() {
        for threads in 1..4 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| awake(|| sum(100))), 4950);
            let caught =
                std::panic::catch_unwind(AssertUnwindSafe(|| pool.install(|| awake(|| assert_eq!(sum(100), 0)))));
            assert!(caught.is_err());
            assert_eq!(pool.install(|| awake(|| awake(|| sum(10)))), 45, "nested");
        }
    }

    #[test]
    fn concurrent_calls_finish() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        std::thread::scope(|scope| {
            let calls: Vec<_> =
                (0..8).map(|_| scope.spawn(|| pool.install(|| awake(|| (0..50).map(sum).sum::<usize>())))).collect();
            for call in calls {
                assert_eq!(call.join().unwrap(), 19_600);
            }
        });
    }
}
