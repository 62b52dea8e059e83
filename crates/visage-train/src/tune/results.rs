//! What a search has found.

use serde::Serialize;
use visage_run::space::Trials;
use visage_run::{JobRow, Monitor};

use super::importance::{Importance, importance};

/// The trials of a search.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TuneResults {
    /// The metric by which they are judged.
    pub metric: Monitor,
    /// The keys of the parameters.
    pub parameters: Vec<String>,
    /// The trials, from number 0.
    pub trials: Vec<Trial>,
    /// The index of the best one; `None` if all diverged.
    pub best: Option<usize>,
    /// The importance of each parameter for the metric on the first rung, where all trials are; empty if there are too few.
    pub importance: Vec<Importance>,
    /// The trials that it was computed from.
    pub important_trials: usize,
}

/// One trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// Its number, from 0.
    pub number: usize,
    /// The values of the parameters, as they are written after `key=`.
    pub values: Vec<String>,
    /// Its epochs, and the scores on the validation split after the best of them.
    pub scores: JobRow,
}

impl TuneResults {
    /// Of the rows of each trial after the first rung and after the last that it reached.
    pub(super) fn new(metric: Monitor, of: &Trials, rows: &[(JobRow, JobRow)], best: Option<usize>) -> Self {
        let first = rows.iter().filter(|(first, _)| !first.diverged);
        let judged: Vec<(Vec<String>, f64)> =
            first.filter_map(|(first, _)| Some((of.values(first.trial), first.value(metric)?))).collect();
        let trial = |(_, newest): &(JobRow, JobRow)| Trial {
            number: newest.trial as usize,
            values: of.values(newest.trial),
            scores: *newest,
        };
        Self {
            metric,
            parameters: of.parameters().iter().map(|parameter| parameter.key.clone()).collect(),
            trials: rows.iter().map(trial).collect(),
            best,
            importance: importance(of.parameters(), &judged),
            important_trials: judged.len(),
        }
    }

    /// The trials from the best: those that were trained longest first, and those that diverged last.
    #[must_use]
    pub fn ranked(&self) -> Vec<&Trial> {
        let key = |trial: &Trial| {
            let value = trial.scores.value(self.metric).filter(|_| !trial.scores.diverged);
            value.map(|value| if self.metric.lower_is_better() { -value } else { value })
        };
        let mut trials: Vec<&Trial> = self.trials.iter().collect();
        trials.sort_by(|a, b| {
            let (a, b) = ((key(a), a.scores.epochs), (key(b), b.scores.epochs));
            let alive = b.0.is_some().cmp(&a.0.is_some());
            alive.then(b.1.cmp(&a.1)).then(b.0.unwrap_or(0.0).total_cmp(&a.0.unwrap_or(0.0)))
        });
        trials
    }

    /// The table of trials, as CSV: a row for each, in the order of their numbers.
    pub(super) fn table(&self) -> String {
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        let mut writer = csv::Writer::from_writer(Vec::new());
        let fixed = [
            "trial",
            "epochs",
            "diverged",
            "best",
            "best_epoch",
            "validation_loss",
            "accuracy",
            "balanced_accuracy",
            "f1",
            "average_precision",
        ];
        let header = fixed.into_iter().chain(self.parameters.iter().map(String::as_str));
        // Writing to memory does not fail.
        let _ = writer.write_record(header);
        for (index, Trial { number: trial, values, scores }) in self.trials.iter().enumerate() {
            let cells = [
                trial.to_string(),
                scores.trained.to_string(),
                scores.diverged.to_string(),
                (self.best == Some(index)).to_string(),
                scores.best_epoch.to_string(),
                number(scores.validation_loss),
                number(scores.accuracy),
                number(scores.balanced_accuracy),
                number(scores.f1),
                number(scores.average_precision),
            ];
            let _ = writer.write_record(cells.iter().chain(values));
        }
        String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
    }
}
