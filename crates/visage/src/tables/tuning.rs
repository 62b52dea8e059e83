//! A search: its progress, its trials, and what mattered.

use std::path::Path;

use visage_data::Dataset;
use visage_run::space::Trials;
use visage_run::{JobRow, Monitor, TuneRequest};
use visage_train::Event;
use visage_train::tune::{Progress as Position, TuneEvent, TuneResults};

use super::{Table, counted, duration, percent, score};
use crate::output;
use crate::progress::Progress;

/// Trials that are printed; the table has all.
const LISTED: usize = 20;

/// Prints the events of a search, and shows its progress.
pub struct SearchPrinter<'a> {
    request: &'a TuneRequest,
    trials: &'a Trials,
    /// Jobs that an earlier process has finished.
    replayed: u64,
    /// Where the search is, once a job of this process has begun.
    position: Option<Position>,
    images: u64,
    seconds: f64,
    progress: Option<Progress>,
}

impl<'a> SearchPrinter<'a> {
    /// A printer for one search.
    pub fn new(request: &'a TuneRequest, trials: &'a Trials) -> Self {
        Self { request, trials, replayed: 0, position: None, images: 0, seconds: 0.0, progress: None }
    }

    /// Seconds that all jobs took.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Says what is searched.
    pub fn begin(&self, dataset: &Dataset, out: &Path) {
        let length = match (self.request.trials, self.request.hours) {
            (Some(trials), None) => counted(trials.into(), "trial"),
            (Some(trials), Some(hours)) => {
                format!("{} or {}", counted(trials.into(), "trial"), duration(hours * 3600.0))
            }
            (None, hours) => duration(hours.unwrap_or(0.0) * 3600.0),
        };
        output::note(&format!(
            "recipe {} on {}: {length}, judged by {} on the validation split\nparameters: {}\nsearch folder: {}",
            self.trials.base().name,
            dataset.name(),
            self.request.metric.in_words(),
            self.request.parameters.join("  "),
            out.display()
        ));
    }

    /// Shows an event.
    pub fn show(&mut self, event: &TuneEvent<'_>) {
        match event {
            TuneEvent::Begins(position) => {
                if self.position.is_none() && self.replayed > 0 {
                    output::note(&format!("going on after {}", counted(self.replayed, "finished job")));
                }
                self.position = Some((*position).clone());
            }
            TuneEvent::Training(event) => self.training(event),
            TuneEvent::Ended(position, row) => {
                self.seconds = position.seconds;
                if self.position.is_some() { self.ended(position, row) } else { self.replayed += 1 }
            }
        }
    }

    fn training(&mut self, event: &Event<'_>) {
        let Some(position) = &self.position else { return };
        match event {
            Event::Started(started) => {
                self.images = started.training_images as u64;
                let total = position.expected.map(|epochs| u64::from(epochs) * self.images);
                let first = u64::from(position.done) * self.images;
                self.progress.get_or_insert_with(|| Progress::resumed("searching", "images", total, first));
            }
            Event::Step { row, steps_per_epoch, .. } => {
                let epochs = row.step as f64 / *steps_per_epoch as f64 + f64::from(position.done - position.trained);
                let best = position.best.as_ref().map(|(trial, row)| {
                    format!(", best so far {} (trial {trial})", score(row.value(self.request.metric)))
                });
                if let Some(progress) = &mut self.progress {
                    progress.set((epochs * self.images as f64) as u64, || {
                        let trial = position.job.trial;
                        format!("trial {trial}, epoch {} of {}{}", row.epoch, position.epochs, best.unwrap_or_default())
                    });
                }
            }
            _ => {}
        }
    }

    fn ended(&self, position: &Position, row: &JobRow) {
        let metric = self.request.metric;
        let result = match row.diverged {
            true => "diverged".to_owned(),
            false => format!("{} {}", metric.in_words(), score(row.value(metric))),
        };
        let best = position.best.as_ref().map_or_else(String::new, |(trial, row)| {
            let values = self.trials.assignments(*trial as u32).join(" ");
            format!("; best so far {}, trial {trial}: {values}", score(row.value(metric)))
        });
        let line = format!(
            "trial {}, {}, rung {} of {}: {result}{best}{}",
            row.trial,
            counted(row.trained.into(), "epoch"),
            position.job.rung + 1,
            position.rungs.len(),
            self.left(position)
        );
        match &self.progress {
            Some(progress) => progress.note(&line),
            None => output::note(&line),
        }
    }

    /// An estimate of the time left.
    fn left(&self, position: &Position) -> String {
        let by_trials = position.expected.map(|expected| {
            f64::from(expected.saturating_sub(position.done)) * position.seconds / f64::from(position.done.max(1))
        });
        let by_hours = self.request.hours.map(|hours| (hours * 3600.0 - position.seconds).max(0.0));
        let left = by_trials.into_iter().chain(by_hours).reduce(f64::min).unwrap_or(0.0);
        if left > 0.0 { format!("; about {} left", duration(left)) } else { String::new() }
    }
}

/// The trials from the best, and the importance of the parameters.
pub fn text(results: &TuneResults) -> String {
    let metric = results.metric;
    // The metric of the search comes first.
    let others: Vec<Monitor> = [Monitor::Accuracy, Monitor::F1].into_iter().filter(|other| *other != metric).collect();
    let mut headings = vec!["Trial".to_owned(), "Epochs".to_owned()];
    headings.extend(std::iter::once(&metric).chain(&others).map(|metric| capitalised(&metric.in_words())));
    headings.extend(results.parameters.iter().cloned());
    let mut table = Table::new(0, &headings.iter().map(String::as_str).collect::<Vec<_>>());
    let ranked = results.ranked();
    for trial in ranked.iter().take(LISTED) {
        let scores = &trial.scores;
        let mark = if results.best == Some(trial.number) { "*" } else { "" };
        let value = if scores.diverged { "diverged".to_owned() } else { score(scores.value(metric)) };
        let cells = [format!("{}{mark}", trial.number), scores.trained.to_string(), value];
        let cells = cells.into_iter().chain(others.iter().map(|&other| score(scores.value(other))));
        table.row(cells.chain(trial.values.iter().cloned()));
    }
    let more = match ranked.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!("and {}\n", counted(more as u64, "more trial")),
    };
    format!("{}{more}{}", table.text(), importance(results))
}

fn importance(results: &TuneResults) -> String {
    if results.importance.is_empty() {
        return String::new();
    }
    let mut ordered: Vec<_> = results.importance.iter().collect();
    ordered.sort_by(|a, b| b.share.total_cmp(&a.share));
    let mut table = Table::new(1, &["Parameter", "Explains", "By chance"]);
    for each in ordered {
        table.row([each.key.clone(), percent(Some(each.share)), percent(Some(each.by_chance))]);
    }
    format!(
        "\nshare of the variance of {} that a parameter explains by itself (a first-order effect), over {} on the first rung; one \
         without effect seems to explain as much as by chance\n{}",
        results.metric.in_words(),
        counted(results.important_trials as u64, "trial"),
        table.text()
    )
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
