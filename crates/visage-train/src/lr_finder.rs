//! Finding a learning rate: a short training in which the rate climbs from far too small to far too large.

use std::sync::Arc;

use burn::tensor::Device;
use serde::Serialize;
use visage_data::{Dataset, Loader, LoaderOptions, Split, Statistics};
use visage_model::device::check_precision;
use visage_run::Recipe;

use crate::error::TrainError;
use crate::learner::{Gathered, Learner, Outcome, Place};
use crate::optimizer::Optimizer;
use crate::schedule::Rates;
use crate::trainer::first_weights;

/// How much of the smoothed loss is kept from step to step, and how often its lowest value ends the test: fastai's.
const SMOOTHING: f64 = 0.98;
const HOPELESS: f64 = 4.0;

/// The learning rate range test (Smith, "Cyclical Learning Rates", WACV 2017).
#[derive(Clone, Debug)]
pub struct RangeTest {
    /// What is trained, by all of the recipe but its schedule and its epochs.
    pub recipe: Recipe,
    /// On what.
    pub dataset: Arc<Dataset>,
    /// The first rate.
    pub start: f64,
    /// The last rate.
    pub end: f64,
    /// Steps from the first to the last, at least 2; the rate is multiplied by the same number at each.
    pub steps: u32,
    /// Where to compute.
    pub device: Device,
    /// Name of the device.
    pub device_name: String,
}

/// A step of the test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// The rate of the step.
    pub learning_rate: f64,
    /// The loss before it.
    pub loss: f64,
    /// An exponential mean of the losses up to here.
    pub smoothed: f64,
}

/// What the test found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Curve {
    /// The steps, up to the one at which the loss had become hopeless.
    pub points: Vec<Point>,
    /// The rate at which the smoothed loss fell fastest; none if it never fell.
    pub suggestion: Option<f64>,
}

impl RangeTest {
    /// Runs the test; `observe` is told of every step.
    ///
    /// # Errors
    ///
    /// What can be wrong with the recipe, the dataset or the weights.
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
        let (network, _) = first_weights(recipe, &config, device)?;
        let place = Place::new(recipe, &statistics, device)?;
        let mut learner = Learner {
            recipe,
            preparation: recipe.input.preparation(),
            network: Some(place.tracked(network)),
            place,
            others: Vec::new(),
            optimizer: Optimizer::new(recipe.optimizer),
            loss_scale: Default::default(),
        };
        let growth = (self.end / self.start).powf(1.0 / f64::from(self.steps - 1));
        let mut course = Course::default();
        for epoch in 0.. {
            let mut loader = self.loader(&images, epoch)?;
            loop {
                let mut gathered = Gathered::default();
                for batch in loader.by_ref().take(recipe.training.accumulate) {
                    learner.gather(&mut gathered, &batch?, epoch);
                }
                if gathered.batches == 0 {
                    break;
                }
                let learning_rate = self.start * growth.powi(course.points.len() as i32);
                let rates = Rates { learning_rate, momentum: recipe.optimizer.kind.momentum() };
                let step = learner.step(&mut gathered, rates);
                let hopeless = step.outcome == Outcome::Diverged || !course.add(learning_rate, step.loss);
                if let Some(point) = course.points.last() {
                    observe(point);
                }
                if hopeless || course.points.len() == self.steps as usize {
                    return Ok(course.curve());
                }
            }
        }
        Ok(course.curve())
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

/// The losses so far.
#[derive(Debug, Default)]
struct Course {
    points: Vec<Point>,
    mean: f64,
}

impl Course {
    /// Takes in a loss. False once it is hopeless to go on.
    fn add(&mut self, learning_rate: f64, loss: f64) -> bool {
        self.mean = SMOOTHING * self.mean + (1.0 - SMOOTHING) * loss;
        // The mean began at 0, which the divisor makes up for.
        let smoothed = self.mean / (1.0 - SMOOTHING.powi(self.points.len() as i32 + 1));
        self.points.push(Point { learning_rate, loss, smoothed });
        let lowest = self.points.iter().map(|point| point.smoothed).fold(f64::INFINITY, f64::min);
        smoothed <= HOPELESS * lowest
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
        let mut course = Course::default();
        // A valley over the logarithm of the rate: flat, steepest at 1e-3, then up and away.
        let mut ended = None;
        for step in 0..120 {
            let exponent = -6.0 + step as f64 * 0.05;
            let loss = 1.0 / (1.0 + (4.0 * (exponent + 3.0)).exp()) + (6.0 * (exponent + 1.0)).exp();
            if !course.add(10f64.powf(exponent), loss) {
                ended = Some(exponent);
                break;
            }
        }
        let ended = ended.expect("an end before the end");
        assert!((-1.0..0.0).contains(&ended), "{ended}");
        let Curve { points, suggestion } = course.curve();
        // The smoothed loss follows a little behind.
        let suggestion = suggestion.unwrap().log10();
        assert!((-3.0..-1.9).contains(&suggestion), "{suggestion}");
        assert!(points.windows(2).all(|pair| pair[0].learning_rate < pair[1].learning_rate));
    }

    #[test]
    fn a_loss_that_never_falls_suggests_nothing() {
        let mut course = Course::default();
        (1..20).for_each(|step| {
            course.add(1e-5 * f64::from(step), f64::from(step));
        });
        assert_eq!(course.curve().suggestion, None);
    }
}
