//! A run, as a report shows it.

use std::collections::HashSet;

use visage_judge::{Consistency, ConsistentScores, Evaluation, Gap, Group, Intervals, Predictions};
use visage_run::{EpochRow, StepRow};

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
    pub epochs: Vec<EpochRow>,
    /// Its optimiser steps, in order.
    pub steps: Vec<StepRow>,
    /// The evaluation, if there is one.
    pub judged: Option<Judged>,
    /// Pictures of mistakes and uncertain predictions; empty if not requested.
    pub gallery: Vec<Picture>,
}

/// The evaluation of a run on a split of a dataset.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The images and their split, in words.
    pub on: String,
    /// How the thresholds were chosen, in words.
    pub thresholds: String,
    /// The metrics.
    pub evaluation: Evaluation,
    /// The intervals of the metrics, if there are any.
    pub intervals: Option<Intervals>,
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
    let judged = runs.iter().filter_map(|run| run.judged.as_ref());
    first_occurrences(judged.flat_map(|judged| &judged.evaluation.attributes).map(|metrics| metrics.attribute.as_str()))
}

/// The distinct names, in order of first occurrence.
pub(crate) fn first_occurrences<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = HashSet::new();
    names.filter(|name| seen.insert(*name)).collect()
}
