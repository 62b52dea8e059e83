//! Progress: a bar on a terminal, a line every ten seconds elsewhere.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;
use crate::tables::duration;

/// Time between two plain lines.
const INTERVAL: Duration = Duration::from_secs(10);
/// The shortest time, and the fewest units, that a rate is computed from: the first units take another time than those that follow.
const MEASURABLE: Duration = Duration::from_secs(2);
const LEAST_UNITS: u64 = 3;

/// The progress of some work, counted in units such as images.
pub struct Progress {
    activity: String,
    unit: &'static str,
    /// `None` if unknown.
    total: Option<u64>,
    /// Units done before this process started.
    first: u64,
    started: Instant,
    printed: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Starts at none of `total` units.
    pub fn new(activity: &str, unit: &'static str, total: impl Into<Option<u64>>) -> Self {
        Self::resumed(activity, unit, total, 0)
    }

    /// Starts at `first` of `total` units.
    pub fn resumed(activity: &str, unit: &'static str, total: impl Into<Option<u64>>, first: u64) -> Self {
        let total = total.into();
        let bar = (io::stderr().is_terminal() && !output::is_quiet()).then(|| {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(5));
            let template = match total {
                Some(_) => "{prefix} {wide_bar} {pos}/{len} {msg}",
                None => "{prefix} {pos} {msg}",
            };
            // The template is valid; if it were not, the default style would do.
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(activity.to_owned());
            bar.set_position(first);
            bar
        });
        let now = Instant::now();
        Self { activity: activity.to_owned(), unit, total, first, started: now, printed: now, bar }
    }

    /// Sets the number of units done. `detail` is called only if it is shown.
    pub fn set(&mut self, done: u64, detail: impl FnOnce() -> String) {
        match &self.bar {
            Some(bar) => {
                bar.set_message(listed([detail(), self.pace(done)]));
                bar.set_position(done);
            }
            None if !output::is_quiet() && self.printed.elapsed() >= INTERVAL => {
                self.printed = Instant::now();
                let Self { activity, unit, total, .. } = &*self;
                let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
                output::note(&listed([format!("{activity}: {done}{of} {unit}"), detail(), self.pace(done)]));
            }
            None => {}
        }
    }

    /// Sets the number of units done, of which `first` were done before and do not count for the rate.
    pub fn set_skipping(&mut self, done: u64, first: u64) {
        self.first = first;
        self.set(done, String::new);
    }

    /// The rate so far, and the time left at this rate; nothing until they are measurable.
    fn pace(&self, done: u64) -> String {
        let Some(rate) = rate(done.saturating_sub(self.first), self.started.elapsed()) else { return String::new() };
        let decimals = usize::from(rate < 10.0);
        let left = self.total.map(|total| format!(", {} left", duration(total.saturating_sub(done) as f64 / rate)));
        format!("{rate:.decimals$} {}/s{}", self.unit, left.unwrap_or_default())
    }

    /// Prints a note without breaking the bar.
    pub fn note(&self, text: &str) {
        self.suspended(|| output::note(text));
    }

    /// Prints what went wrong in a part of the work, without breaking the bar.
    pub fn problem(&self, text: &str) {
        self.suspended(|| output::problem(text));
    }

    fn suspended(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
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

/// The parts that are not empty, with commas between them.
fn listed<const N: usize>(parts: [String; N]) -> String {
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(", ")
}

/// Units per second, once enough of them were done in a long enough time.
fn rate(done: u64, elapsed: Duration) -> Option<f64> {
    (done >= LEAST_UNITS && elapsed >= MEASURABLE).then(|| done as f64 / elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_rate_before_it_can_be_measured() {
        assert_eq!(rate(1, Duration::from_micros(7)), None);
        assert_eq!(rate(1000, Duration::from_millis(10)), None);
        assert_eq!(rate(1, Duration::from_secs(30)), None);
        assert_eq!(rate(40, Duration::from_secs(10)), Some(4.0));
    }
}
