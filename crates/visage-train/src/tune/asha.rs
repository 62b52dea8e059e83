//! Which trial to train next, and how far: asynchronous successive halving (Li et al., "A System for Massively Parallel
//! Hyperparameter Tuning", MLSys 2020) with one worker.
//!
//! The scheduler is a function of the results so far. It holds nothing else, so that a search that was killed is at the same
//! point again once it has been told the results it had.

use std::cmp::Ordering;

/// A trial to train up to a rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// The trial, from 0.
    pub trial: usize,
    /// The rung, from 0.
    pub rung: usize,
}

/// The rungs in epochs, from the shortest: `epochs`, a part 1/`eta` of it, and so on, down to `min_epochs`.
pub(super) fn rungs(epochs: u32, eta: u32, min_epochs: u32) -> Vec<u32> {
    let shares = std::iter::successors(Some(f64::from(epochs)), |epochs| Some(epochs / f64::from(eta)));
    let shorter = shares.skip(1).map(|epochs| epochs.round() as u32);
    let mut rungs: Vec<u32> = shorter.take_while(|&epochs| epochs >= min_epochs.max(1)).collect();
    rungs.reverse();
    rungs.push(epochs);
    // Rounding makes two of the shortest equal if eta is 2: 3, 2, 1, 1.
    rungs.dedup();
    rungs
}

/// The results of all trials so far.
#[derive(Clone, Debug)]
pub struct Asha {
    rungs: usize,
    eta: usize,
    /// Trials to begin; `None` for as many as there is time for.
    trials: Option<usize>,
    lower_is_better: bool,
    /// The values of each trial at the rungs it has reached; `None` is worse than every number.
    results: Vec<Vec<Option<f64>>>,
}

impl Asha {
    /// A scheduler without results. Of `eta` trials on a rung, one is promoted to the next.
    pub fn new(rungs: usize, eta: usize, trials: Option<usize>, lower_is_better: bool) -> Self {
        Self { rungs, eta, trials, lower_is_better, results: Vec::new() }
    }

    /// The next job; `None` once every trial has been trained, and one in full.
    ///
    /// A trial among the best 1/eta of its rung goes on, on the highest rung where there is one; without such, a new trial begins.
    /// Once all have begun, the best goes on to the last rung if none is there: a few trials are too few to promote any.
    pub fn next(&self) -> Option<Job> {
        let promoted = (0..self.rungs - 1).rev().find_map(|rung| {
            let ranked = self.ranked(rung);
            let best = &ranked[..ranked.len() / self.eta];
            best.iter().copied().find(|&trial| self.waits_on(trial, rung)).map(|trial| Job { trial, rung: rung + 1 })
        });
        let fresh = || {
            let trial = self.results.len();
            self.trials.is_none_or(|trials| trial < trials).then_some(Job { trial, rung: 0 })
        };
        let finishing = || {
            let trial = self.best()?;
            let rung = self.results[trial].len();
            (rung < self.rungs).then_some(Job { trial, rung })
        };
        promoted.or_else(fresh).or_else(finishing)
    }

    /// Takes the result of a job into account: the best value of the trial so far, `None` if it diverged or has none.
    pub fn record(&mut self, job: Job, value: Option<f64>) {
        if self.results.len() <= job.trial {
            self.results.resize(job.trial + 1, Vec::new());
        }
        self.results[job.trial].push(value);
    }

    /// The best trial: of those that reached the highest rung, the one with the best value there. `None` if all diverged.
    pub fn best(&self) -> Option<usize> {
        let alive = (0..self.results.len()).filter(|&trial| self.is_alive(trial));
        alive.min_by(|&a, &b| self.results[b].len().cmp(&self.results[a].len()).then(self.compare(a, b)))
    }

    /// The trials that have begun, in order.
    pub fn trials(&self) -> std::ops::Range<usize> {
        0..self.results.len()
    }

    /// The trials that have reached a rung, from the best on it.
    fn ranked(&self, rung: usize) -> Vec<usize> {
        let mut trials: Vec<usize> =
            (0..self.results.len()).filter(|&trial| self.results[trial].len() > rung).collect();
        trials.sort_by(|&a, &b| self.order(self.results[a][rung], self.results[b][rung]).then(a.cmp(&b)));
        trials
    }

    fn waits_on(&self, trial: usize, rung: usize) -> bool {
        self.results[trial].len() == rung + 1 && self.is_alive(trial)
    }

    fn is_alive(&self, trial: usize) -> bool {
        self.results[trial].last().is_some_and(Option::is_some)
    }

    /// The order of the newest values of two trials, the better first.
    fn compare(&self, a: usize, b: usize) -> Ordering {
        let newest = |trial: usize| self.results[trial].last().copied().flatten();
        self.order(newest(a), newest(b)).then(a.cmp(&b))
    }

