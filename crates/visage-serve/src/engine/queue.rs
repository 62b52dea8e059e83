//! A bounded queue. Images are admitted before they are decoded, so that the queue bounds all memory for images.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;
use visage_model::ModelOutput;

use super::admission::{Admission, Admissions};
use super::task::{Images, Reply, Task};
use crate::client::Party;
use crate::metrics::Metrics;
use crate::models::ServedModel;
use crate::options::Batching;
use crate::problem::Problem;

#[derive(Debug)]
pub(crate) struct Queue {
    pub(super) batching: Batching,
    /// Signalled when jobs, the images that are being decoded, the watchdog's question or `is_closed` change.
    pub(super) changed: Condvar,
    state: Mutex<State>,
    pub(super) metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) jobs: VecDeque<Job>,
    pub(super) admissions: Admissions,
    pub(super) previous: usize,
    /// The number of the last batch of each model.
    pub(super) last_batch: HashMap<String, u64>,
    /// Where the watchdog waits for an answer of the engine.
    question: Option<oneshot::Sender<()>>,
    pub(super) is_closed: bool,
}

/// The images of one request, with their place in the queue.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) model: Arc<ServedModel>,
    pub(super) task: Task,
    pub(super) admission: Admission,
    pub(super) since: Instant,
}

impl Job {
    pub(super) fn images(&self) -> usize {
        self.admission.images()
    }
}

impl Queue {
    pub(crate) fn new(batching: Batching, metrics: Arc<Metrics>) -> Self {
        Self { batching, changed: Condvar::new(), state: Mutex::default(), metrics }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn capacity(&self) -> usize {
        self.batching.queue.get()
    }

    /// Refuses a party for which there would be no room for a single image.
    pub(crate) fn check_room(&self, party: &Party) -> Result<(), Problem> {
        let state = self.state();
        let has_room = state.admissions.room_for(party, None, 1, self.capacity()).is_some();
        if has_room { Ok(()) } else { Err(Problem::busy("the queue is full")) }
    }

    /// Reserves room for the images of a request, before they are decoded. If the queue is full, a party that holds less than others
    /// takes the room of their latest requests. A request with more images than the queue can hold is admitted when the queue is empty.
    pub(crate) fn admit(self: &Arc<Self>, party: &Party, images: usize) -> Result<Admission, Problem> {
        let mut state = self.state();
        let Some(displaced) = state.admissions.room_for(party, None, images, self.capacity()) else {
            let (held, capacity) = (state.admissions.images(), self.capacity());
            return Err(Problem::busy(&format!("{held} of {capacity} images are waiting")));
        };
        let displaced = state.displace(&displaced);
        let (number, is_displaced) = state.admissions.add(party.clone(), images);
        self.metrics.queue.set(state.admissions.images() as i64);
        drop(state);
        displaced.into_iter().for_each(Job::loses_room);
        Ok(Admission::new(Arc::clone(self), number, party.clone(), images, is_displaced))
    }

    pub(crate) async fn predict(
        &self,
        model: &Arc<ServedModel>,
        images: Images,
        admission: Admission,
    ) -> Result<ModelOutput, Problem> {
        self.submit(model, admission, |reply| Task::Predict { images, reply }).await
    }

    /// Grad-CAM of an attribute for one admitted image: a value for each pixel.
    pub(crate) async fn heat_map(
        &self,
        model: &Arc<ServedModel>,
        pixels: Vec<u8>,
        attribute: usize,
        admission: Admission,
    ) -> Result<Vec<f32>, Problem> {
        self.submit(model, admission, |reply| Task::HeatMap { pixels, attribute, reply }).await
    }

    async fn submit<T>(
        &self,
        model: &Arc<ServedModel>,
        admission: Admission,
        task: impl FnOnce(Reply<T>) -> Task,
    ) -> Result<T, Problem> {
        let (reply, result) = oneshot::channel();
        self.push(Arc::clone(model), task(reply), admission)?;
        result.await.unwrap_or_else(|_| Err(Problem::shutting_down()))
    }

    /// Appends a job. A closed queue drops it, which closes the channel of its reply.
    fn push(&self, model: Arc<ServedModel>, task: Task, admission: Admission) -> Result<(), Problem> {
        let mut state = self.state();
        let is_displaced = !state.admissions.decoded(admission.number());
        let job = Job { model, task, admission, since: Instant::now() };
        let refused = if state.is_closed || is_displaced {
            Some(job)
        } else {
            state.jobs.push_back(job);
            None
        };
        // Dropping a job locks the state.
        drop(state);
        drop(refused);
        self.changed.notify_one();
        if is_displaced { Err(Problem::displaced()) } else { Ok(()) }
    }

    /// Lets [`run`](super::run) return once the queue is empty.
    pub(crate) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_one();
    }

    /// Asks the engine whether it works, and waits for the answer. It comes at once if the engine waits for jobs, otherwise before the
    /// next run of the network. The question is not a job: it has no place in the queue and is part of no batch. Only the watchdog asks,
    /// one question at a time.
    pub(crate) async fn ask(&self) {
        let (answer, answered) = oneshot::channel();
        self.state().question = Some(answer);
        self.changed.notify_one();
        // The sender is dropped only with the queue.
        let _ = answered.await;
    }
}

impl State {
    /// Answers the watchdog. Only the engine may do so.
    pub(super) fn answer(&mut self) {
        if let Some(question) = self.question.take() {
            // Fails only if the watchdog has gone.
            let _ = question.send(());
        }
    }

    /// Removes these admissions. Returns those of their jobs that are in the queue already.
    pub(super) fn displace(&mut self, numbers: &[u64]) -> Vec<Job> {
        if numbers.is_empty() {
            return Vec::new();
        }
        numbers.iter().for_each(|&number| self.admissions.displace(number));
        let (displaced, rest): (VecDeque<Job>, VecDeque<Job>) =
            self.jobs.drain(..).partition(|job| numbers.contains(&job.admission.number()));
        self.jobs = rest;
        displaced.into()
    }
}

impl Job {
    /// Another request has taken the room of this one.
    pub(super) fn loses_room(self) {
        // Fails only if the client has gone.
        match self.task {
            Task::Predict { reply, .. } => drop(reply.send(Err(Problem::displaced()))),
            Task::HeatMap { reply, .. } => drop(reply.send(Err(Problem::displaced()))),
        }
    }
}
