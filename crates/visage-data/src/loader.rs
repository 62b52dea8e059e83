//! Batches of prepared images, made ahead of time by threads of their own.

use std::collections::BTreeMap;
use std::iter::FusedIterator;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::augment::Augmentation;
use crate::dataset::Dataset;
use crate::error::{DataError, InvalidSetting};
use crate::label::Label;
use crate::mixing::{Mixed, Mixing};
use crate::prepare::Preparation;
use crate::random::{shuffle, stream};
use crate::size::Size;

/// How a [`Loader`] goes through its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct LoaderOptions {
    /// Samples in a batch; at least 1.
    pub batch_size: usize,
    /// Decides, with `epoch`, the order and the augmentation.
    pub seed: u64,
    /// The pass over the data, counted from 0.
    pub epoch: u64,
    /// Whether the order is drawn anew; otherwise it is the order given.
    pub shuffle: bool,
    /// Random changes to the images, for training only.
    pub augmentation: Option<Augmentation>,
    /// Mixing of the images of a batch, for training only.
    pub mixing: Option<Mixing>,
    /// Threads that decode; 0 counts as 1. The batches do not depend on it.
    pub workers: usize,
    /// Batches that may lie ready beyond those being made. Memory holds at most `workers + prefetch` batches, and the
    /// one in the caller's hands.
    pub prefetch: usize,
    /// Batches at the start of the epoch that are not made: where an interrupted epoch goes on.
    pub skip_batches: usize,
    /// Whether to leave out a last batch smaller than `batch_size`.
    pub drop_last: bool,
}

impl LoaderOptions {
    /// Options that deliver samples as they are, once, in the order given: for evaluation.
    #[must_use]
    pub fn in_order(batch_size: usize, workers: usize) -> Self {
        LoaderOptions {
            batch_size,
            seed: 0,
            epoch: 0,
            shuffle: false,
            augmentation: None,
            mixing: None,
            workers,
            prefetch: 2,
            skip_batches: 0,
            drop_last: false,
        }
    }

    /// The batches of a whole epoch over `samples` samples, those skipped among them.
    #[must_use]
    pub fn batches(&self, samples: usize) -> usize {
        let batch_size = self.batch_size.max(1);
        if self.drop_last { samples / batch_size } else { samples.div_ceil(batch_size) }
    }
}

/// Some samples, ready for a network but for [normalising](Preparation::normalise).
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Which batch of the epoch it is, counted from 0, those skipped among them.
    pub number: usize,
    /// The samples' numbers in the dataset; N of them.
    pub indices: Vec<usize>,
    /// The height and width of the images.
    pub size: Size,
    /// RGB, one byte a value, shape `[N, H, W, 3]`.
    pub pixels: Vec<u8>,
    /// Shape `[N, attributes]`; of mixed images, those of the image they are of in the first place.
    pub labels: Vec<Label>,
    /// How the images were mixed with each other, if they were.
    pub mixed: Option<Mixed>,
}

/// Delivers the batches of one epoch in order.
///
/// Its threads decode ahead of the caller, by a bounded number of batches. What a batch holds depends on the dataset, the
/// preparation, the seed and the epoch, never on the number of threads or on where the epoch began. Dropping the
/// loader stops its threads. After an error there are no further batches.
#[derive(Debug)]
pub struct Loader {
    /// The dataset's name, for a message.
    dataset: String,
    /// Numbers of batches to make. Taken away to tell the workers that no more will come.
    orders: Option<Sender<usize>>,
    /// Batches made, in the order in which they were finished.
    made: Receiver<(usize, Result<Batch, DataError>)>,
    /// Batches that were finished before their turn.
    early: BTreeMap<usize, Result<Batch, DataError>>,
    /// The batch to deliver next.
    next: usize,
    /// The batch to order next.
    next_order: usize,
    /// The number of batches of the epoch.
    end: usize,
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
}

impl Loader {
    /// Starts to load the samples `indices` of `dataset`.
    ///
    /// # Errors
    ///
    /// When a setting makes no sense, an index names no sample, or no thread can be started.
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
        let worker_count = options.workers.max(1).min(end - next);
        let in_flight = worker_count.saturating_add(options.prefetch);
        let (orders, orders_of_worker) = unbounded();
        let (made_by_worker, made) = unbounded();
        let name = dataset.name().to_owned();
        let maker = Arc::new(BatchMaker::new(dataset, indices, preparation, options));
        let mut loader = Loader {
            dataset: name,
            orders: Some(orders),
            made,
            early: BTreeMap::new(),
            next,
            next_order: next,
            end,
            stop: Arc::default(),
            workers: Vec::with_capacity(worker_count),
        };
        for _ in 0..worker_count {
            let (maker, orders, made) = (Arc::clone(&maker), orders_of_worker.clone(), made_by_worker.clone());
            let stop = Arc::clone(&loader.stop);
            let work = move || work(&maker, &orders, &made, &stop);
            let worker =
                thread::Builder::new().name("visage-loader".to_owned()).spawn(work).map_err(DataError::Thread)?;
            loader.workers.push(worker);
        }
        for _ in 0..in_flight.min(end - next) {
            loader.order();
        }
        Ok(loader)
    }

    /// Asks the workers for one batch more, if the epoch has one.
    fn order(&mut self) {
        if self.next_order < self.end
            && let Some(orders) = &self.orders
        {
            // Fails only when all workers are gone, which `next` finds out and reports.
            let _ = orders.send(self.next_order);
            self.next_order += 1;
        }
    }
}

