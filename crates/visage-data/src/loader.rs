//! Batches of prepared images, made ahead of time by rayon's threads.
//!
//! Every image is a task of the pool that computes, taken up by a thread which has nothing better to do: while the kernels keep
//! every thread busy it waits, and where they leave one idle, at the end of each operation, it fills the gap. Threads of the loader's
//! own would take processors from kernels that then wait for one another.

use std::collections::BTreeMap;
use std::iter::FusedIterator;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use rayon::Yield;

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
    /// Batches that are made or lie ready while the caller works with one. With none of them, each is made when it is asked for.
    pub prefetch: usize,
    /// Batches at the start of the epoch that are not made: where an interrupted epoch goes on.
    pub skip_batches: usize,
    /// Whether to leave out a last batch smaller than `batch_size`.
    pub drop_last: bool,
}

impl LoaderOptions {
    /// Options that deliver samples as they are, once, in the order given: for evaluation.
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
/// Their images are decoded ahead of the caller, by a bounded number of batches, on the threads of the rayon pool that the caller
/// is in, or of the global one. What a batch holds depends on the dataset, the preparation, the seed and the epoch, never on the
/// number of threads or on where the epoch began. Once the loader is dropped no further image is begun. After an error
/// there are no further batches.
#[derive(Debug)]
pub struct Loader {
    maker: Arc<BatchMaker>,
    made: Receiver<Made>,
    /// Batches that were finished before their turn.
    early: BTreeMap<usize, Result<Batch, DataError>>,
    /// The batch to deliver next.
    next: usize,
    /// The batch to order next.
    next_order: usize,
    /// The number of batches of the epoch.
    end: usize,
}

/// The number of a batch, and the batch.
type Made = (usize, Result<Batch, DataError>);

/// How long a thread that found no task waits for a batch before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

impl Loader {
    /// Starts to load the samples `indices` of `dataset`.
    ///
    /// # Errors
    ///
    /// When a setting makes no sense, or an index names no sample.
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
        let (sender, made) = unbounded();
        let maker = Arc::new(BatchMaker::new(dataset, indices, preparation, options, sender));
        let mut loader = Loader { maker, made, early: BTreeMap::new(), next, next_order: next, end };
        loader.order_up_to(next.saturating_add(prefetch));
        Ok(loader)
    }

    /// Has the batches before `until` made, as far as the epoch has them.
    fn order_up_to(&mut self, until: usize) {
        while self.next_order < until.min(self.end) {
            BatchMaker::start(&self.maker, self.next_order);
            self.next_order += 1;
        }
    }

