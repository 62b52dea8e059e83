//! Which jobs run together, and how long to wait for more.
//!
//! Everything that arrived while the previous batch ran forms the next one. If that is less than a full batch, it waits for images
//! that are being decoded, and until there are as many images as in the previous batch, but at most [`Batching::delay`]. A fixed
//! delay would slow down every request that is alone.
//!
//! [`Batching::delay`]: crate::options::Batching::delay

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use super::queue::{Job, Queue, State};
use super::task::Task;

impl Queue {
    /// Waits for the next batch; `None` once the queue is closed and empty.
    pub(super) fn next_batch(&self) -> Option<Vec<Job>> {
        let mut state = self.state();
        let max = self.batching.images.get();
        loop {
            let Some(first) = state.jobs.front() else {
                if state.is_closed {
                    return None;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let images: usize = state.jobs.iter().filter(|job| first.runs_with(job)).map(Job::images).sum();
            let is_enough = images >= max || state.decoding == 0 && images >= state.previous.min(max);
            let remaining = self.batching.delay.saturating_sub(first.since.elapsed());
            if is_enough || remaining.is_zero() || state.is_closed {
                return Some(state.take_batch(max));
            }
            state = self.changed.wait_timeout(state, remaining).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    /// Removes the first job, and the later jobs that can run with it, of at most `max` images together.
    fn take_batch(&mut self, max: usize) -> Vec<Job> {
        let (mut batch, mut rest): (Vec<Job>, VecDeque<Job>) = (Vec::new(), VecDeque::new());
        let mut images = 0;
        for job in self.jobs.drain(..) {
            if batch.first().is_none_or(|first| first.runs_with(&job) && images + job.images() <= max) {
                images += job.images();
                batch.push(job);
            } else {
                rest.push_back(job);
            }
        }
        self.jobs = rest;
        self.previous = images;
        batch
    }
}

impl Job {
    /// Whether both are predictions of the same model, or the same job.
    fn runs_with(&self, other: &Self) -> bool {
        let are_predictions = matches!((&self.task, &other.task), (Task::Predict { .. }, Task::Predict { .. }));
        are_predictions && Arc::ptr_eq(&self.model, &other.model) || std::ptr::eq(self, other)
    }
}
