//! The norm of the gradient.

use super::{numbered, reading_of_runs, sheet_of_runs};
use crate::axis::Axis;
use crate::drawing::{Dash, Ink, Tooltip};
use crate::figure::Figure;
use crate::number::{grouped, median, short};
use crate::run::Run;

/// Number of windows that a run is cut into, each shown by its median, minimum and maximum: as many as the eye can separate.
const WINDOWS: usize = 120;

pub fn figure(runs: &[Run]) -> Option<Figure> {
    let with = numbered(runs, |run| &run.steps);
    let last = with.iter().filter_map(|(_, run)| run.steps.last()).map(|step| step.step).max()?;
    let mut sheet = sheet_of_runs(&with);
    let norms = with.iter().flat_map(|(_, run)| run.steps.iter().map(|step| step.gradient_norm));
    let y = Axis::ratios("Gradient norm (L2, all weights)", norms);
    let plot = sheet.plot("", 180.0, Axis::new("Optimiser step", 0.0, last as f64), y);
    for (number, run) in &with {
        let size = run.steps.len().div_ceil(WINDOWS);
        let (mut middle, mut band) = (Vec::new(), Vec::new());
        for window in run.steps.chunks(size) {
            let at = window[window.len() / 2].step as f64;
            let norms = || window.iter().map(|step| step.gradient_norm).filter(|norm| norm.is_finite());
            let (low, high) = norms().fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
            if let Some(value) = median(norms()) {
                middle.push([at, value]);
                band.push([at, low, high]);
            }
        }
        plot.band(&band, Ink::Series(*number), 0.2);
        let medians = if size > 1 { format!(", median of {size} steps") } else { String::new() };
        let tooltip = Tooltip::Values(format!("{}{medians}", run.name));
        plot.line(&middle, Ink::Series(*number), 1.6, Dash::of_run(*number), tooltip);
    }
    let reading = reading_of_runs("The gradient norm", &with, in_words);
    Some(Figure::new("gradient-norm", "Gradient norm", reading, sheet))
}

fn in_words(run: &Run) -> String {
    let middle = median(run.steps.iter().map(|step| step.gradient_norm)).unwrap_or(f64::NAN);
    let lost = run.steps.iter().filter(|step| !step.gradient_norm.is_finite()).count();
    let known = run.steps.iter().filter(|step| step.gradient_norm.is_finite());
    let largest = known.max_by(|a, b| a.gradient_norm.total_cmp(&b.gradient_norm));
    let largest = largest.map_or_else(String::new, |step| {
        format!(" and a maximum of {}, in step {}", short(step.gradient_norm), grouped(step.step as f64))
    });
    let lost = if lost > 0 { format!("; not finite in {lost} steps") } else { String::new() };
    format!("has a median of {}{largest}{lost}", short(middle))
}
