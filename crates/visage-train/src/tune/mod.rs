//! Searching the recipe that is best by a metric on the validation split.
//!
//! `Asha` decides which trial is trained next, and up to which epoch. A trial is an ordinary run that pauses there and
//! may be resumed later. Each finished job is a row of `jobs.csv`, and nothing else is remembered: a search that is killed replays
//! these rows, resumes the run that was in progress, and ends like one that was not.

mod asha;
mod error;
mod importance;
mod results;

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use visage_run::space::Trials;
use visage_run::{EpochRow, JobRow, JobTable, RunFolder, RunStatus, TuneFolder, TuneRequest};

use self::asha::Asha;
pub use self::asha::Job;
pub use self::error::TuneError;
pub use self::importance::Importance;
pub use self::results::{Trial, TuneResults};
use crate::error::TrainError;
use crate::trainer::{Event, TrainSettings, train};

/// A search to run.
#[derive(Clone, Debug)]
pub struct Search<'a> {
    /// What was asked for.
    pub request: &'a TuneRequest,
    /// The trials.
    pub trials: &'a Trials,
    /// The folder of the search.
    pub folder: &'a TuneFolder,
    /// The dataset, the device and whatever else all runs share. Each trial has its own recipe and folder.
    pub settings: &'a TrainSettings,
}

/// Progress of a search.
#[derive(Debug)]
pub enum TuneEvent<'a> {
    /// A job of this process is about to begin.
    Begins(&'a Progress),
    /// An event of its run.
    Training(Event<'a>),
    /// A job has ended, in this process or in an earlier one.
    Ended(&'a Progress, &'a JobRow),
}

/// Where a search is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The current job.
    pub job: Job,
    /// The epochs that its trial will have.
    pub epochs: u32,
    /// The rungs, in epochs.
    pub rungs: Vec<u32>,
    /// The epochs that its trial had before.
    pub trained: u32,
    /// The epochs trained by all jobs that have ended.
    pub done: u32,
    /// Seconds that these jobs took.
    pub seconds: f64,
    /// The epochs of the whole search, as far as they can be told: at least these, if every promotion is of a trial that is among
    /// the best in the end. `None` if it has no number of trials.
    pub expected: Option<u32>,
    /// The best trial so far and its newest row.
    pub best: Option<(usize, JobRow)>,
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq)]
pub enum TuneOutcome {
    /// Every job is done, or the time is up.
    Finished(TuneResults),
    /// It was stopped on request, and can go on later.
    Interrupted,
}

impl Search<'_> {
    /// Searches, from wherever the search in the folder is. `stop` may be set from another thread at any time: the run in progress
    /// then writes a checkpoint after its current step, and the search ends as interrupted. After every job the table of trials
    /// and the recipe of the best one are written.
    ///
    /// # Errors
    ///
    /// When a recipe is not valid, a trial fails for another reason than that its loss diverges, or the folder cannot be written.
    pub fn run(&self, stop: &AtomicBool, observe: &mut dyn FnMut(TuneEvent<'_>)) -> Result<TuneOutcome, TuneError> {
        let (table, rows) = self.folder.jobs()?;
        let mut state = State::new(self, table);
        for row in rows {
            let progress = state.next().filter(|next| {
                (next.job.trial, next.epochs, state.jobs.len() as u64 + 1) == (row.trial as usize, row.epochs, row.job)
            });
            let other = || TuneError::OtherJobs {
                path: self.folder.file(TuneFolder::JOBS),
                job: row.job,
                trial: row.trial,
                epochs: row.epochs,
            };
            let progress = progress.ok_or_else(other)?;
            state.record(progress.job, row);
            observe(TuneEvent::Ended(&state.after(progress), &row));
        }
        let limit = self.request.hours.map_or(f64::INFINITY, |hours| hours * 3600.0);
        while let Some(progress) = state.next().filter(|progress| progress.seconds < limit) {
            observe(TuneEvent::Begins(&progress));
            let Some(row) = self.train(&progress, state.jobs.len() as u64 + 1, stop, observe)? else {
                return Ok(TuneOutcome::Interrupted);
            };
            state.table.append(&row)?;
            state.record(progress.job, row);
            self.write(&state.results())?;
            observe(TuneEvent::Ended(&state.after(progress), &row));
        }
        let results = state.results();
        self.write(&results)?;
        Ok(TuneOutcome::Finished(results))
    }

    /// Trains the trial of a job up to its epochs; `None` if it was stopped before.
    fn train(
        &self,
        progress: &Progress,
        job: u64,
        stop: &AtomicBool,
        observe: &mut dyn FnMut(TuneEvent<'_>),
    ) -> Result<Option<JobRow>, TuneError> {
        let began = Instant::now();
        let trial = progress.job.trial;
        let folder = self.folder.trial(trial as u32);
        let settings = TrainSettings {
            recipe: self.trials.recipe(trial as u32, &format!("{}-{trial:03}", self.trials.base().name))?,
            resume: RunFolder::holds_run(&folder),
            folder: folder.clone(),
            pause_after: Some(progress.epochs),
            accept_changes: false,
            ..self.settings.clone()
        };
        let diverged = match train(&settings, stop, &mut |event| observe(TuneEvent::Training(event))) {
            Ok(outcome) if outcome.status == RunStatus::Interrupted && outcome.result.epochs < progress.epochs => {
                return Ok(None);
            }
            Ok(_) => false,
            Err(TrainError::Diverged { .. }) => true,
            Err(error) => return Err(TuneError::Trial { trial, folder, error: Box::new(error) }),
        };
        let epochs = RunFolder::open(&folder)?.read_epochs()?;
        if epochs.is_empty() && !diverged {
            return Err(TuneError::NoEpochs { path: folder });
        }
        let row = JobRow {
            job,
            trial: trial as u32,
            epochs: progress.epochs,
            diverged,
            seconds: began.elapsed().as_secs_f64(),
            ..self.best_epoch(&epochs)
        };
        Ok(Some(row))
    }

    /// The number of epochs, and the scores of the best.
    fn best_epoch(&self, epochs: &[EpochRow]) -> JobRow {
        let metric = self.request.metric;
        let trained = JobRow { trained: epochs.len() as u32, ..JobRow::default() };
        let scores = |row: &EpochRow| JobRow {
            best_epoch: row.epoch as u32,
            validation_loss: Some(row.validation_loss),
            accuracy: row.accuracy,
            balanced_accuracy: row.balanced_accuracy,
            f1: row.f1,
            average_precision: row.average_precision,
            ..trained
        };
        let is_better = |new: &JobRow, old: &JobRow| match (new.value(metric), old.value(metric)) {
            (Some(new), Some(old)) if metric.lower_is_better() => new < old,
            (Some(new), Some(old)) => new > old,
            (new, _) => new.is_some(),
        };
        epochs.iter().map(scores).fold(trained, |best, row| if is_better(&row, &best) { row } else { best })
    }

    fn write(&self, results: &TuneResults) -> Result<(), TuneError> {
        self.folder.replace(TuneFolder::TABLE, results.table().as_bytes())?;
        if let Some(best) = results.best {
            let name = format!("{}-tuned", self.trials.base().name);
            let recipe = self.trials.recipe(results.trials[best].number as u32, &name)?;
            self.folder.replace(TuneFolder::BEST, recipe.to_toml()?.as_bytes())?;
        }
        Ok(())
    }
}

/// The jobs that have ended, and what follows from them.
struct State<'a> {
    search: &'a Search<'a>,
    table: JobTable,
    asha: Asha,
    rungs: Vec<u32>,
    jobs: Vec<JobRow>,
}

