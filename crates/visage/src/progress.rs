//! How far the work is: a bar on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;
use crate::table::duration;

/// Between two plain lines.
const INTERVAL: Duration = Duration::from_secs(10);

/// Progress through things.
pub struct Progress {
    what: String,
    unit: &'static str,
    /// How many there are, where that is known.
    total: Option<u64>,
    /// Things done before this process began.
    first: u64,
    began: Instant,
    told: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins at none of `total` things, called `unit`.
    pub fn new(what: &str, unit: &'static str, total: impl Into<Option<u64>>) -> Self {
        Self::resumed(what, unit, total, 0)
    }

    /// Begins at `first` of `total` things.
    pub fn resumed(what: &str, unit: &'static str, total: impl Into<Option<u64>>, first: u64) -> Self {
        let total = total.into();
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(5));
            let template = match total {
                Some(_) => "{prefix} {wide_bar} {pos}/{len} {msg}",
                None => "{prefix} {pos} {msg}",
            };
            // The template is known to be one; if it were not, the default style would do.
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(what.to_owned());
            bar.set_position(first);
            bar
        });
        let now = Instant::now();
        Self { what: what.to_owned(), unit, total, first, began: now, told: now, bar }
    }

    /// `done` things are done; `detail` says more, and is asked for only when it is shown.
    pub fn set(&mut self, done: u64, detail: impl FnOnce() -> String) {
        match &self.bar {
            Some(bar) => {
                bar.set_message(format!("{}{}", detail(), self.pace(done)));
                bar.set_position(done);
            }
            None if self.told.elapsed() >= INTERVAL => {
                self.told = Instant::now();
                let Self { what, unit, total, .. } = &*self;
                let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
                output::note(&format!("{what}: {done}{of} {unit}, {}{}", detail(), self.pace(done)));
            }
            None => {}
        }
    }

    /// `done` things are done, `first` of which took no time, being done before.
    pub fn set_new(&mut self, done: u64, first: u64) {
        self.first = first;
        self.set(done, String::new);
    }

    /// The rate so far, and how long the rest takes at it.
    fn pace(&self, done: u64) -> String {
        let seconds = self.began.elapsed().as_secs_f64();
        let done_here = done.saturating_sub(self.first) as f64;
        if done_here == 0.0 || seconds == 0.0 {
            return String::new();
        }
        let rate = done_here / seconds;
        let decimals = usize::from(rate < 10.0);
        let left = self.total.map(|total| format!(", {} left", duration(total.saturating_sub(done) as f64 / rate)));
        format!("{rate:.decimals$} {}/s{}", self.unit, left.unwrap_or_default())
    }

    /// Says something without tearing the bar.
    pub fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::note(text)),
            None => output::note(text),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
