//! Batches of prepared images, loaded ahead of time on rayon's threads.
//!
//! Every image is a task of the thread pool that also runs the kernels. A task waits while the kernels keep all threads busy and
//! runs on a thread that they leave idle, at the end of each operation. Threads of the loader's own would take cores from
//! kernels whose threads then wait for one another.

use std::collections::BTreeMap;
use std::iter::FusedIterator;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use rand::Rng;
use rayon::Yield;

use crate::augment::Augmentation;
use crate::dataset::Dataset;
use crate::error::{DataError, InvalidSetting};
use crate::mixing::{Mixed, Mixing};
use crate::prepare::Preparation;
use crate::random::{shuffle, stream};
use crate::size::Size;

/// The settings of a [`Loader`].
#[derive(Clone, Debug, PartialEq)]
pub struct LoaderOptions {
    /// Samples in a batch; at least 1.
    pub batch_size: usize,
    /// Determines the order and the augmentation, together with `epoch`.
    pub seed: u64,
    /// The pass over the data, counted from 0.
    pub epoch: u64,
    /// Whether to shuffle the samples; otherwise they keep the order given.
    pub shuffle: bool,
    /// Random changes to each image, for training only.
    pub augmentation: Option<Augmentation>,
    /// Mixing of the images of a batch with one another, for training only.
    pub mixing: Option<Mixing>,
    /// Batches that are loaded ahead while the caller works with one. With 0, each batch is loaded when it is requested.
    pub prefetch: usize,
    /// Batches at the start of the epoch to leave out, to resume an interrupted epoch.
    pub skip_batches: usize,
    /// Whether to leave out a last batch smaller than `batch_size`.
    pub drop_last: bool,
}

impl LoaderOptions {
    /// Settings for evaluation: every sample once, unchanged, in the order given.
    #[must_use]
    pub fn in_order(batch_size: usize) -> Self {
        LoaderOptions {
            batch_size,
            seed: 0,
            epoch: 0,
            shuffle: false,
            augmentation: None,
            mixing: None,
            prefetch: 2,
            skip_batches: 0,
            drop_last: false,
        }
    }

    /// The number of batches in an epoch over `samples` samples, skipped ones included.
    #[must_use]
    pub fn batches(&self, samples: usize) -> usize {
        let batch_size = self.batch_size.max(1);
        if self.drop_last { samples / batch_size } else { samples.div_ceil(batch_size) }
    }
}

/// Some samples, ready for a network except for [normalisation](Preparation::normalise).
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The batch's number within the epoch, from 0, skipped ones included.
    pub number: usize,
    /// The indices of the N samples in the dataset.
    pub indices: Vec<usize>,
    /// The height and width of the images.
    pub size: Size,
    /// RGB bytes, shape `[N, H, W, 3]`.
    pub pixels: Vec<u8>,
    /// The probability that each attribute is present, shape `[N, attributes]`: 0 or 1 unless the dataset's labels are probabilities,
    /// NaN for unknown labels. Where images are mixed, that of the first of the two.
    pub targets: Vec<f32>,
    /// How the images were mixed, if they were.
    pub mixed: Option<Mixed>,
}

/// Delivers the batches of one epoch in order.
///
/// Images are decoded ahead of the caller, by a bounded number of batches, on the caller's rayon pool or else the global one. The
/// content of a batch depends on the dataset, the preparation, the seed and the epoch, never on the number of threads or on
/// where the epoch started. A dropped loader starts no further image. An error ends the iteration.
#[derive(Debug)]
pub struct Loader {
    worker: Arc<Worker>,
    finished: Receiver<FinishedBatch>,
    /// Batches that finished before their turn.
    early: BTreeMap<usize, Result<Batch, DataError>>,
    /// The batch to deliver next.
    next: usize,
    /// The batch to start next.
    next_to_start: usize,
    /// The number of batches of the epoch.
    end: usize,
}

/// The number of a batch, and the batch.
type FinishedBatch = (usize, Result<Batch, DataError>);

/// How long a thread without a task waits for a batch before it looks for a task again.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

