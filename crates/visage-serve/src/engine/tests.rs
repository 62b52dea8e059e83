use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use burn::tensor::Device;
use futures_util::future::{join, join_all, poll_immediate};
use tokio::runtime;
use visage_data::{Preparation, Size};
use visage_model::{Architecture, Card, Model, NetworkConfig, Precision};

use super::*;
use crate::client::{Client, Party};
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

fn party() -> Party {
    Party { model: "m".to_owned(), client: Client::numbered(1) }
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
        let (first, second, third) =
            (queue.admit(&party(), 1).unwrap(), queue.admit(&party(), 2).unwrap(), queue.admit(&party(), 1).unwrap());
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
        let admissions: Vec<Admission> = (0..6).map(|_| queue.admit(&party(), 1).unwrap()).collect();
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
        let admission = queue.admit(&party(), 5).unwrap();
        queue.predict(&model, images(3, 5), admission).await.unwrap()
    });
    assert_eq!((output.probabilities.len(), output.logits.len()), (10, 10));
}

#[test]
fn the_queue_is_bounded_and_dropped_admissions_free_it() {
    let metrics = Arc::new(Metrics::new());
    let queue = Arc::new(Queue::new(Batching { queue: NonZeroUsize::new(3).unwrap(), ..Batching::default() }, metrics));
    let two = queue.admit(&party(), 2).unwrap();
    assert!(queue.admit(&party(), 2).unwrap_err().detail().contains("2 of 3"));
    let one = queue.admit(&party(), 1).unwrap();
    assert!(queue.check_room(&party()).is_err() && queue.admit(&party(), 1).is_err());
    drop((one, two));
    assert!(queue.admit(&party(), 5).is_ok(), "a request larger than the queue is admitted alone");
}

#[test]
fn an_admission_grows_to_the_faces_of_its_photographs_if_there_is_room() {
    let metrics = Arc::new(Metrics::new());
    let batching = Batching { queue: NonZeroUsize::new(4).unwrap(), ..Batching::default() };
    let queue = Arc::new(Queue::new(batching, Arc::clone(&metrics)));
    let (mut first, other) = (queue.admit(&party(), 1).unwrap(), queue.admit(&party(), 1).unwrap());
    assert!(first.resize(4).unwrap_err().detail().contains("has 4 images or faces"));
    first.resize(3).unwrap();
    assert!(queue.check_room(&party()).is_err());
    drop(other);
    first.resize(9).expect("alone, any number");
    first.resize(0).unwrap();
    assert!(metrics.text().contains("visage_queue_images 0\n"));
    drop(first);
    assert!(queue.admit(&party(), 4).is_ok());
}

#[test]
fn a_panic_fails_only_the_request_that_causes_it() {
    let model = model("m");
    let ((good, bad), _) = with_queue(16, FOREVER, async |queue| {
        let (first, second) = (queue.admit(&party(), 1).unwrap(), queue.admit(&party(), 1).unwrap());
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
        let admission = queue.admit(&party(), 1).unwrap();
        queue.close();
        queue.predict(&model, images(1, 1), admission).await
    });
    assert!(late.unwrap_err().detail().contains("shutting down"));
}

#[test]
fn a_question_is_answered_without_a_batch_and_while_one_waits_for_images() {
    let model = model("m");
    let ((), batches) = with_queue(16, FOREVER, async |queue| {
        queue.ask().await;
        let (first, decoding) = (queue.admit(&party(), 1).unwrap(), queue.admit(&party(), 1).unwrap());
        let mut waiting = Box::pin(queue.predict(&model, images(1, 1), first));
        assert!(poll_immediate(&mut waiting).await.is_none());
        queue.ask().await;
        assert!(poll_immediate(&mut waiting).await.is_none(), "the question does not start the batch");
        drop(decoding);
        waiting.await.unwrap();
    });
    assert!(batches.contains("sum{model=\"m\"} 1.0") && batches.contains("count{model=\"m\"} 1"), "{batches}");
}

#[test]
fn a_question_is_answered_before_each_run_of_the_network_for_a_large_request() {
    let (model, number) = (model("m"), |number| NonZeroUsize::new(number).unwrap());
    let batching = Batching { images: number(2), delay: FOREVER, queue: number(8) };
    let queue = Queue::new(batching, Arc::new(Metrics::new()));
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut question = Box::pin(queue.ask());
        assert!(poll_immediate(&mut question).await.is_none(), "there is no engine");
        let five = images(1, 5);
        assert!(run_network(&queue, &model, &[five.view()]).is_some());
        assert!(poll_immediate(&mut question).await.is_some());
    });
}

#[test]
fn models_take_turns_and_a_batch_has_images_of_every_client() {
    let (one, other) = (model("one"), model("other"));
    let metrics = Arc::new(Metrics::new());
    let number = |number| NonZeroUsize::new(number).unwrap();
    let batching = Batching { images: number(2), delay: FOREVER, queue: number(100) };
    let queue = Arc::new(Queue::new(batching, metrics));
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    let ask = |model: &Arc<ServedModel>, client: u8| {
        let (queue, model) = (Arc::clone(&queue), Arc::clone(model));
        async move {
            let admission = queue.admit(&Client::numbered(client).asks(&model), 1).unwrap();
            queue.predict(&model, images(1, 1), admission).await
        }
    };
    let batches = runtime.block_on(async {
        let asked = [(&one, 1), (&one, 1), (&one, 1), (&one, 1), (&one, 2), (&other, 3), (&other, 3)];
        let mut asked = join_all(asked.map(|(model, client)| ask(model, client)));
        // Polled once, so that all jobs are in the queue.
        let _ = poll_immediate(&mut asked).await;
        let next = || {
            let batch = queue.next_batch().unwrap();
            batch.iter().map(|job| job.admission.party().clone()).collect::<Vec<_>>()
        };
        [next(), next(), next()]
    });
    let [first, second, third] = batches;
    assert_eq!(first, [Client::numbered(1).asks(&one), Client::numbered(2).asks(&one)]);
    assert_eq!(second, [Client::numbered(3).asks(&other), Client::numbered(3).asks(&other)]);
    assert_eq!(third, [Client::numbered(1).asks(&one), Client::numbered(1).asks(&one)]);
}

#[test]
fn a_request_that_loses_its_room_is_told_so_in_the_queue_and_while_it_is_decoded() {
    let (one, other) = (model("one"), model("other"));
    let batching = Batching { queue: NonZeroUsize::new(2).unwrap(), ..Batching::default() };
    let queue = Arc::new(Queue::new(batching, Arc::new(Metrics::new())));
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let flood = Client::numbered(1).asks(&one);
        let (decoding, waiting) = (queue.admit(&flood, 1).unwrap(), queue.admit(&flood, 1).unwrap());
        let mut answer = Box::pin(queue.predict(&one, images(1, 1), waiting));
        assert!(poll_immediate(&mut answer).await.is_none());
        let newcomer = queue.admit(&Client::numbered(2).asks(&other), 1).unwrap();
        assert!(answer.await.unwrap_err().detail().contains("has most of it"));
        drop(newcomer);
        let mut late = queue.admit(&flood, 1).unwrap();
        let _newcomer = queue.admit(&Client::numbered(2).asks(&other), 1).unwrap();
        let lost = late.keep(std::future::pending::<Result<(), Problem>>()).await;
        assert!(lost.unwrap_err().detail().contains("has most of it"));
        assert!(late.resize(2).is_err());
        drop((late, decoding));
    });
}
