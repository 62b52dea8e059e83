//! Training speed.

use super::{numbered, per_run, run_keys};
use crate::axis::Axis;
use crate::drawing::{Dash, Ink, Tooltip};
use crate::figure::Figure;
use crate::number::{median, short};
use crate::run::{Epoch, Run};
use crate::sheet::{NARROW, Sheet};

/// Time of each epoch.
pub fn seconds(runs: &[Run]) -> Option<Figure> {
    let reading = |run: &Run| {
        let slowest = run.epochs.iter().max_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let slowest =
            slowest.map_or_else(String::new, |e| format!(", the slowest, epoch {}, {} s", e.epoch, short(e.seconds)));
        format!("a median of {} s{slowest}", short(median(run.epochs.iter().map(|e| e.seconds)).unwrap_or(f64::NAN)))
    };
    let drawn = drawing(runs, "Time (seconds)", |epoch| epoch.seconds)?;
    Some(Figure {
        file: "epoch-time".to_owned(),
        title: "Time per epoch".to_owned(),
        reading: per_run(
            "An epoch took",
            numbered(runs, |run| &run.epochs).iter().map(|(_, run)| (run.name.as_str(), reading(run))),
        ),
        drawing: drawn,
    })
}

/// Training images per second in each epoch.
pub fn images_per_second(runs: &[Run]) -> Option<Figure> {
    let reading = |run: &Run| {
        let rates = || run.epochs.iter().map(|epoch| epoch.images_per_second);
        let (low, high) = rates().fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
        format!("a median of {}, from {} to {}", short(median(rates()).unwrap_or(f64::NAN)), short(low), short(high))
    };
    let drawn = drawing(runs, "Images per second (training)", |epoch| epoch.images_per_second)?;
    Some(Figure {
        file: "images-per-second".to_owned(),
        title: "Training speed".to_owned(),
        reading: per_run(
            "Training images per second:",
            numbered(runs, |run| &run.epochs).iter().map(|(_, run)| (run.name.as_str(), reading(run))),
        ),
        drawing: drawn,
    })
}

fn drawing(runs: &[Run], label: &str, of: fn(&Epoch) -> f64) -> Option<crate::drawing::Drawing> {
    let with = numbered(runs, |run| &run.epochs);
    let last = with.iter().filter_map(|(_, run)| run.epochs.last()).map(|epoch| epoch.epoch).max()?;
    let mut sheet = Sheet::new(NARROW, &run_keys(with.iter().map(|(number, run)| (*number, run.name.as_str()))));
    let y = Axis::from_zero(label, with.iter().flat_map(|(_, run)| run.epochs.iter().map(of)));
    let plot = sheet.plot("", 180.0, Axis::new("Epoch", 1.0, last as f64), y);
    for (number, run) in &with {
        let points: Vec<_> = run.epochs.iter().map(|epoch| [epoch.epoch as f64, of(epoch)]).collect();
        let tooltip = || Tooltip::Values(run.name.clone());
        plot.line(&points, Ink::Series(*number), 1.8, Dash::of_run(*number), tooltip());
        if points.len() <= 40 {
            points.iter().for_each(|&at| plot.dot(at, 3.0, false, Ink::Series(*number), tooltip()));
        }
    }
    Some(sheet.finish())
}
