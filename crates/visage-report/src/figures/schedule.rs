//! The learning rate.

use visage_run::StepRow;

use super::{numbered, reading_of_runs, sheet_of_runs};
use crate::axis::Axis;
use crate::drawing::{Dash, Ink, Tooltip};
use crate::figure::Figure;
use crate::number::{grouped, short};
use crate::run::Run;

pub fn figure(runs: &[Run]) -> Option<Figure> {
    let with = numbered(runs, |run| &run.steps);
    let last = with.iter().filter_map(|(_, run)| run.steps.last()).map(|step| step.step).max()?;
    let mut sheet = sheet_of_runs(&with);
    let rates = with.iter().flat_map(|(_, run)| run.steps.iter().map(|step| step.learning_rate));
    let y = Axis::from_zero("Learning rate (per step)", rates);
    let plot = sheet.plot("", 180.0, Axis::new("Optimiser step", 0.0, last as f64), y);
    for (number, run) in &with {
        let points: Vec<_> = run.steps.iter().map(|step| [step.step as f64, step.learning_rate]).collect();
        let tooltip = Tooltip::Values(run.name.clone());
        plot.line(&points, Ink::Series(*number), 1.8, Dash::of_run(*number), tooltip);
    }
    Some(Figure::new("learning-rate", "Learning rate", reading_of_runs("The learning rate", &with, in_words), sheet))
}

fn in_words(run: &Run) -> String {
    let peak = run.steps.iter().fold(None, |peak: Option<&StepRow>, step| match peak {
        Some(peak) if peak.learning_rate >= step.learning_rate => Some(peak),
        _ => Some(step),
    });
    let (Some(first), Some(peak), Some(last)) = (run.steps.first(), peak, run.steps.last()) else {
        return "is unknown".to_owned();
    };
    if first.learning_rate == peak.learning_rate && last.learning_rate == peak.learning_rate {
        return format!("is constant at {} for {} steps", short(peak.learning_rate), grouped(last.step as f64));
    }
    let rise = if peak.step > first.step {
        format!(
            "rises from {} to {} at step {}",
            short(first.learning_rate),
            short(peak.learning_rate),
            grouped(peak.step as f64)
        )
    } else {
        format!("begins at {}", short(first.learning_rate))
    };
    format!("{rise} and ends at {}", short(last.learning_rate))
}
