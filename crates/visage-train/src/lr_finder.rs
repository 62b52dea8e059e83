//! The learning rate range test: a short training in which the rate grows from far too small to far too large.

use std::sync::Arc;

use burn::tensor::Device;
use serde::Serialize;
use visage_data::{Dataset, Loader, LoaderOptions, Split, Statistics};
use visage_model::device::check_precision;
use visage_run::Recipe;

use crate::error::TrainError;
use crate::schedule::Rates;
use crate::stepper::{StepOutcome, Stepper};
use crate::trainer::initial_network;

/// Decay of the smoothed loss, and the multiple of its lowest value that ends the test: fastai's.
const SMOOTHING: f64 = 0.98;
const EXPLODED: f64 = 4.0;

/// The learning rate range test (Smith, "Cyclical Learning Rates", WACV 2017).
#[derive(Clone, Debug)]
pub struct RangeTest {
    /// The recipe, of which the schedule and the number of epochs are not used.
    pub recipe: Recipe,
    /// The dataset.
    pub dataset: Arc<Dataset>,
    /// The first rate.
    pub start: f64,
    /// The last rate.
    pub end: f64,
    /// Number of steps, at least 2; the rate grows by the same factor at each.
    pub steps: u32,
    /// The device.
    pub device: Device,
    /// Name of the device, for messages.
    pub device_name: String,
}

/// A step of the test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// The rate of the step.
    pub learning_rate: f64,
    /// The loss before it.
    pub loss: f64,
    /// Exponential moving average of the losses so far.
    pub smoothed: f64,
}

/// The result of the test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Curve {
    /// The steps, up to the one at which the loss exploded.
    pub points: Vec<Point>,
    /// The rate at which the smoothed loss fell fastest; none if it never fell.
    pub suggestion: Option<f64>,
}

impl RangeTest {
    /// Runs the test; `observe` is called with every step.
    ///
    /// # Errors
    ///
    /// When the recipe, the dataset or the weights cannot be used.
    pub fn run(&self, mut observe: impl FnMut(&Point)) -> Result<Curve, TrainError> {
        let Self { recipe, dataset, device, .. } = self;
        recipe.validate()?;
        check_precision(device, &self.device_name, recipe.training.precision)?;
        let images = dataset.indices(Split::Train);
        match images.len() {
            0 => return Err(TrainError::EmptySplit { dataset: dataset.name().to_owned(), split: Split::Train.name() }),
            1 => return Err(TrainError::TooFewImages),
            _ => {}
        }
        let statistics = Statistics::of(dataset, Split::Train);
        let config = recipe.model.network(dataset.attributes().len());
        let (network, _) = initial_network(recipe, &config, device)?;
        let mut stepper = Stepper::new(recipe, &statistics, network, device, &[])?;
        let growth = (self.end / self.start).powf(1.0 / f64::from(self.steps - 1));
        let mut losses = Losses::default();
        for epoch in 0.. {
            let mut loader = self.loader(&images, epoch)?;
            loop {
                let mut batches = 0;
                for batch in loader.by_ref().take(recipe.training.accumulate) {
                    stepper.accumulate(&batch?, epoch);
                    batches += 1;
                }
                if batches == 0 {
                    break;
                }
                let learning_rate = self.start * growth.powi(losses.points.len() as i32);
                let step = stepper.step(Rates { learning_rate, momentum: recipe.optimizer.kind.momentum() }).wait();
                let exploded = step.outcome == StepOutcome::Diverged || !losses.add(learning_rate, step.loss);
                if let Some(point) = losses.points.last() {
                    observe(point);
                }
                if exploded || losses.points.len() == self.steps as usize {
                    return Ok(losses.curve());
                }
            }
        }
        Ok(losses.curve())
    }

    fn loader(&self, images: &[usize], epoch: u64) -> Result<Loader, TrainError> {
        let training = &self.recipe.training;
        let options = LoaderOptions {
            seed: training.seed,
            epoch,
            shuffle: true,
            augmentation: Some(self.recipe.augmentation.augmentation()),
            drop_last: images.len() % training.batch_size == 1,
            ..LoaderOptions::in_order(training.batch_size)
        };
        Ok(Loader::new(Arc::clone(&self.dataset), images.to_vec(), self.recipe.input.preparation(), options)?)
    }
}

#[derive(Debug, Default)]
struct Losses {
    points: Vec<Point>,
    mean: f64,
}

impl Losses {
    fn add(&mut self, learning_rate: f64, loss: f64) -> bool {
        self.mean = SMOOTHING * self.mean + (1.0 - SMOOTHING) * loss;
        // The divisor corrects the bias of the mean's initial value, 0.
        let smoothed = self.mean / (1.0 - SMOOTHING.powi(self.points.len() as i32 + 1));
        self.points.push(Point { learning_rate, loss, smoothed });
        let lowest = self.points.iter().map(|point| point.smoothed).fold(f64::INFINITY, f64::min);
        smoothed <= EXPLODED * lowest
    }

    fn curve(self) -> Curve {
        let fall = |pair: &[Point]| {
            let slope = (pair[1].smoothed - pair[0].smoothed) / (pair[1].learning_rate / pair[0].learning_rate).ln();
            (slope < 0.0).then_some((slope, pair[1].learning_rate))
        };
        let steepest = self.points.windows(2).filter_map(fall).min_by(|(a, _), (b, _)| a.total_cmp(b));
        Curve { suggestion: steepest.map(|(_, rate)| rate), points: self.points }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suggestion_is_where_the_loss_falls_fastest() {
        let mut losses = Losses::default();
        // A valley over the logarithm of the rate: flat, steepest at 1e-3, then up and away.
        let mut ended = None;
        for step in 0..120 {
            let exponent = -6.0 + step as f64 * 0.05;
            let loss = 1.0 / (1.0 + (4.0 * (exponent + 3.0)).exp()) + (6.0 * (exponent + 1.0)).exp();
            if !losses.add(10f64.powf(exponent), loss) {
                ended = Some(exponent);
                break;
            }
        }
        let ended = ended.expect("an end before the end");
        assert!((-1.0..0.0).contains(&ended), "{ended}");
        let Curve { points, suggestion } = losses.curve();
        // The smoothed loss follows a little behind.
        let suggestion = suggestion.unwrap().log10();
        assert!((-3.0..-1.9).contains(&suggestion), "{suggestion}");
        assert!(points.windows(2).all(|pair| pair[0].learning_rate < pair[1].learning_rate));
    }

    #[test]
    fn a_loss_that_never_falls_suggests_nothing() {
        let mut losses = Losses::default();
        (1..20).for_each(|step| {
            losses.add(1e-5 * f64::from(step), f64::from(step));
        });
        assert_eq!(losses.curve().suggestion, None);
    }
}