    fn order(&self, a: Option<f64>, b: Option<f64>) -> Ordering {
        match (a, b) {
            (Some(a), Some(b)) if self.lower_is_better => a.total_cmp(&b),
            (Some(a), Some(b)) => b.total_cmp(&a),
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The jobs of a search, `(trial, rung)`, in which `value` gives the results.
    fn jobs(mut asha: Asha, value: impl Fn(usize, usize) -> Option<f64>) -> (Vec<(usize, usize)>, Option<usize>) {
        let mut jobs = Vec::new();
        while let Some(job) = asha.next() {
            jobs.push((job.trial, job.rung));
            asha.record(job, value(job.trial, job.rung));
            assert!(jobs.len() < 100);
        }
        (jobs, asha.best())
    }

    #[test]
    fn rungs_end_at_the_epochs_of_the_recipe() {
        assert_eq!(rungs(9, 3, 1), [1, 3, 9]);
        assert_eq!(rungs(10, 3, 1), [1, 3, 10]);
        assert_eq!(rungs(10, 3, 2), [3, 10]);
        assert_eq!(rungs(6, 2, 1), [1, 2, 3, 6]);
        assert_eq!(rungs(3, 2, 1), [1, 2, 3]);
        assert_eq!(rungs(5, 3, 5), [5]);
        assert_eq!(rungs(1, 3, 1), [1]);
    }

    /// Worked out by hand: nine trials, eta 3, three rungs.
    #[test]
    fn the_best_third_of_a_rung_goes_on() {
        let first = [0.5, 0.3, 0.6, 0.9, 0.1, 0.2, 0.7, 0.4, 0.8];
        let value = |trial: usize, rung: usize| Some(first[trial] + rung as f64 * 0.01);
        let (found, best) = jobs(Asha::new(3, 3, Some(9), false), value);
        #[rustfmt::skip]
        let expected = [
            // Of 0.5, 0.3, 0.6 the best is trial 2.
            (0, 0), (1, 0), (2, 0), (2, 1),
            // One of four may go on, and 0.9 is the best of them.
            (3, 0), (3, 1),
            // Two of six may, which are on the next rung already.
            (4, 0), (5, 0),
            // The best two of seven are 0.9 and 0.7. Then three are on the next rung, of which 0.91 goes on.
            (6, 0), (6, 1), (3, 2),
            // The best three of nine are 0.9, 0.8 and 0.7; the best one of four on the next rung is on the last already.
            (7, 0), (8, 0), (8, 1),
        ];
        assert_eq!(found, expected);
        assert_eq!(best, Some(3));
    }

    #[test]
    fn lower_values_can_be_better_and_equal_ones_are_taken_in_order() {
        let (found, best) = jobs(Asha::new(2, 2, Some(4), true), |trial, _| Some([0.5, 0.5, 0.1, 0.9][trial]));
        assert_eq!(found, [(0, 0), (1, 0), (0, 1), (2, 0), (2, 1), (3, 0)]);
        assert_eq!(best, Some(2));
    }

    #[test]
    fn a_trial_that_diverges_is_the_worst_and_is_not_trained_further() {
        let value = |trial, rung| match (trial, rung) {
            (0, _) | (2, 1) => None,
            (trial, _) => Some(trial as f64),
        };
        let (found, best) = jobs(Asha::new(2, 3, Some(3), false), value);
        // Trial 2 is the best of three and diverges later; then the best that is left is trained in full.
        assert_eq!(found, [(0, 0), (1, 0), (2, 0), (2, 1), (1, 1)]);
        assert_eq!(best, Some(1));
        let (found, best) = jobs(Asha::new(2, 3, Some(2), false), |_, _| None);
        assert_eq!((found, best), (vec![(0, 0), (1, 0)], None));
    }

    #[test]
    fn too_few_trials_to_promote_any_still_end_with_one_trained_in_full() {
        let (found, best) = jobs(Asha::new(3, 3, Some(2), false), |trial, _| Some(trial as f64));
        assert_eq!(found, [(0, 0), (1, 0), (1, 1), (1, 2)]);
        assert_eq!(best, Some(1));
    }

    #[test]
    fn one_rung_is_random_search() {
        let (found, best) = jobs(Asha::new(1, 3, Some(3), false), |trial, _| Some(-(trial as f64)));
        assert_eq!((found, best), (vec![(0, 0), (1, 0), (2, 0)], Some(0)));
    }

    #[test]
    fn without_a_number_of_trials_there_is_always_a_job() {
        let mut asha = Asha::new(3, 3, None, false);
        for number in 0..200_u64 {
            let job = asha.next().unwrap();
            asha.record(job, Some((number * 7919 % 101) as f64));
        }
        assert_eq!(asha.results.iter().map(Vec::len).max(), Some(3));
    }
}