impl Loader {
    /// Starts to load the samples `indices` of `dataset`.
    ///
    /// # Errors
    ///
    /// When a setting is invalid or an index is out of range.
    pub fn new(
        dataset: Arc<Dataset>,
        indices: Vec<usize>,
        preparation: Preparation,
        options: LoaderOptions,
    ) -> Result<Self, DataError> {
        if options.batch_size == 0 {
            return Err(InvalidSetting::new("batch size", "must be at least 1").into());
        }
        preparation.validate()?;
        if let Some(augmentation) = &options.augmentation {
            augmentation.validate()?;
        }
        if let Some(mixing) = &options.mixing {
            mixing.validate()?;
        }
        let samples = dataset.samples().len();
        if let Some(&index) = indices.iter().find(|&&index| index >= samples) {
            return Err(DataError::NoSample { dataset: dataset.name().to_owned(), samples, index });
        }

        let end = options.batches(indices.len());
        let next = options.skip_batches.min(end);
        let prefetch = options.prefetch;
        let (sender, finished) = unbounded();
        let worker = Arc::new(Worker::new(dataset, indices, preparation, options, sender));
        let mut loader = Loader { worker, finished, early: BTreeMap::new(), next, next_to_start: next, end };
        loader.start_until(next.saturating_add(prefetch));
        Ok(loader)
    }

    /// Starts the batches before `until` that the epoch has.
    fn start_until(&mut self, until: usize) {
        while self.next_to_start < until.min(self.end) {
            Worker::start(&self.worker, self.next_to_start);
            self.next_to_start += 1;
        }
    }

    /// Waits for the next finished batch. A thread of the pool runs tasks meanwhile, as it may be the only one.
    fn receive(&self) -> FinishedBatch {
        loop {
            if let Ok(finished) = self.finished.try_recv() {
                return finished;
            }
            if rayon::yield_now() == Some(Yield::Executed) {
                continue;
            }
            // The only error is the timeout, because the worker holds a sender.
            if let Ok(finished) = self.finished.recv_timeout(POLL_INTERVAL) {
                return finished;
            }
        }
    }
}

impl Iterator for Loader {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.end {
            return None;
        }
        self.start_until(self.next + 1);
        let batch = loop {
            if let Some(batch) = self.early.remove(&self.next) {
                break batch;
            }
            let (number, batch) = self.receive();
            self.early.insert(number, batch);
        };
        if batch.is_ok() {
            self.next += 1;
            self.start_until(self.next.saturating_add(self.worker.options.prefetch));
        } else {
            self.next = self.end;
            self.worker.stop.store(true, Ordering::Relaxed);
        }
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Loader {}
impl FusedIterator for Loader {}

impl Drop for Loader {
    fn drop(&mut self) {
        self.worker.stop.store(true, Ordering::Relaxed);
    }
}

/// Loads any batch of an epoch.
#[derive(Debug)]
struct Worker {
    dataset: Arc<Dataset>,
    /// The samples of the epoch in the order of delivery.
    order: Vec<usize>,
    /// For each entry of `order`, how often the same sample came before it: each occurrence is augmented differently.
    repeats: Vec<u32>,
    preparation: Preparation,
    options: LoaderOptions,
    stop: AtomicBool,
    finished: Sender<FinishedBatch>,
}

/// The pixels of an image.
type Pixels = Result<Vec<u8>, DataError>;

/// A batch whose images are being loaded.
struct PendingBatch {
    number: usize,
    /// Its first entry in the epoch's order.
    start: usize,
    /// The images loaded so far.
    images: Vec<Mutex<Option<Pixels>>>,
    /// How many images are still missing.
    missing: AtomicUsize,
}

impl Worker {
    fn new(
        dataset: Arc<Dataset>,
        mut order: Vec<usize>,
        preparation: Preparation,
        options: LoaderOptions,
        finished: Sender<FinishedBatch>,
    ) -> Self {
        if options.shuffle {
            shuffle(&mut order, &mut stream(options.seed, "shuffle", options.epoch, 0));
        }
        let mut occurrences = vec![0; dataset.samples().len()];
        let repeat = |&index: &usize| {
            occurrences[index] += 1;
            occurrences[index] - 1
        };
        let repeats = order.iter().map(repeat).collect();
        Worker { dataset, order, repeats, preparation, options, stop: AtomicBool::new(false), finished }
    }

