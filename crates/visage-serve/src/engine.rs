//! Where images wait, and the one thread on which networks compute.
//!
//! Whatever came while a batch was computed makes the next. Where that is less than a full one, it waits for what is being
//! decoded, and for as many images as the last batch had, but never longer than the delay: alone, a request waits for nothing.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;
use visage_model::{HeatMethod, ModelOutput, Prepared, heat_maps};

use crate::metrics::Metrics;
use crate::models::Loaded;
use crate::options::Batching;
use crate::problem::Problem;

/// Images of a model's size.
#[derive(Debug)]
pub(crate) enum Images {
    /// RGB bytes.
    Pixels(Vec<u8>),
    /// What the preparation's normalising makes of them, `[images, height, width, 3]`.
    Normalised(Vec<f32>),
}

impl Images {
    fn view(&self) -> Prepared<'_> {
        match self {
            Self::Pixels(pixels) => Prepared::Pixels(pixels),
            Self::Normalised(values) => Prepared::Normalised(values),
        }
    }
}

/// What is asked, and where the answer goes.
#[derive(Debug)]
enum Work {
    Answer { images: Images, reply: oneshot::Sender<Result<ModelOutput, Problem>> },
    Heat { pixels: Vec<u8>, attribute: usize, reply: oneshot::Sender<Result<Vec<f32>, Problem>> },
}

impl Work {
    /// Whether nobody waits for the answer any more.
    fn is_forgotten(&self) -> bool {
        match self {
            Self::Answer { reply, .. } => reply.is_closed(),
            Self::Heat { reply, .. } => reply.is_closed(),
        }
    }
}

#[derive(Debug)]
struct Job {
    model: Arc<Loaded>,
    work: Work,
    place: Place,
    since: Instant,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Images that were accepted and not yet answered.
    held: usize,
    /// Those of them that are not in `jobs` yet: they are being decoded.
    coming: usize,
    /// Images of the last batch.
    last: usize,
    is_closed: bool,
}

/// The queue and what serves it.
#[derive(Debug)]
pub(crate) struct Engine {
    state: Mutex<State>,
    changed: Condvar,
    batching: Batching,
    metrics: Arc<Metrics>,
}

/// Room for some images in the queue, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    engine: Arc<Engine>,
    images: usize,
    is_coming: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.engine.state();
        state.held -= self.images;
        if self.is_coming {
            state.coming -= self.images;
            self.engine.changed.notify_one();
        }
        self.engine.metrics.queue.set(state.held as i64);
    }
}

