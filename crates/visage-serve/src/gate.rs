//! The gate before the decoding threads: how many run at once, the memory that they may use together, and whose turn is next.
//!
//! Large work takes as long as a hundred small ones. It has a queue and threads of its own, and so has small work, so that neither
//! waits for the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::client::Party;
use crate::turns::Turns;

/// Memory from which on work is large: that of an image of 4 million pixels.
const LARGE: usize = 32 << 20;

#[derive(Debug)]
pub(crate) struct Gate {
    /// Threads for each of small and large work. There is one more than this, so that each always has one.
    threads: usize,
    /// Memory of all large work in progress.
    memory: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: BTreeMap<u64, Running>,
    small: Turns<Waiting>,
    large: Turns<Waiting>,
    next: u64,
}

#[derive(Debug)]
struct Running {
    began: Instant,
    memory: usize,
}

#[derive(Debug)]
struct Waiting {
    memory: usize,
    start: oneshot::Sender<Pass>,
}

/// The right to use a thread and some memory, until it is dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    number: u64,
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.state().running.remove(&self.number);
        self.gate.admit();
    }
}

impl Gate {
    /// A gate before `threads` and one more. All work together uses at most `memory` bytes, but for large work that needs more alone.
    pub(crate) fn new(threads: usize, memory: usize) -> Self {
        Self { threads, memory: memory.saturating_sub(threads.saturating_mul(LARGE)), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a thread and the memory. `None` only if the gate is gone.
    pub(crate) async fn enter(self: &Arc<Self>, party: &Party, memory: usize) -> Option<Pass> {
        let (start, pass) = oneshot::channel();
        self.state().waiting(memory >= LARGE).push(party, Waiting { memory, start });
        self.admit();
        pass.await.ok()
    }

    /// Lets in those whose turn it is, as far as there is room.
    fn admit(self: &Arc<Self>) {
        for is_large in [false, true] {
            while let Some((start, pass)) = self.next(is_large) {
                // If the client has gone, the pass is dropped here, which lets the next one in.
                let _ = start.send(pass);
            }
        }
    }

    fn next(self: &Arc<Self>, is_large: bool) -> Option<(oneshot::Sender<Pass>, Pass)> {
        let mut state = self.state();
        // Whoever has gone meanwhile is left out.
        while state.waiting(is_large).first()?.start.is_closed() {
            state.waiting(is_large).pop();
        }
        let needed = state.waiting(is_large).first()?.memory;
        let alike = || state.running.values().filter(|running| (running.memory >= LARGE) == is_large);
        let (count, used) = (alike().count(), alike().map(|running| running.memory).sum::<usize>());
        let has_memory = !is_large || used.saturating_add(needed) <= self.memory || count == 0;
        if count >= self.threads || state.running.len() > self.threads || !has_memory {
            return None;
        }
        let Waiting { memory, start } = state.waiting(is_large).pop()?;
        let number = state.next;
        state.next += 1;
        state.running.insert(number, Running { began: Instant::now(), memory });
        Some((start, Pass { gate: Arc::clone(self), number }))
    }

    /// How long the oldest work in progress has been running.
    pub(crate) fn longest(&self) -> Duration {
        self.state().running.values().map(|running| running.began.elapsed()).max().unwrap_or_default()
    }
}

impl State {
    fn waiting(&mut self, is_large: bool) -> &mut Turns<Waiting> {
        if is_large { &mut self.large } else { &mut self.small }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::client::Client;

    fn party(client: u8) -> Party {
        Party { model: "m".to_owned(), client: Client::numbered(client) }
    }

    fn polled<T>(future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    fn entered(gate: &Arc<Gate>, memory: usize) -> Option<Pass> {
        polled(pin!(gate.enter(&party(1), memory))).flatten()
    }

    #[test]
    fn large_and_small_work_have_threads_of_their_own_and_memory_is_bounded() {
        let gate = Arc::new(Gate::new(2, 5 * LARGE));
        let first = entered(&gate, 2 * LARGE).unwrap();
        assert!(entered(&gate, 2 * LARGE).is_none(), "no memory");
        let second = entered(&gate, LARGE).unwrap();
        assert!(entered(&gate, LARGE).is_none(), "no thread for large work");
        let small = entered(&gate, 1).expect("a thread for small work");
        assert!(entered(&gate, 1).is_none(), "no more threads");
        assert!(gate.longest() > Duration::ZERO);
        drop((first, second));
        let alone = entered(&gate, 100 * LARGE).expect("more than all memory, alone");
        assert!(entered(&gate, LARGE).is_none());
        drop((alone, small));
        let _two = [entered(&gate, 1).unwrap(), entered(&gate, 1).unwrap()];
        assert!(entered(&gate, 1).is_none(), "the last thread is for large work");
        assert!(entered(&gate, LARGE).is_some());
    }

    #[test]
    fn clients_take_turns_and_those_who_have_gone_are_left_out() {
        let gate = Arc::new(Gate::new(1, 0));
        let first = entered(&gate, 1).unwrap();
        let (one, other) = (party(1), party(2));
        let mut gone = Box::pin(gate.enter(&one, 1));
        let (mut second, mut third) = (pin!(gate.enter(&one, 1)), pin!(gate.enter(&other, 1)));
        assert!(polled(gone.as_mut()).is_none());
        assert!(polled(second.as_mut()).is_none() && polled(third.as_mut()).is_none());
        drop(gone);
        drop(first);
        assert!(polled(second.as_mut()).is_none());
        let pass = polled(third.as_mut()).flatten().expect("the first client has had a turn, by the one that has gone");
        drop(pass);
        assert!(polled(second.as_mut()).flatten().is_some());
        assert_eq!(gate.longest(), Duration::ZERO);
    }
}