    /// Spawns a task for each image of a batch. The last one to finish sends the batch.
    fn start(worker: &Arc<Self>, number: usize) {
        let start = number * worker.options.batch_size;
        let images = worker.options.batch_size.min(worker.order.len() - start);
        let batch = Arc::new(PendingBatch {
            number,
            start,
            images: (0..images).map(|_| Mutex::default()).collect(),
            missing: AtomicUsize::new(images),
        });
        for position in 0..images {
            let (worker, batch) = (Arc::clone(worker), Arc::clone(&batch));
            rayon::spawn_fifo(move || {
                // A panic is a bug, and one in a task would abort the program: the caller gets an error instead.
                if catch_unwind(AssertUnwindSafe(|| worker.load(&batch, position))).is_err() {
                    worker.send(&batch, Err(worker.panicked()));
                }
            });
        }
    }

    /// Loads one image of a batch, unless the loader has stopped.
    fn load(&self, batch: &PendingBatch, position: usize) {
        if self.stop.load(Ordering::Relaxed) {
            return;
        }
        let image = self.image(batch.start + position);
        *batch.images[position].lock().unwrap_or_else(PoisonError::into_inner) = Some(image);
        if batch.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.send(batch, self.assemble(batch));
        }
    }

    fn send(&self, batch: &PendingBatch, result: Result<Batch, DataError>) {
        // It fails only if the loader is gone, and then nobody needs the batch.
        let _ = self.finished.send((batch.number, result));
    }

    fn panicked(&self) -> DataError {
        DataError::LoaderPanicked { dataset: self.dataset.name().to_owned() }
    }

    /// Loads, prepares and augments the image at `position` in the epoch's order.
    fn image(&self, position: usize) -> Pixels {
        let (index, repeat) = (self.order[position], self.repeats[position]);
        let mut pixels = self.dataset.pixels(index, &self.preparation)?;
        if let Some(augmentation) = &self.options.augmentation {
            let mut random = augmentation_stream(self.options.seed, self.options.epoch, index, repeat);
            augmentation.apply(&mut pixels, self.preparation.output_size(), &mut random);
        }
        Ok(pixels)
    }

    /// Assembles a batch whose images are all loaded, or returns the error of the first that failed.
    fn assemble(&self, batch: &PendingBatch) -> Result<Batch, DataError> {
        let indices = self.order[batch.start..batch.start + batch.images.len()].to_vec();
        let size = self.preparation.output_size();
        let mut pixels = Vec::with_capacity(indices.len() * size.pixels() * 3);
        let attributes = self.dataset.attributes().len();
        let mut targets = Vec::with_capacity(indices.len() * attributes);
        for (&index, image) in indices.iter().zip(&batch.images) {
            let image = image.lock().unwrap_or_else(PoisonError::into_inner).take();
            pixels.extend_from_slice(&image.ok_or_else(|| self.panicked())??);
            let sample = &self.dataset.samples()[index];
            targets.extend((0..attributes).map(|attribute| sample.probability(attribute)));
        }
        let LoaderOptions { seed, epoch, .. } = self.options;
        let mixing = self.options.mixing.as_ref();
        let mixed = mixing.and_then(|mixing| mixing.apply(&mut pixels, size, seed, epoch, batch.number as u64));
        Ok(Batch { number: batch.number, indices, size, pixels, targets, mixed })
    }
}
/// The draws that augment a sample in an epoch; `repeat` counts how often it came before in the epoch.
pub(crate) fn augmentation_stream(seed: u64, epoch: u64, sample: usize, repeat: u32) -> impl Rng {
    stream(seed, "augment", epoch, sample as u64 | u64::from(repeat) << 40)
}
