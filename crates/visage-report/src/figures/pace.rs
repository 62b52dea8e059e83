//! Training speed.

use visage_run::EpochRow;

use super::{numbered, reading_of_runs, sheet_of_runs};
use crate::axis::Axis;
use crate::drawing::{Dash, Ink, Tooltip};
use crate::figure::Figure;
use crate::number::{median, short};
use crate::run::Run;
use crate::sheet::Sheet;

pub fn seconds(runs: &[Run]) -> Option<Figure> {
    let in_words = |run: &Run| {
        let slowest = run.epochs.iter().max_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let slowest =
            slowest.map_or_else(String::new, |e| format!(", the slowest, epoch {}, {} s", e.epoch, short(e.seconds)));
        format!("a median of {} s{slowest}", short(median(run.epochs.iter().map(|e| e.seconds)).unwrap_or(f64::NAN)))
    };
    let with = numbered(runs, |run| &run.epochs);
    let sheet = sheet(&with, "Time (seconds)", |epoch| epoch.seconds)?;
    Some(Figure::new("epoch-time", "Time per epoch", reading_of_runs("An epoch took", &with, in_words), sheet))
}

pub fn images_per_second(runs: &[Run]) -> Option<Figure> {
    let in_words = |run: &Run| {
        let rates = || run.epochs.iter().map(|epoch| epoch.images_per_second);
        let (low, high) = rates().fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
        format!("a median of {}, from {} to {}", short(median(rates()).unwrap_or(f64::NAN)), short(low), short(high))
    };
    let with = numbered(runs, |run| &run.epochs);
    let sheet = sheet(&with, "Images per second (training)", |epoch| epoch.images_per_second)?;
    let reading = reading_of_runs("Training images per second:", &with, in_words);
    Some(Figure::new("images-per-second", "Training speed", reading, sheet))
}

fn sheet(with: &[(usize, &Run)], label: &str, of: fn(&EpochRow) -> f64) -> Option<Sheet> {
    let last = with.iter().filter_map(|(_, run)| run.epochs.last()).map(|epoch| epoch.epoch).max()?;
    let mut sheet = sheet_of_runs(with);
    let y = Axis::from_zero(label, with.iter().flat_map(|(_, run)| run.epochs.iter().map(of)));
    let plot = sheet.plot("", 180.0, Axis::new("Epoch", 1.0, last as f64), y);
    for (number, run) in with {
        let points: Vec<_> = run.epochs.iter().map(|epoch| [epoch.epoch as f64, of(epoch)]).collect();
        let tooltip = || Tooltip::Values(run.name.clone());
        plot.line(&points, Ink::Series(*number), 1.8, Dash::of_run(*number), tooltip());
        if points.len() <= 40 {
            points.iter().for_each(|&at| plot.dot(at, 3.0, false, Ink::Series(*number), tooltip()));
        }
    }
    Some(sheet)
}