    /// The next batch that is finished. A thread of the pool helps meanwhile: there may be no other.
    fn receive(&self) -> Made {
        loop {
            if let Ok(made) = self.made.try_recv() {
                return made;
            }
            if rayon::yield_now() == Some(Yield::Executed) {
                continue;
            }
            // It fails only for want of time: this loader's maker holds a sender.
            if let Ok(made) = self.made.recv_timeout(LOOK_AGAIN) {
                return made;
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
        self.order_up_to(self.next + 1);
        let batch = loop {
            if let Some(batch) = self.early.remove(&self.next) {
                break batch;
            }
            let (number, batch) = self.receive();
            self.early.insert(number, batch);
        };
        if batch.is_ok() {
            self.next += 1;
            self.order_up_to(self.next.saturating_add(self.maker.options.prefetch));
        } else {
            self.next = self.end;
            self.maker.stop.store(true, Ordering::Relaxed);
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
        self.maker.stop.store(true, Ordering::Relaxed);
    }
}

/// Makes any batch of an epoch.
#[derive(Debug)]
struct BatchMaker {
    dataset: Arc<Dataset>,
    /// The samples of the epoch in the order of delivery.
    order: Vec<usize>,
    /// How often each was delivered before: one that comes again is augmented anew.
    repeats: Vec<u32>,
    preparation: Preparation,
    options: LoaderOptions,
    stop: AtomicBool,
    made: Sender<Made>,
}

/// The pixels of an image, unless it cannot be used.
type Image = Result<Vec<u8>, DataError>;

/// A batch whose images are being made.
struct Started {
    number: usize,
    /// Where in the epoch's order it begins.
    start: usize,
    /// What became of each image so far.
    images: Vec<Mutex<Option<Image>>>,
    /// Images not finished yet.
    left: AtomicUsize,
}

impl BatchMaker {
    fn new(
        dataset: Arc<Dataset>,
        mut order: Vec<usize>,
        preparation: Preparation,
        options: LoaderOptions,
        made: Sender<Made>,
    ) -> Self {
        if options.shuffle {
            shuffle(&mut order, &mut stream(options.seed, "shuffle", options.epoch, 0));
        }
        let mut delivered = vec![0; dataset.samples().len()];
        let repeat = |&index: &usize| {
            delivered[index] += 1;
            delivered[index] - 1
        };
        let repeats = order.iter().map(repeat).collect();
        BatchMaker { dataset, order, repeats, preparation, options, stop: AtomicBool::new(false), made }
    }

    /// Gives the images of a batch to the pool. The last of them to be finished sends the batch.
    fn start(maker: &Arc<Self>, number: usize) {
        let start = number * maker.options.batch_size;
        let images = maker.options.batch_size.min(maker.order.len() - start);
        let batch = Arc::new(Started {
            number,
            start,
            images: (0..images).map(|_| Mutex::default()).collect(),
            left: AtomicUsize::new(images),
        });
        for place in 0..images {
            let (maker, batch) = (Arc::clone(maker), Arc::clone(&batch));
            rayon::spawn_fifo(move || maker.make(&batch, place));
        }
    }

    /// Makes one image of a batch; no image once there is a `stop`.
    fn make(&self, batch: &Started, place: usize) {
        if self.stop.load(Ordering::Relaxed) {
            return;
        }
        // A panic here, which would be a bug, must not end the program without a word.
        let image = catch_unwind(AssertUnwindSafe(|| self.image(batch.start + place)));
        let image = image.unwrap_or_else(|_| Err(self.stopped()));
        *batch.images[place].lock().unwrap_or_else(PoisonError::into_inner) = Some(image);
        if batch.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let whole = catch_unwind(AssertUnwindSafe(|| self.whole(batch)));
            // Nobody is left to tell when the loader has gone.
            let _ = self.made.send((batch.number, whole.unwrap_or_else(|_| Err(self.stopped()))));
        }
    }

    fn stopped(&self) -> DataError {
        DataError::LoaderStopped { dataset: self.dataset.name().to_owned() }
    }

    /// One prepared and augmented image.
    fn image(&self, at: usize) -> Image {
        let (index, repeat) = (self.order[at], self.repeats[at]);
        let mut pixels = self.dataset.pixels(index, &self.preparation)?;
        if let Some(augmentation) = &self.options.augmentation {
            let mut random =
                stream(self.options.seed, "augment", self.options.epoch, index as u64 | u64::from(repeat) << 40);
            augmentation.apply(&mut pixels, self.preparation.output_size(), &mut random);
        }
        Ok(pixels)
    }

    /// The batch, of which every image is finished; the error of the first that failed.
    fn whole(&self, batch: &Started) -> Result<Batch, DataError> {
        let indices = self.order[batch.start..batch.start + batch.images.len()].to_vec();
        let size = self.preparation.output_size();
        let mut pixels = Vec::with_capacity(indices.len() * size.pixels() * 3);
        let mut labels = Vec::with_capacity(indices.len() * self.dataset.attributes().len());
        for (&index, image) in indices.iter().zip(&batch.images) {
            let image = image.lock().unwrap_or_else(PoisonError::into_inner).take();
            pixels.extend_from_slice(&image.ok_or_else(|| self.stopped())??);
            labels.extend_from_slice(&self.dataset.samples()[index].labels);
        }
        let LoaderOptions { seed, epoch, .. } = self.options;
        let mixing = self.options.mixing.as_ref();
        let mixed = mixing.and_then(|mixing| mixing.apply(&mut pixels, size, seed, epoch, batch.number as u64));
        Ok(Batch { number: batch.number, indices, size, pixels, labels, mixed })
    }
}
