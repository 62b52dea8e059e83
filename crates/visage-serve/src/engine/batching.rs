//! Which jobs run together, and how long to wait for more.
//!
//! Models take turns. A batch of a model takes the first waiting image of each of its clients, then the second ones, and so on.
//!
//! Everything that arrived while the previous batch ran forms the next one. If that is less than a full batch, it waits for images
//! that are being decoded, and until there are as many images as in the previous batch, but at most [`Batching::delay`]. A fixed
//! delay would slow down every request that is alone.
//!
//! [`Batching::delay`]: crate::options::Batching::delay

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError};

use super::queue::{Job, Queue, State};
use super::task::Task;
use crate::client::Party;

impl Queue {
    /// Waits for the next batch; `None` once the queue is closed and empty.
    pub(super) fn next_batch(&self) -> Option<Vec<Job>> {
        let mut state = self.state();
        let max = self.batching.images.get();
        loop {
            state.answer();
            let order = state.order();
            let Some(&first) = order.first() else {
                if state.is_closed {
                    return None;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let first = &state.jobs[first];
            let images: usize = state.jobs.iter().filter(|job| first.runs_with(job)).map(Job::images).sum();
            let is_enough = images >= max || state.admissions.decoding() == 0 && images >= state.previous.min(max);
            let remaining = self.batching.delay.saturating_sub(first.since.elapsed());
            if is_enough || remaining.is_zero() || state.is_closed {
                return Some(state.take_batch(&order, max));
            }
            state = self.changed.wait_timeout(state, remaining).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    /// The jobs in the order in which they are to run: by the turn of their model, then by their place among those of their client.
    fn order(&self) -> Vec<usize> {
        let mut images_before: HashMap<&Party, usize> = HashMap::new();
        let ranks: Vec<(u64, usize)> = self
            .jobs
            .iter()
            .map(|job| {
                let rank = images_before.entry(job.admission.party()).or_default();
                *rank += job.images();
                (self.last_batch.get(&job.model.name).copied().unwrap_or_default(), *rank - job.images())
            })
            .collect();
        let mut order: Vec<usize> = (0..ranks.len()).collect();
        order.sort_by_key(|&index| ranks[index]);
        order
    }

    /// Removes the first job of the order, and the later jobs that can run with it, of at most `max` images together.
    fn take_batch(&mut self, order: &[usize], max: usize) -> Vec<Job> {
        let mut jobs: Vec<Option<Job>> = self.jobs.drain(..).map(Some).collect();
        let (mut batch, mut images): (Vec<Job>, usize) = (Vec::new(), 0);
        for &index in order {
            let runs =
                |job: &mut Job| batch.first().is_none_or(|first| first.runs_with(job) && images + job.images() <= max);
            if let Some(job) = jobs[index].take_if(runs) {
                images += job.images();
                self.admissions.runs(job.admission.number());
                batch.push(job);
            }
        }
        self.jobs = jobs.into_iter().flatten().collect::<VecDeque<Job>>();
        self.previous = images;
        if let Some(first) = batch.first() {
            let latest = self.last_batch.values().max().copied().unwrap_or_default();
            self.last_batch.insert(first.model.name.clone(), latest + 1);
        }
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
