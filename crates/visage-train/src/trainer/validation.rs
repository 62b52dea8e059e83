//! The end of an epoch: validation, early stopping, checkpoints.

use std::collections::BTreeMap;
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use visage_data::Split;
use visage_judge::{Evaluation, Predictions, Thresholds, probabilities};
use visage_model::{Engine, Precision, Prepared};
use visage_run::predict::{Images, LabelledOutputs};
use visage_run::{EpochRow, Monitor, RunFolder, ThresholdSource};

use super::{Event, Run};
use crate::checkpoint::Position;
use crate::error::TrainError;
use crate::loss::Loss;
use crate::stepper::label_tensors;

#[derive(Clone)]
pub(super) struct Validated {
    pub thresholds: Vec<f32>,
    pub rule: String,
    pub metrics: BTreeMap<String, f64>,
}

impl Validated {
    pub fn none() -> Self {
        Self { thresholds: Vec::new(), rule: "0.5, before the first validation".to_owned(), metrics: BTreeMap::new() }
    }

    fn new(loss: f64, evaluation: &Evaluation) -> Self {
        let scores = &evaluation.macro_average;
        let named = [
            ("loss", Some(loss)),
            ("accuracy", scores.accuracy),
            ("balanced_accuracy", scores.balanced_accuracy),
            ("precision", scores.precision),
            ("recall", scores.recall),
            ("f1", scores.f1),
            ("average_precision", scores.average_precision),
        ];
        Self {
            thresholds: evaluation.thresholds().values,
            rule: evaluation.threshold_rule.on(Split::Validation.name()),
            metrics: named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        }
    }
}

impl Run<'_> {
    /// Validates the network after an epoch, saves it, and moves on to the next epoch.
    pub(super) fn end_epoch(&mut self, observe: &mut dyn FnMut(Event<'_>)) -> Result<(), TrainError> {
        let began = Instant::now();
        let (loss, evaluation) = self.evaluate(observe)?;
        self.state.validated = Validated::new(loss, &evaluation);
        let row = self.advance(loss, &evaluation, began);
        // The row is in the table before a checkpoint needs it. `last` comes last: a run that is killed before it repeats the end of
        // this epoch and writes the same again.
        self.tables.epochs.append(&row)?;
        if row.best {
            self.save(RunFolder::BEST)?;
        }
        self.save(RunFolder::LAST)?;
        observe(Event::Epoch(&row));
        Ok(())
    }

    /// Moves the position past the current epoch, whose validation began at `began`; returns the epoch's row.
    fn advance(&mut self, validation_loss: f64, evaluation: &Evaluation, began: Instant) -> EpochRow {
        let recipe = &self.settings.recipe;
        let scores = &evaluation.macro_average;
        let monitored = match recipe.training.monitor {
            Monitor::ValidationLoss => Some(validation_loss),
            Monitor::Accuracy => scores.accuracy,
            Monitor::BalancedAccuracy => scores.balanced_accuracy,
            Monitor::F1 => scores.f1,
            Monitor::AveragePrecision => scores.average_precision,
        };
        let learning_rate = self.rates(self.state.position.step - 1).learning_rate;
        let trained = (self.images.training.len() - usize::from(self.images.drop_last)) as f64;
        let position = &mut self.state.position;
        if let Some(plateau) = recipe.schedule.plateau() {
            position.plateau.observe(&plateau, recipe.training.monitor, monitored);
        }
        let epoch = position.epoch + 1;
        let verdict = position.best.observe(&recipe.training, epoch as u32, monitored);
        let seconds = began.elapsed().as_secs_f64();
        let row = EpochRow {
            epoch,
            step: position.step,
            train_loss: position.loss_sum / (position.labels as f64).max(1.0),
            validation_loss,
            accuracy: scores.accuracy,
            balanced_accuracy: scores.balanced_accuracy,
            precision: scores.precision,
            recall: scores.recall,
            f1: scores.f1,
            average_precision: scores.average_precision,
            learning_rate,
            seconds: position.epoch_seconds + seconds,
            images_per_second: trained / position.epoch_seconds,
            best: verdict.improved,
        };
        *position = Position {
            epoch,
            batch: 0,
            loss_sum: 0.0,
            labels: 0,
            epoch_seconds: 0.0,
            seconds: position.seconds + seconds,
            stopped_early: verdict.stop,
            ..*position
        };
        row
    }

    /// Loss and metrics of the network on the validation split, with the recipe's thresholds.
    fn evaluate(&self, observe: &mut dyn FnMut(Event<'_>)) -> Result<(f64, Evaluation), TrainError> {
        let recipe = &self.settings.recipe;
        let (dataset, device) = (&self.settings.dataset, &self.settings.device);
        let engine = Engine::new(&self.state.model_network(), &self.preparation, device, Precision::F32);
        let infer = |pixels: &[u8], _| Ok::<_, TrainError>(engine.logits(&[Prepared::Pixels(pixels)]));
        let split = Images {
            wanted: None,
            attributes: dataset.attributes(),
            preparation: &self.preparation,
            dataset,
            indices: self.images.validation.clone(),
            batch_size: recipe.training.batch_size,
        };
        let images = self.images.validation.len();
        let found = split.outputs(infer, |done| observe(Event::Validating { done, images }))?;
        let loss =
            mean_loss(&self.validation_loss, &found, dataset.attributes().len(), recipe.training.batch_size, device);
        let LabelledOutputs { labels, targets, outputs } = found;
        let probabilities = probabilities(None, &outputs);
        if probabilities.iter().any(|probability| probability.is_nan()) {
            let step = self.state.position.step;
            let what = format!("after step {step} the network produced NaN on the validation split");
            return Err(TrainError::Diverged { what, checkpoint: self.last_checkpoint() });
        }
        let attributes = dataset.attributes().to_vec();
        let count = attributes.len();
        let predictions = Predictions::new(attributes, labels, probabilities)?.with_targets(targets)?;
        let thresholds = match recipe.evaluation.thresholds {
            ThresholdSource::Fixed(threshold) => Thresholds::fixed(threshold as f32, count),
            ThresholdSource::Chosen(rule) => Thresholds::choose(rule, &predictions).thresholds,
        };
        Ok((loss, visage_judge::evaluate(&predictions, &thresholds)?))
    }
}

/// The mean loss over the known labels, computed in batches.
fn mean_loss(loss: &Loss, found: &LabelledOutputs, attributes: usize, batch_size: usize, device: &Device) -> f64 {
    let cells = attributes * batch_size;
    let (mut sum, mut known) = (0.0, 0);
    for (logits, targets) in found.outputs.chunks(cells).zip(found.targets.chunks(cells)) {
        let rows = targets.len() / attributes;
        let loss = loss.for_targets(targets);
        let (targets, mask, count) = label_tensors(targets, rows, device);
        let logits = Tensor::from_data(TensorData::new(logits.to_vec(), [rows, attributes]), device);
        sum += f64::from(loss.mean(logits, targets, mask).into_scalar::<f32>()) * count as f64;
        known += count;
    }
    sum / (known as f64).max(1.0)
}
