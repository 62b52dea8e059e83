//! The steps of an epoch.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use visage_data::{Loader, LoaderOptions};
use visage_run::{RunFolder, StepRow};

use super::{Event, Run, State};
use crate::checkpoint;
use crate::error::TrainError;
use crate::schedule::Rates;
use crate::stepper::{Step, StepOutcome, StepOutput};

/// Steps that a GPU may lag behind: their results are read together, so that neither processor waits for the other at every
/// step.
const READ_EVERY: usize = 8;

/// A step that was taken, or that a GPU is still computing.
struct TakenStep {
    /// From 1.
    number: u64,
    rates: Rates,
    /// Images of its batches, by their index in the dataset.
    images: Vec<usize>,
    /// Time spent waiting for its batches.
    waited: Duration,
}

impl Run<'_> {
    /// Trains the rest of the current epoch. Returns false if `stop` was set before its end.
    pub(super) fn train_epoch(
        &mut self,
        stop: &AtomicBool,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<bool, TrainError> {
        let epoch = self.state.position.epoch;
        let mut loader = self.loader(epoch)?;
        let interval = self.settings.recipe.training.checkpoint_minutes.map(|minutes| minutes * 60.0);
        let read_every = if self.state.stepper.runs_ahead() { READ_EVERY } else { 1 };
        let (mut saved, mut began) = (Instant::now(), Instant::now());
        let mut steps = Vec::new();
        loop {
            let step = self.next_step(&mut loader, epoch)?;
            let over = step.is_none();
            steps.extend(step);
            let stopping = stop.load(Ordering::Relaxed);
            let saving = stopping || interval.is_some_and(|seconds| saved.elapsed().as_secs_f64() >= seconds);
            if over || saving || steps.len() >= read_every {
                for row in self.rows(std::mem::take(&mut steps), &mut began)? {
                    self.tables.steps.append(&row)?;
                    let Self { steps_per_epoch, total_steps, .. } = *self;
                    observe(Event::Step { row: &row, steps_per_epoch, total_steps });
                }
            }
            if over {
                return Ok(true);
            }
            if saving {
                self.save(RunFolder::LAST)?;
                saved = Instant::now();
                observe(Event::Saved);
            }
            if stopping {
                return Ok(false);
            }
        }
    }

    fn loader(&self, epoch: u64) -> Result<Loader, TrainError> {
        let recipe = &self.settings.recipe;
        let training = &recipe.training;
        let images = match &self.images.balanced {
            Some(balanced) => balanced.epoch(training.seed, epoch),
            None => self.images.training.clone(),
        };
        let options = LoaderOptions {
            batch_size: training.batch_size,
            seed: training.seed,
            epoch,
            shuffle: self.images.balanced.is_none(),
            augmentation: Some(recipe.augmentation.augmentation()),
            mixing: recipe.augmentation.mixing(),
            prefetch: 2,
            skip_batches: self.state.position.batch,
            drop_last: self.images.drop_last,
        };
        Ok(Loader::new(Arc::clone(&self.settings.dataset), images, self.preparation.clone(), options)?)
    }

    fn next_step(&mut self, loader: &mut Loader, epoch: u64) -> Result<Option<(TakenStep, Step)>, TrainError> {
        let (mut batches, mut images, mut waited) = (0, Vec::new(), Duration::ZERO);
        while batches < self.settings.recipe.training.accumulate {
            let began = Instant::now();
            let Some(batch) = loader.next() else { break };
            waited += began.elapsed();
            let batch = batch?;
            self.state.stepper.accumulate(&batch, epoch);
            images.extend(batch.indices);
            batches += 1;
        }
        if batches == 0 {
            return Ok(None);
        }
        let rates = self.rates(self.state.position.step);
        let State { stepper, average, position, .. } = &mut self.state;
        let step = stepper.step(rates);
        position.step += 1;
        position.loss_scale = stepper.loss_scale();
        let taken = TakenStep { number: position.step, rates, images, waited };
        if let Step::Done(output) = &step
            && output.outcome == StepOutcome::Diverged
        {
            return Err(self.diverged(&taken, output));
        }
        if let Some(average) = average {
            average.update(stepper.network(), position.step);
        }
        position.batch += batches;
        Ok(Some((taken, step)))
    }

    /// The table rows of the steps taken since `began`, which is set to now.
    fn rows(&mut self, steps: Vec<(TakenStep, Step)>, began: &mut Instant) -> Result<Vec<StepRow>, TrainError> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let count = steps.len() as f64;
        let mut outputs = Vec::with_capacity(steps.len());
        for (taken, step) in steps {
            let output = step.wait();
            if output.outcome == StepOutcome::Diverged {
                return Err(self.diverged(&taken, &output));
            }
            outputs.push((taken, output));
        }
        // Steps that a GPU ran asynchronously have no durations of their own.
        let seconds = lap(began) / count;
        let waited: f64 = outputs.iter().map(|(taken, _)| taken.waited.as_secs_f64()).sum();
        let waiting = (waited / (seconds * count)).min(1.0);
        let position = &mut self.state.position;
        let row = |(taken, output): (TakenStep, StepOutput)| {
            position.loss_sum += output.loss * output.labels as f64;
            position.labels += output.labels;
            position.epoch_seconds += seconds;
            position.seconds += seconds;
            StepRow {
                step: taken.number,
                epoch: position.epoch + 1,
                loss: output.loss,
                learning_rate: taken.rates.learning_rate,
                gradient_norm: output.gradient_norm,
                images_per_second: taken.images.len() as f64 / seconds,
                waiting,
            }
        };
        Ok(outputs.into_iter().map(row).collect())
    }

    fn diverged(&self, taken: &TakenStep, output: &StepOutput) -> TrainError {
        let (TakenStep { number, rates, images, .. }, StepOutput { loss, gradient_norm, .. }) = (taken, output);
        let samples = self.settings.dataset.samples();
        let images: Vec<&str> = images.iter().map(|&image| samples[image].image.as_str()).collect();
        let what = format!(
            "at step {number}, with a learning rate of {:e}, the loss was {loss} and the gradient norm {gradient_norm}\n\
             the images of that step: {}",
            rates.learning_rate,
            images.join(", ")
        );
        TrainError::Diverged { what, checkpoint: self.last_checkpoint() }
    }

    /// The last checkpoint and the steps taken before it, if there is one.
    pub(super) fn last_checkpoint(&self) -> Option<(PathBuf, u64)> {
        let path = self.folder.file(RunFolder::LAST);
        checkpoint::position_of(&path).map(|position| (path, position.step))
    }
}

/// Seconds since `began`, which is set to now.
fn lap(began: &mut Instant) -> f64 {
    let now = Instant::now();
    let seconds = now.duration_since(*began).as_secs_f64();
    *began = now;
    // A clock too coarse to time a step would make its rate infinite.
    seconds.max(1e-6)
}
