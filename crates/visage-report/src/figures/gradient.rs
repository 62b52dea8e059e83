//! The norm of the gradient.

use super::{numbered, per_run, run_keys};
use crate::axis::Axis;
use crate::drawing::{Dash, Ink, Tooltip};
use crate::figure::Figure;
use crate::number::{grouped, median, short};
use crate::run::Run;
use crate::sheet::{NARROW, Sheet};

/// Number of windows that a run is cut into, each shown by its median, minimum and maximum: as many as the eye can separate.
const WINDOWS: usize = 120;

/// L2 norm of the gradient over the steps.
pub fn figure(runs: &[Run]) -> Option<Figure> {
    let with = numbered(runs, |run| &run.steps);
    let last = with.iter().filter_map(|(_, run)| run.steps.last()).map(|step| step.step).max()?;
    let mut sheet = Sheet::new(NARROW, &run_keys(with.iter().map(|(number, run)| (*number, run.name.as_str()))));
    let norms = with.iter().flat_map(|(_, run)| run.steps.iter().map(|step| step.gradient_norm));
    let y = Axis::ratios("Gradient norm (L2, all weights)", norms);
    let plot = sheet.plot("", 180.0, Axis::new("Optimiser step", 0.0, last as f64), y);
    for (number, run) in &with {
        let size = run.steps.len().div_ceil(WINDOWS);
        let windows = run.steps.chunks(size);
        let (mut middle, mut band) = (Vec::new(), Vec::new());
        for window in windows {
            let at = window[window.len() / 2].step as f64;
            let norms = || window.iter().map(|step| step.gradient_norm).filter(|norm| norm.is_finite());
            let (low, high) = norms().fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
            if let Some(value) = median(norms()) {
                middle.push([at, value]);
                band.push([at, low, high]);
            }
        }
        plot.band(&band, Ink::Series(*number), 0.2);
        let tooltip = Tooltip::Values(format!(
            "{}{}",
            run.name,
            if size > 1 { format!(", median of {size} steps") } else { String::new() }
        ));
        plot.line(&middle, Ink::Series(*number), 1.6, Dash::of_run(*number), tooltip);
    }
    Some(Figure {
        file: "gradient-norm".to_owned(),
        title: "Gradient norm".to_owned(),
        reading: per_run("The gradient norm", with.iter().map(|(_, run)| (run.name.as_str(), in_words(run)))),
        drawing: sheet.finish(),
    })
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