impl Engine {
    pub(crate) fn new(batching: Batching, metrics: Arc<Metrics>) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), batching, metrics }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is no room for any image.
    pub(crate) fn is_full(&self) -> bool {
        self.state().held >= self.batching.queue.get()
    }

    /// Takes room for so many images. More than the queue can ever hold have it to themselves.
    pub(crate) fn admit(self: &Arc<Self>, images: usize) -> Result<Place, Problem> {
        let mut state = self.state();
        let queue = self.batching.queue.get();
        if state.held > 0 && state.held + images > queue {
            return Err(Problem::busy(&format!("{} of {queue} images are waiting", state.held)));
        }
        state.held += images;
        state.coming += images;
        self.metrics.queue.set(state.held as i64);
        drop(state);
        Ok(Place { engine: Arc::clone(self), images, is_coming: true })
    }

    /// What the model says of images that have a place.
    pub(crate) async fn answers(
        &self,
        model: Arc<Loaded>,
        images: Images,
        place: Place,
    ) -> Result<ModelOutput, Problem> {
        let (reply, answer) = oneshot::channel();
        self.push(model, Work::Answer { images, reply }, place);
        answer.await.unwrap_or_else(|_| Err(Problem::leaving()))
    }

    /// Where in a prepared image the model sees an attribute: a value a pixel.
    pub(crate) async fn heat(
        &self,
        model: Arc<Loaded>,
        pixels: Vec<u8>,
        attribute: usize,
        place: Place,
    ) -> Result<Vec<f32>, Problem> {
        let (reply, answer) = oneshot::channel();
        self.push(model, Work::Heat { pixels, attribute, reply }, place);
        answer.await.unwrap_or_else(|_| Err(Problem::leaving()))
    }

    fn push(&self, model: Arc<Loaded>, work: Work, mut place: Place) {
        let mut state = self.state();
        state.coming -= place.images;
        place.is_coming = false;
        // What is asked of a closed engine is dropped, and its sender told.
        let refused = if state.is_closed {
            Some(place)
        } else {
            state.jobs.push_back(Job { model, work, place, since: Instant::now() });
            None
        };
        drop(state);
        drop(refused);
        self.changed.notify_one();
    }

    /// Lets [`Engine::run`] end once everything in the queue is answered.
    pub(crate) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_one();
    }

    /// Computes on the calling thread until the engine is closed.
    pub(crate) fn run(&self) {
        while let Some(batch) = self.next_batch() {
            self.compute(batch);
        }
    }

    /// The jobs to compute together; `None` when there will be no more.
    fn next_batch(&self) -> Option<Vec<Job>> {
        let mut state = self.state();
        loop {
            let Some(first) = state.jobs.front() else {
                if state.is_closed {
                    return None;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let together: usize =
                state.jobs.iter().filter(|job| first.goes_with(job)).map(|job| job.place.images).sum();
            let most = self.batching.images.get();
            let enough = together >= most || state.coming == 0 && together >= state.last.min(most);
            let left = self.batching.delay.saturating_sub(first.since.elapsed());
            if enough || left.is_zero() || state.is_closed {
                return Some(self.take(&mut state));
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The first job, and those behind it that go with it and still fit.
    fn take(&self, state: &mut State) -> Vec<Job> {
        let (mut batch, mut left): (Vec<Job>, VecDeque<Job>) = (Vec::new(), VecDeque::new());
        let mut images = 0;
        for job in state.jobs.drain(..) {
            let fits = batch.first().is_none_or(|first: &Job| {
                first.goes_with(&job) && images + job.place.images <= self.batching.images.get()
            });
            if fits {
                images += job.place.images;
                batch.push(job);
            } else {
                left.push_back(job);
            }
        }
        state.jobs = left;
        state.last = images;
        batch
    }

    fn compute(&self, mut batch: Vec<Job>) {
        batch.retain(|job| !job.work.is_forgotten());
        let Some(first) = batch.first() else { return };
        let began = Instant::now();
        let model = Arc::clone(&first.model);
        if let Work::Heat { .. } = first.work {
            batch.into_iter().for_each(|job| self.heat_of(job));
            return;
        }
        let images: usize = batch.iter().map(|job| job.place.images).sum();
        let parts: Vec<Prepared<'_>> = batch.iter().filter_map(Job::images).collect();
        match caught(|| self.answers_to(&model, &parts)) {
            Some(answers) => {
                self.metrics.inferred(&model.name, images, began.elapsed());
                let outputs = model.model.card.attributes.len();
                let mut rows = 0;
                for job in batch {
                    let cells = rows * outputs..(rows + job.place.images) * outputs;
                    rows += job.place.images;
                    job.answer(Ok(ModelOutput {
                        logits: answers.logits[cells.clone()].to_vec(),
                        probabilities: answers.probabilities[cells].to_vec(),
                    }));
                }
            }
            None if batch.len() > 1 => batch.into_iter().for_each(|job| self.compute(vec![job])),
            None => batch.into_iter().for_each(|job| job.answer(Err(Problem::bug()))),
        }
    }

    /// A request of more images than a batch has goes through in several.
    fn answers_to(&self, model: &Loaded, parts: &[Prepared<'_>]) -> ModelOutput {
        let size = model.model.card.preparation.output_size().pixels() * 3;
        let most = self.batching.images.get() * size;
        match parts {
            [Prepared::Pixels(pixels)] if pixels.len() > most => {
                joined(pixels.chunks(most).map(|part| model.predictor.predict(&[Prepared::Pixels(part)])))
            }
            [Prepared::Normalised(values)] if values.len() > most => {
                let part = |part| model.predictor.predict(&[Prepared::Normalised(part)]);
                joined(values.chunks(most).map(part))
            }
            parts => model.predictor.predict(parts),
        }
    }

    fn heat_of(&self, job: Job) {
        let Work::Heat { pixels, attribute, reply } = job.work else { return };
        let Loaded { model, predictor, .. } = &*job.model;
        let heat = caught(|| {
            let (image, method) = (Prepared::Pixels(&pixels), HeatMethod::GradCam);
            let maps = heat_maps(&model.network, predictor.engine(), image, &[attribute], method);
            maps.first().map(|map| map.resized(model.card.preparation.output_size()))
        });
        drop(job.place);
        // Nobody is left to tell where the client has gone.
        let _ = reply.send(heat.flatten().ok_or_else(Problem::bug));
    }
}

impl Job {
    fn goes_with(&self, other: &Job) -> bool {
        Arc::ptr_eq(&self.model, &other.model)
            && matches!((&self.work, &other.work), (Work::Answer { .. }, Work::Answer { .. }))
            || std::ptr::eq(self, other)
    }

    fn images(&self) -> Option<Prepared<'_>> {
        match &self.work {
            Work::Answer { images, .. } => Some(images.view()),
            Work::Heat { .. } => None,
        }
    }

    fn answer(self, answers: Result<ModelOutput, Problem>) {
        drop(self.place);
        if let Work::Answer { reply, .. } = self.work {
            // Nobody is left to tell where the client has gone.
            let _ = reply.send(answers);
        }
    }
}

fn joined(parts: impl Iterator<Item = ModelOutput>) -> ModelOutput {
    parts.fold(ModelOutput::default(), |mut all, part| {
        all.logits.extend(part.logits);
        all.probabilities.extend(part.probabilities);
        all
    })
}

/// What `work` returns; `None`, and a line in the log, where it panics.
fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| tracing::error!("inference panicked: this is a bug in visage"))
        .ok()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::thread;
    use std::time::Duration;

    use burn::tensor::Device;
    use futures_util::future::{join, join_all};
    use tokio::runtime;
    use visage_data::{Preparation, Size};
    use visage_model::{
        Architecture, Card, Model, NetworkConfig, Origin, Precision, Predictor, USES_TO_AVOID, card_format,
    };

    use super::*;

    const SIZE: usize = 32;

    /// A delay that no test lives to see the end of.
    const FOR_EVER: Duration = Duration::from_secs(3600);

    /// A small network that nobody has trained.
    fn model(name: &str) -> Arc<Loaded> {
        let network = NetworkConfig::new(Architecture::EfficientNetLite0, 2);
        let origin = Origin {
            visage_version: String::new(),
            started: String::new(),
            recipe: String::new(),
            dataset: String::new(),
            dataset_fingerprint: String::new(),
            split_seed: None,
            training_images: 0,
            epoch: 0,
            step: 0,
            validation: Default::default(),
        };
        let card = Card {
            format: card_format(),
            network,
            attributes: vec!["A".into(), "B".into()],
            preparation: Preparation::exact(Size::square(SIZE)),
            calibration: None,
            thresholds: vec![0.5; 2],
            threshold_rule: String::new(),
            origin,
            uses_to_avoid: USES_TO_AVOID.to_owned(),
        };
        let model = Model { card, network: network.init(1, &Device::flex()) };
        let predictor = Predictor::new(&model, &Device::flex(), Precision::F32);
        Arc::new(Loaded { name: name.to_owned(), model, predictor })
    }

    fn images(shade: u8, images: usize) -> Images {
        let values = images * SIZE * SIZE * 3;
        Images::Pixels((0..values).map(|at| shade.wrapping_mul((at % 251) as u8)).collect())
    }

    /// What `ask` gets from an engine that computes on another thread, and the batches it made: how many, of how many images.
    fn with_engine<T>(batch: usize, delay: Duration, ask: impl AsyncFnOnce(&Arc<Engine>) -> T) -> (T, String) {
        let metrics = Arc::new(Metrics::new());
        let number = |number| NonZeroUsize::new(number).unwrap();
        let batching = Batching { images: number(batch), delay, queue: number(8) };
        let engine = Arc::new(Engine::new(batching, Arc::clone(&metrics)));
        let computing = thread::spawn({
            let engine = Arc::clone(&engine);
            move || engine.run()
        });
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        let got = runtime.block_on(ask(&engine));
        engine.close();
        computing.join().unwrap();
        let text = metrics.text();
        let batches = text
            .lines()
            .filter(|line| line.starts_with("visage_batch_images_"))
            .filter(|line| !line.contains("bucket"));
        (got, batches.collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn what_is_being_decoded_is_waited_for_and_what_came_to_nothing_is_not() {
        let model = model("m");
        let (answers, batches) = with_engine(16, FOR_EVER, async |engine| {
            let (first, second, third) = (engine.admit(1).unwrap(), engine.admit(2).unwrap(), engine.admit(1).unwrap());
            let ask = |shade, count, place| engine.answers(Arc::clone(&model), images(shade, count), place);
            let others = async { drop(third) };
            join(join(ask(1, 1, first), ask(2, 2, second)), others).await.0
        });
        assert!(batches.contains("sum{model=\"m\"} 3.0") && batches.contains("count{model=\"m\"} 1"), "{batches}");
        // Each has its own answers.
        let alone = |shade, count| match &images(shade, count) {
            Images::Pixels(pixels) => model.predictor.probabilities(pixels),
            Images::Normalised(_) => Vec::new(),
        };
        for (answers, alone) in [(answers.0, alone(1, 1)), (answers.1, alone(2, 2))] {
            let found = answers.unwrap().probabilities;
            assert_eq!(found.len(), alone.len());
            assert!(found.iter().zip(&alone).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} {alone:?}");
        }
    }

    #[test]
    fn batches_are_of_one_model_and_no_larger_than_allowed() {
        let (one, other) = (model("one"), model("other"));
        let (answers, batches) = with_engine(2, Duration::from_millis(20), async |engine| {
            let places: Vec<Place> = (0..6).map(|_| engine.admit(1).unwrap()).collect();
            let of = |index: usize| Arc::clone(if index.is_multiple_of(2) { &one } else { &other });
            let ask = |(index, place)| engine.answers(of(index), images(index as u8, 1), place);
            join_all(places.into_iter().enumerate().map(ask)).await
        });
        assert!(answers.iter().all(|answers| answers.as_ref().is_ok_and(|answers| answers.probabilities.len() == 2)));
        for name in ["one", "other"] {
            assert!(batches.contains(&format!("sum{{model=\"{name}\"}} 3.0")), "{batches}");
            assert!(batches.contains(&format!("count{{model=\"{name}\"}} 2")), "{batches}");
        }
    }

    #[test]
    fn a_request_of_more_than_a_batch_has_one_answer() {
        let model = model("m");
        let (answers, _) = with_engine(2, FOR_EVER, async |engine| {
            let place = engine.admit(5).unwrap();
            engine.answers(Arc::clone(&model), images(3, 5), place).await.unwrap()
        });
        assert_eq!((answers.probabilities.len(), answers.logits.len()), (10, 10));
    }

    #[test]
    fn room_is_limited_and_given_back() {
        let metrics = Arc::new(Metrics::new());
        let engine =
            Arc::new(Engine::new(Batching { queue: NonZeroUsize::new(3).unwrap(), ..Batching::default() }, metrics));
        let two = engine.admit(2).unwrap();
        assert!(engine.admit(2).unwrap_err().detail().contains("2 of 3"));
        let one = engine.admit(1).unwrap();
        assert!(engine.is_full() && engine.admit(1).is_err());
        drop((one, two));
        assert!(engine.admit(5).is_ok(), "more than ever fit have it to themselves");
    }

    #[test]
    fn a_panic_is_the_problem_of_whom_it_belongs_to() {
        let model = model("m");
        let ((good, bad), _) = with_engine(16, FOR_EVER, async |engine| {
            let (first, second) = (engine.admit(1).unwrap(), engine.admit(1).unwrap());
            // Not an image of the model's size, which no request gets past the decoder with.
            let bad = engine.answers(Arc::clone(&model), Images::Normalised(vec![0.0; 7]), second);
            join(engine.answers(Arc::clone(&model), images(1, 1), first), bad).await
        });
        assert!(good.is_ok());
        assert!(bad.unwrap_err().detail().contains("a bug in visage"));
    }

    #[test]
    fn a_closed_engine_says_so() {
        let model = model("m");
        let (late, _) = with_engine(16, FOR_EVER, async |engine| {
            let place = engine.admit(1).unwrap();
            engine.close();
            engine.answers(model, images(1, 1), place).await
        });
        assert!(late.unwrap_err().detail().contains("shutting down"));
    }
}
