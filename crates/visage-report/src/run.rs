//! A run, as a report shows it.

use std::collections::HashMap;

use visage_judge::{Consistency, ConsistentScores, Evaluation, Gap, Group, Metric, Predictions};

use crate::Picture;

/// A run: its training, and its evaluation if there is one.
#[derive(Clone, Debug)]
pub struct Run {
    /// Name, unique in the report.
    pub name: String,
    /// Facts for the table of runs: headings and values.
    pub facts: Vec<(String, String)>,
    /// Kind of loss, such as `bce`: losses of different kinds cannot be compared.
    pub loss: String,
    /// Its epochs, in order.
    pub epochs: Vec<Epoch>,
    /// Its optimiser steps, in order.
    pub steps: Vec<Step>,
    /// The evaluation, if there is one.
    pub judged: Option<Judged>,
    /// Pictures of mistakes and uncertain predictions; empty if not requested.
    pub gallery: Vec<Picture>,
}

/// One epoch.
#[derive(Clone, Copy, Debug)]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: u64,
    /// Mean training loss.
    pub train_loss: f64,
    /// Mean validation loss.
    pub validation_loss: f64,
    /// Duration of training and validation, in seconds.
    pub seconds: f64,
    /// Training images per second.
    pub images_per_second: f64,
    /// Whether it was the best so far.
    pub best: bool,
}

/// One optimiser step.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Its number, from 1.
    pub step: u64,
    /// The epoch it belongs to, from 1.
    pub epoch: u64,
    /// Training loss of the batch.
    pub loss: f64,
    /// Learning rate.
    pub learning_rate: f64,
    /// L2 norm of the gradient of all weights.
    pub gradient_norm: f64,
}

/// The 95 % confidence interval of each metric that has one, as `[low, high]`.
pub type MetricIntervals = HashMap<Metric, [f64; 2]>;

/// The evaluation of a run on a split of a dataset.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The images and their split, in words.
    pub on: String,
    /// How the thresholds were chosen, in words.
    pub thresholds: String,
    /// The metrics.
    pub evaluation: Evaluation,
    /// Intervals of the means over the attributes.
    pub macro_intervals: MetricIntervals,
    /// Intervals of each attribute, in the order of the evaluation; empty if there are none.
    pub attribute_intervals: Vec<MetricIntervals>,
    /// The labels and probabilities; without them there are no curves.
    pub predictions: Option<Predictions>,
    /// The same predictions before they were calibrated, if they were.
    pub uncalibrated: Option<Predictions>,
    /// Metrics of groups of images.
    pub groups: Vec<Group>,
    /// The gaps between them.
    pub gaps: Vec<Gap>,
    /// How often labels and predictions violate rules between attributes, if there are rules.
    pub consistency: Option<Consistency>,
    /// Metrics of consistent predictions, if requested.
    pub consistent: Option<ConsistentScores>,
}

/// The attributes that some run was evaluated on, in order of first occurrence.
pub(crate) fn attributes(runs: &[Run]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for judged in runs.iter().filter_map(|run| run.judged.as_ref()) {
        for metrics in &judged.evaluation.attributes {
            if !names.contains(&metrics.attribute.as_str()) {
                names.push(&metrics.attribute);
            }
        }
    }
    names
}
