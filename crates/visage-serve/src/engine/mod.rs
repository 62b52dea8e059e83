//! Runs the networks on one thread, for the requests of all others.

mod admission;
mod batching;
mod queue;
mod task;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use visage_model::{ModelOutput, Prepared};

pub(crate) use self::admission::Admission;
use self::queue::Job;
pub(crate) use self::queue::Queue;
pub(crate) use self::task::Images;
use self::task::Task;
use crate::models::ServedModel;
use crate::problem::Problem;

pub(crate) fn run(queue: &Queue) {
    while let Some(batch) = queue.next_batch() {
        compute(queue, batch);
    }
}

fn compute(queue: &Queue, mut batch: Vec<Job>) {
    batch.retain(|job| !job.task.is_abandoned());
    let Some(first) = batch.first() else { return };
    let model = Arc::clone(&first.model);
    let parts: Vec<Prepared<'_>> = batch.iter().filter_map(|job| job.task.images()).collect();
    if parts.is_empty() {
        batch.into_iter().for_each(compute_heat_map);
        return;
    }
    let began = Instant::now();
    match logged(run_network(queue, &model, &parts)) {
        Some(output) => {
            queue.metrics.inferred(&model.name, batch.iter().map(Job::images).sum(), began.elapsed());
            distribute(&output, model.card().attributes.len(), batch);
        }
        // Only the request that causes the panic fails.
        None if batch.len() > 1 => batch.into_iter().for_each(|job| compute(queue, vec![job])),
        None => batch.into_iter().for_each(|job| job.reply(Err(Problem::bug()))),
    }
}

/// Runs the network; several times for a request with more images than a batch. `None` if it panics.
fn run_network(queue: &Queue, model: &ServedModel, parts: &[Prepared<'_>]) -> Option<ModelOutput> {
    let max = queue.batching.images.get() * model.input_size().pixels() * 3;
    let predict = |parts: &[Prepared<'_>]| {
        // A request with many images takes many runs, each with the time of one.
        queue.state().answer();
        model.predict(parts)
    };
    match parts {
        [Prepared::Pixels(pixels)] if pixels.len() > max => {
            concatenated(pixels.chunks(max).map(|chunk| predict(&[Prepared::Pixels(chunk)])))
        }
        [Prepared::Normalised(values)] if values.len() > max => {
            concatenated(values.chunks(max).map(|chunk| predict(&[Prepared::Normalised(chunk)])))
        }
        parts => predict(parts),
    }
}

impl Job {
    fn reply(self, output: Result<ModelOutput, Problem>) {
        // Frees the room first, so that the client's next request finds it.
        drop(self.admission);
        if let Task::Predict { reply, .. } = self.task {
            // Fails only if the client has gone.
            let _ = reply.send(output);
        }
    }
}

fn distribute(output: &ModelOutput, attributes: usize, batch: Vec<Job>) {
    let mut start = 0;
    for job in batch {
        let rows = start..start + job.images() * attributes;
        start = rows.end;
        job.reply(Ok(ModelOutput {
            logits: output.logits[rows.clone()].to_vec(),
            probabilities: output.probabilities[rows].to_vec(),
        }));
    }
}

fn compute_heat_map(job: Job) {
    let Task::HeatMap { pixels, attribute, reply } = job.task else { return };
    let heat = logged(job.model.heat_map(&pixels, attribute));
    drop(job.admission);
    // Fails only if the client has gone.
    let _ = reply.send(heat.ok_or_else(Problem::bug));
}

fn concatenated(outputs: impl Iterator<Item = Option<ModelOutput>>) -> Option<ModelOutput> {
    let mut all = ModelOutput { logits: Vec::new(), probabilities: Vec::new() };
    for output in outputs {
        let output = output?;
        all.logits.extend(output.logits);
        all.probabilities.extend(output.probabilities);
    }
    Some(all)
}

/// Logs a result that is missing because the network panicked.
fn logged<T>(result: Option<T>) -> Option<T> {
    if result.is_none() {
        tracing::error!("inference panicked: this is a bug in visage");
    }
    result
}
