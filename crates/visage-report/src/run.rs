//! What a report is made of.

use std::collections::HashMap;

use visage_judge::{Consistency, ConsistentScores, Evaluation, Gap, Group, Metric, Predictions};

use crate::Picture;

/// A run: how it trained, and what it is worth if it was judged.
#[derive(Clone, Debug)]
pub struct Run {
    /// What it is called, unlike any other run of the report.
    pub name: String,
    /// What there is to say about it in a table: a heading and a value each.
    pub facts: Vec<(String, String)>,
    /// What its loss is, such as `bce`: losses of different kinds do not compare.
    pub loss: String,
    /// Its epochs, in order.
    pub epochs: Vec<Epoch>,
    /// Its optimiser steps, in order.
    pub steps: Vec<Step>,
    /// The judgement, if there is one.
    pub judged: Option<Judged>,
    /// Pictures of what it finds hard, if they are wanted.
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
    /// Time of training and validation, in seconds.
    pub seconds: f64,
    /// Training images a second.
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

/// A 95 % confidence interval for each metric that has one, as `[low, high]`.
pub type MetricIntervals = HashMap<Metric, [f64; 2]>;

/// The judgement of a run on a part of a dataset.
#[derive(Clone, Debug)]
pub struct Judged {
    /// On what, in words.
    pub on: String,
    /// How the thresholds were chosen, in words.
    pub thresholds: String,
    /// The metrics.
    pub evaluation: Evaluation,
    /// Intervals of the means over the attributes.
    pub macro_intervals: MetricIntervals,
    /// Intervals of each attribute, in the order of the evaluation; empty if there are none.
    pub attribute_intervals: Vec<MetricIntervals>,
    /// The labels and probabilities behind them, without which there are no curves.
    pub predictions: Option<Predictions>,
    /// The same predictions before they were calibrated, if they were.
    pub uncalibrated: Option<Predictions>,
    /// Groups of the images that were judged apart.
    pub groups: Vec<Group>,
    /// The gaps between them.
    pub gaps: Vec<Gap>,
    /// How often labels and answers break rules between attributes, if there are any.
    pub consistency: Option<Consistency>,
    /// What answers are worth that break none, if that was asked.
    pub consistent: Option<ConsistentScores>,
}
