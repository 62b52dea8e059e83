use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use burn::tensor::Device;
use futures_util::future::{join, join_all};
use tokio::runtime;
use visage_data::{Preparation, Size};
use visage_model::{Architecture, Card, Model, NetworkConfig, Precision};

use super::queue::Admission;
use super::*;
use crate::metrics::Metrics;
use crate::options::Batching;

const SIZE: usize = 32;

/// A delay longer than any test runs.
const FOREVER: Duration = Duration::from_secs(3600);

fn model(name: &str) -> Arc<ServedModel> {
    let network = NetworkConfig::new(Architecture::EfficientNetLite0, 2);
    let card = Card::new(network, vec!["A".into(), "B".into()], Preparation::exact(Size::square(SIZE)));
    let device = Device::flex();
    let model = Model::new(card, network.init(1, &device));
    Arc::new(ServedModel::new(name.to_owned(), model, &device, Precision::F32))
}

fn images(shade: u8, images: usize) -> Images {
    let values = images * SIZE * SIZE * 3;
    Images::Pixels((0..values).map(|at| shade.wrapping_mul((at % 251) as u8)).collect())
}

/// The result of `ask` with an queue whose jobs run on another thread, and its metrics on the number and sizes of batches.
fn with_queue<T>(batch: usize, delay: Duration, ask: impl AsyncFnOnce(&Arc<Queue>) -> T) -> (T, String) {
    let metrics = Arc::new(Metrics::new());
    let number = |number| NonZeroUsize::new(number).unwrap();
    let batching = Batching { images: number(batch), delay, queue: number(8) };
    let queue = Arc::new(Queue::new(batching, Arc::clone(&metrics)));
    let computing = thread::spawn({
        let queue = Arc::clone(&queue);
        move || run(&queue)
    });
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    let got = runtime.block_on(ask(&queue));
    queue.close();
    computing.join().unwrap();
    let text = metrics.text();
    let batches =
        text.lines().filter(|line| line.starts_with("visage_batch_images_")).filter(|line| !line.contains("bucket"));
    (got, batches.collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_batch_waits_for_images_being_decoded_but_not_for_failed_ones() {
    let model = model("m");
    let (outputs, batches) = with_queue(16, FOREVER, async |queue| {
        let (first, second, third) = (queue.admit(1).unwrap(), queue.admit(2).unwrap(), queue.admit(1).unwrap());
        let ask = |shade, count, admission| queue.predict(&model, images(shade, count), admission);
        let others = async { drop(third) };
        join(join(ask(1, 1, first), ask(2, 2, second)), others).await.0
    });
    assert!(batches.contains("sum{model=\"m\"} 3.0") && batches.contains("count{model=\"m\"} 1"), "{batches}");
    // Each request gets its own output.
    let alone = |shade, count| match &images(shade, count) {
        Images::Pixels(pixels) => model.predict(&[Prepared::Pixels(pixels)]).unwrap().probabilities,
        Images::Normalised(_) => Vec::new(),
    };
    for (output, alone) in [(outputs.0, alone(1, 1)), (outputs.1, alone(2, 2))] {
        let found = output.unwrap().probabilities;
        assert_eq!(found.len(), alone.len());
        assert!(found.iter().zip(&alone).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} {alone:?}");
    }
}

#[test]
fn a_batch_has_one_model_and_at_most_the_configured_images() {
    let (one, other) = (model("one"), model("other"));
    let (outputs, batches) = with_queue(2, Duration::from_millis(20), async |queue| {
        let admissions: Vec<Admission> = (0..6).map(|_| queue.admit(1).unwrap()).collect();
        let of = |index: usize| if index.is_multiple_of(2) { &one } else { &other };
        let ask = |(index, admission)| queue.predict(of(index), images(index as u8, 1), admission);
        join_all(admissions.into_iter().enumerate().map(ask)).await
    });
    assert!(outputs.iter().all(|output| output.as_ref().is_ok_and(|output| output.probabilities.len() == 2)));
    for name in ["one", "other"] {
        assert!(batches.contains(&format!("sum{{model=\"{name}\"}} 3.0")), "{batches}");
        assert!(batches.contains(&format!("count{{model=\"{name}\"}} 2")), "{batches}");
    }
}

#[test]
fn a_request_larger_than_a_batch_gets_one_output() {
    let model = model("m");
    let (output, _) = with_queue(2, FOREVER, async |queue| {
        let admission = queue.admit(5).unwrap();
        queue.predict(&model, images(3, 5), admission).await.unwrap()
    });
    assert_eq!((output.probabilities.len(), output.logits.len()), (10, 10));
}

#[test]
fn the_queue_is_bounded_and_dropped_admissions_free_it() {
    let metrics = Arc::new(Metrics::new());
    let queue = Arc::new(Queue::new(Batching { queue: NonZeroUsize::new(3).unwrap(), ..Batching::default() }, metrics));
    let two = queue.admit(2).unwrap();
    assert!(queue.admit(2).unwrap_err().detail().contains("2 of 3"));
    let one = queue.admit(1).unwrap();
    assert!(queue.check_room().is_err() && queue.admit(1).is_err());
    drop((one, two));
    assert!(queue.admit(5).is_ok(), "a request larger than the queue is admitted alone");
}

#[test]
fn an_admission_grows_to_the_faces_of_its_photographs_if_there_is_room() {
    let metrics = Arc::new(Metrics::new());
    let batching = Batching { queue: NonZeroUsize::new(4).unwrap(), ..Batching::default() };
    let queue = Arc::new(Queue::new(batching, Arc::clone(&metrics)));
    let (mut first, other) = (queue.admit(1).unwrap(), queue.admit(1).unwrap());
    assert!(first.resize(4).unwrap_err().detail().contains("4 faces were found"));
    first.resize(3).unwrap();
    assert!(queue.check_room().is_err());
    drop(other);
    first.resize(9).expect("alone, any number");
    first.resize(0).unwrap();
    assert!(metrics.text().contains("visage_queue_images 0\n"));
    drop(first);
    assert!(queue.admit(4).is_ok());
}

#[test]
fn a_panic_fails_only_the_request_that_causes_it() {
    let model = model("m");
    let ((good, bad), _) = with_queue(16, FOREVER, async |queue| {
        let (first, second) = (queue.admit(1).unwrap(), queue.admit(1).unwrap());
        // Not of the model's input size. No request can contain this: inputs are checked before.
        let bad = queue.predict(&model, Images::Normalised(vec![0.0; 7]), second);
        join(queue.predict(&model, images(1, 1), first), bad).await
    });
    assert!(good.is_ok());
    assert!(bad.unwrap_err().detail().contains("a bug in visage"));
}

#[test]
fn a_closed_queue_refuses_requests() {
    let model = model("m");
    let (late, _) = with_queue(16, FOREVER, async |queue| {
        let admission = queue.admit(1).unwrap();
        queue.close();
        queue.predict(&model, images(1, 1), admission).await
    });
    assert!(late.unwrap_err().detail().contains("shutting down"));
}