impl<'a> State<'a> {
    fn new(search: &'a Search<'a>, table: JobTable) -> Self {
        let TuneRequest { eta, min_epochs, trials, metric, .. } = search.request;
        let rungs = asha::rungs(search.trials.base().training.epochs, *eta, *min_epochs);
        let trials = trials.map(|trials| trials as usize);
        let asha = Asha::new(rungs.len(), *eta as usize, trials, metric.lower_is_better());
        Self { search, table, asha, rungs, jobs: Vec::new() }
    }

    fn record(&mut self, job: Job, row: JobRow) {
        let value = row.value(self.search.request.metric).filter(|_| !row.diverged);
        self.asha.record(job, value);
        self.jobs.push(row);
    }

    fn next(&self) -> Option<Progress> {
        let job = self.asha.next()?;
        let newest = self.newest(job.trial);
        Some(Progress {
            job,
            epochs: self.rungs[job.rung],
            rungs: self.rungs.clone(),
            trained: newest.map_or(0, |row| row.trained),
            done: self.done(),
            seconds: self.jobs.iter().map(|row| row.seconds).sum(),
            expected: self.expected(),
            best: self.best(),
        })
    }

    /// The same job once it has ended.
    fn after(&self, progress: Progress) -> Progress {
        let seconds = self.jobs.iter().map(|row| row.seconds).sum();
        Progress { done: self.done(), seconds, best: self.best(), ..progress }
    }

    fn newest(&self, trial: usize) -> Option<&JobRow> {
        self.jobs.iter().rev().find(|row| row.trial as usize == trial)
    }

    fn best(&self) -> Option<(usize, JobRow)> {
        let best = self.asha.best()?;
        Some((best, *self.newest(best)?))
    }

    fn done(&self) -> u32 {
        self.asha.trials().filter_map(|trial| self.newest(trial)).map(|row| row.trained).sum()
    }

    fn expected(&self) -> Option<u32> {
        let mut trials = self.search.request.trials?;
        let mut expected: u32 = 0;
        let mut before = 0;
        for &rung in &self.rungs {
            expected = trials.saturating_mul(rung - before).saturating_add(expected);
            before = rung;
            trials = (trials / self.search.request.eta).max(1);
        }
        Some(expected)
    }

    fn results(&self) -> TuneResults {
        let newest = |trial| self.newest(trial).copied();
        let first = |trial| self.jobs.iter().find(|row| row.trial as usize == trial).copied();
        let rows = self.asha.trials().filter_map(|trial| Some((first(trial)?, newest(trial)?)));
        TuneResults::new(self.search.request.metric, self.search.trials, &rows.collect::<Vec<_>>(), self.asha.best())
    }
}
