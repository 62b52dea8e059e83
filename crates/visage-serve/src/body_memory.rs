//! The memory for request bodies: bounded for all clients and for each, and taken from larger bodies that are still arriving when it
//! runs out.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{Either, select};
use tokio::sync::{Notify, oneshot};

use crate::client::Client;
use crate::problem::Problem;

#[derive(Debug)]
pub(crate) struct BodyMemory {
    limit: usize,
    state: Mutex<State>,
    /// Signalled when memory is free again.
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    bodies: BTreeMap<u64, Body>,
    next: u64,
}

#[derive(Debug)]
struct Body {
    client: Client,
    bytes: usize,
    /// Tells a body that is still arriving that its memory is needed; gone once it is complete.
    lost: Option<oneshot::Sender<()>>,
}

/// The memory of a body, until it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    memory: Arc<BodyMemory>,
    number: u64,
    client: Client,
    is_lost: oneshot::Receiver<()>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.memory.state().bodies.remove(&self.number);
        self.memory.freed.notify_waiters();
    }
}

impl BodyMemory {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default(), freed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a body of a client.
    pub(crate) fn claim(self: &Arc<Self>, client: Client) -> Claim {
        let (lost, is_lost) = oneshot::channel();
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.bodies.insert(number, Body { client, bytes: 0, lost: Some(lost) });
        drop(state);
        Claim { memory: Arc::clone(self), number, client, is_lost }
    }
}

impl State {
    /// Takes the memory of the largest body that is still arriving and not smaller than `bytes`. Returns whether there is one.
    fn reclaim(&mut self, own: u64, bytes: usize) -> bool {
        let arriving = self.bodies.iter_mut().filter(|(number, body)| **number != own && body.bytes >= bytes);
        let largest = arriving.filter(|(_, body)| body.lost.is_some()).max_by_key(|(_, body)| body.bytes);
        largest.is_some_and(|(_, body)| body.lost.take().is_some())
    }
}

impl Claim {
    /// Reserves memory for `bytes` in all. Waits while others give theirs up.
    pub(crate) async fn grow(&mut self, bytes: usize) -> Result<(), Problem> {
        let memory = Arc::clone(&self.memory);
        loop {
            let mut freed = pin!(memory.freed.notified());
            // From now on, memory that is freed is noticed.
            freed.as_mut().enable();
            {
                let mut state = memory.state();
                let others = state.bodies.iter().filter(|(number, _)| **number != self.number);
                let (mut all, mut own) = (bytes, bytes);
                for (_, body) in others {
                    all += body.bytes;
                    own += if body.client == self.client { body.bytes } else { 0 };
                }
                // A single body is bounded by its own limit.
                if all == bytes || all <= memory.limit && own <= memory.limit / 2 {
                    if let Some(body) = state.bodies.get_mut(&self.number) {
                        body.bytes = bytes;
                    }
                    return Ok(());
                }
                if !state.reclaim(self.number, bytes) {
                    return Err(Problem::busy("other requests use all memory for bodies"));
                }
            }
            self.keep(freed).await?;
        }
    }

    /// The output of `work`; an error if the memory is needed for another body meanwhile.
    pub(crate) async fn keep<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Problem> {
        match select(pin!(work), &mut self.is_lost).await {
            Either::Left((output, _)) => Ok(output),
            Either::Right(_) => Err(Problem::busy("other requests need the memory of this body, which arrived slowly")),
        }
    }

    /// All of the body has arrived: its memory is not taken any more.
    pub(crate) fn complete(&mut self) {
        // The receiver is not asked again.
        if let Some(body) = self.memory.state().bodies.get_mut(&self.number) {
            body.lost = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::poll_immediate;
    use tokio::runtime;

    use super::*;

    #[test]
    fn memory_is_bounded_and_taken_from_larger_bodies_that_still_arrive() {
        let memory = Arc::new(BodyMemory::new(100));
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let [one, two, three] = [1, 2, 3].map(Client::numbered);
            let mut complete = memory.claim(one);
            complete.grow(40).await.unwrap();
            complete.complete();
            assert!(memory.claim(one).grow(20).await.is_err(), "more than half of it for one client");
            let mut slow = memory.claim(two);
            slow.grow(50).await.unwrap();
            assert!(memory.claim(three).grow(60).await.is_err(), "not for a larger body");
            let mut small = memory.claim(three);
            let mut waiting = Box::pin(small.grow(20));
            assert!(poll_immediate(&mut waiting).await.is_none());
            let lost = slow.keep(std::future::pending::<()>()).await.unwrap_err();
            assert!(lost.detail().contains("arrived slowly"));
            drop(slow);
            assert!(waiting.await.is_ok());
            drop((complete, small));
            assert!(memory.claim(one).grow(1000).await.is_ok(), "alone");
        });
    }
}
