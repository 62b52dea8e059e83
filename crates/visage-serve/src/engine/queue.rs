//! A bounded queue. Images are admitted before they are decoded, so that the queue bounds all memory for images.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;
use visage_model::ModelOutput;

use super::task::{Images, Reply, Task};
use crate::metrics::Metrics;
use crate::models::ServedModel;
use crate::options::Batching;
use crate::problem::Problem;

#[derive(Debug)]
pub(crate) struct Queue {
    pub(super) batching: Batching,
    /// Signalled when jobs, `decoding` or `is_closed` change.
    pub(super) changed: Condvar,
    state: Mutex<State>,
    pub(super) metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) jobs: VecDeque<Job>,
    /// Images that are admitted and not yet answered.
    admitted: usize,
    /// Those of them that are still being decoded, and not in `jobs`.
    pub(super) decoding: usize,
    pub(super) previous: usize,
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
        self.admission.images
    }
}

/// Room for some images in the queue. Dropping it frees the room.
#[derive(Debug)]
pub(crate) struct Admission {
    queue: Arc<Queue>,
    images: usize,
    is_decoding: bool,
}

impl Admission {
    /// Changes the number of images, for photographs whose faces are found by now. The room for more may be missing.
    pub(crate) fn resize(&mut self, images: usize) -> Result<(), Problem> {
        let queue = Arc::clone(&self.queue);
        let mut state = queue.state();
        let others = state.admitted - self.images;
        let capacity = queue.batching.queue.get();
        if others > 0 && others + images > capacity {
            return Err(Problem::busy(&format!(
                "{others} of {capacity} images are waiting, and {images} faces were found"
            )));
        }
        state.admitted = others + images;
        if self.is_decoding {
            state.decoding = state.decoding - self.images + images;
        }
        self.images = images;
        queue.metrics.queue.set(state.admitted as i64);
        Ok(())
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.admitted -= self.images;
        if self.is_decoding {
            state.decoding -= self.images;
            self.queue.changed.notify_one();
        }
        self.queue.metrics.queue.set(state.admitted as i64);
    }
}

impl Queue {
    pub(crate) fn new(batching: Batching, metrics: Arc<Metrics>) -> Self {
        Self { batching, changed: Condvar::new(), state: Mutex::default(), metrics }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn check_room(&self) -> Result<(), Problem> {
        let is_full = self.state().admitted >= self.batching.queue.get();
        if is_full { Err(Problem::busy("the queue is full")) } else { Ok(()) }
    }

    /// Reserves room for the images of a request, before they are decoded. A request with more images than the queue can hold is admitted when the queue is empty.
    pub(crate) fn admit(self: &Arc<Self>, images: usize) -> Result<Admission, Problem> {
        let mut state = self.state();
        let capacity = self.batching.queue.get();
        if state.admitted > 0 && state.admitted + images > capacity {
            return Err(Problem::busy(&format!("{} of {capacity} images are waiting", state.admitted)));
        }
        state.admitted += images;
        state.decoding += images;
        self.metrics.queue.set(state.admitted as i64);
        drop(state);
        Ok(Admission { queue: Arc::clone(self), images, is_decoding: true })
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
        self.push(Arc::clone(model), task(reply), admission);
        result.await.unwrap_or_else(|_| Err(Problem::shutting_down()))
    }

    /// Appends a job. A closed queue drops it, which closes the channel of its reply.
    fn push(&self, model: Arc<ServedModel>, task: Task, mut admission: Admission) {
        let mut state = self.state();
        state.decoding -= admission.images;
        admission.is_decoding = false;
        let job = Job { model, task, admission, since: Instant::now() };
        let refused = if state.is_closed {
            Some(job)
        } else {
            state.jobs.push_back(job);
            None
        };
        // Dropping a job locks the state.
        drop(state);
        drop(refused);
        self.changed.notify_one();
    }

    /// Lets [`run`](super::run) return once the queue is empty.
    pub(crate) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_one();
    }
}