impl Iterator for Loader {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.end {
            return None;
        }
        let batch = loop {
            if let Some(batch) = self.early.remove(&self.next) {
                break batch;
            }
            match self.made.recv() {
                Ok((number, batch)) => {
                    self.early.insert(number, batch);
                }
                Err(_) => break Err(DataError::LoaderStopped { dataset: self.dataset.clone() }),
            }
        };
        if batch.is_ok() {
            self.next += 1;
            self.order();
        } else {
            self.next = self.end;
            self.stop.store(true, Ordering::Relaxed);
        }
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let most = self.end - self.next;
        (most, Some(most))
    }
}

impl ExactSizeIterator for Loader {}
impl FusedIterator for Loader {}

impl Drop for Loader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.orders = None;
        for worker in self.workers.drain(..) {
            // A worker that panicked has said so; there is nothing left to do with it.
            let _ = worker.join();
        }
    }
}

/// What each worker does until there are no more orders.
fn work(
    maker: &BatchMaker,
    orders: &Receiver<usize>,
    made: &Sender<(usize, Result<Batch, DataError>)>,
    stop: &AtomicBool,
) {
    for number in orders {
        let Some(batch) = maker.batch(number, stop) else { return };
        if made.send((number, batch)).is_err() {
            return;
        }
    }
}

/// Makes any batch of an epoch.
struct BatchMaker {
    dataset: Arc<Dataset>,
    /// The samples of the epoch in the order of delivery.
    order: Vec<usize>,
    /// How often each was delivered before: one that comes again is augmented anew.
    repeats: Vec<u32>,
    preparation: Preparation,
    options: LoaderOptions,
}

impl BatchMaker {
    fn new(dataset: Arc<Dataset>, mut order: Vec<usize>, preparation: Preparation, options: LoaderOptions) -> Self {
        if options.shuffle {
            shuffle(&mut order, &mut stream(options.seed, "shuffle", options.epoch, 0));
        }
        let mut delivered = vec![0; dataset.samples().len()];
        let repeat = |&index: &usize| {
            delivered[index] += 1;
            delivered[index] - 1
        };
        let repeats = order.iter().map(repeat).collect();
        BatchMaker { dataset, order, repeats, preparation, options }
    }

    /// Makes a batch, or gives up (`None`) once `stop` is set.
    fn batch(&self, number: usize, stop: &AtomicBool) -> Option<Result<Batch, DataError>> {
        let start = number * self.options.batch_size;
        let end = (start + self.options.batch_size).min(self.order.len());
        let indices = self.order[start..end].to_vec();
        let size = self.preparation.output_size();
        let mut pixels = Vec::with_capacity(indices.len() * size.pixels() * 3);
        let mut labels = Vec::with_capacity(indices.len() * self.dataset.attributes().len());
        for (&index, &repeat) in indices.iter().zip(&self.repeats[start..end]) {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            match self.image(index, repeat) {
                Ok(image) => pixels.extend_from_slice(&image),
                Err(error) => return Some(Err(error)),
            }
            labels.extend_from_slice(&self.dataset.samples()[index].labels);
        }
        let LoaderOptions { seed, epoch, .. } = self.options;
        let mixing = self.options.mixing.as_ref();
        let mixed = mixing.and_then(|mixing| mixing.apply(&mut pixels, size, seed, epoch, number as u64));
        Some(Ok(Batch { number, indices, size, pixels, labels, mixed }))
    }

    /// One prepared and augmented image, for the time numbered `repeat`, from 0, in this epoch.
    fn image(&self, index: usize, repeat: u32) -> Result<Vec<u8>, DataError> {
        let mut pixels = self.dataset.pixels(index, &self.preparation)?;
        if let Some(augmentation) = &self.options.augmentation {
            let mut random =
                stream(self.options.seed, "augment", self.options.epoch, index as u64 | u64::from(repeat) << 40);
            augmentation.apply(&mut pixels, self.preparation.output_size(), &mut random);
        }
        Ok(pixels)
    }
}
