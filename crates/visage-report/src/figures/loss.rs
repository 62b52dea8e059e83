//! Training and validation loss.

use visage_run::EpochRow;

use super::{numbered, reading_of_runs};
use crate::axis::Axis;
use crate::drawing::{Dash, Ink, Tooltip};
use crate::figure::Figure;
use crate::number::short;
use crate::run::Run;
use crate::sheet::{LegendEntry, Sheet, Swatch, WIDE};

pub fn figure(runs: &[Run]) -> Option<Figure> {
    let with = numbered(runs, |run| &run.epochs);
    let last = with.iter().filter_map(|(_, run)| run.epochs.last()).map(|epoch| epoch.epoch).max()?;
    let mut keys = Vec::new();
    for (number, run) in &with {
        let prefix = if with.len() > 1 { format!("{}: ", run.name) } else { String::new() };
        keys.push(LegendEntry::new(format!("{prefix}training"), Ink::Series(*number), Swatch::Line(Dash::Dotted)));
        keys.push(LegendEntry::new(format!("{prefix}validation"), Ink::Series(*number), Swatch::Line(Dash::Solid)));
    }
    keys.push(LegendEntry::new("best epoch", Ink::Text, Swatch::Ring));
    let values = with.iter().flat_map(|(_, run)| run.epochs.iter().flat_map(|e| [e.train_loss, e.validation_loss]));
    let mut sheet = Sheet::new(WIDE, &keys);
    let x = Axis::new("Epoch", 1.0, last as f64);
    let plot = sheet.plot("", 230.0, x, Axis::around("Loss (mean per known label)", values));
    for (number, run) in &with {
        let ink = Ink::Series(*number);
        let points = |of: fn(&EpochRow) -> f64| run.epochs.iter().map(move |e| [e.epoch as f64, of(e)]);
        let (training, validation): (Vec<_>, Vec<_>) =
            (points(|e| e.train_loss).collect(), points(|e| e.validation_loss).collect());
        let name = |what: &str| Tooltip::Values(format!("{}, {what}", run.name));
        plot.line(&training, ink, 1.6, Dash::Dotted, name("training"));
        plot.line(&validation, ink, 2.0, Dash::Solid, name("validation"));
        if validation.len() <= 40 {
            training.iter().for_each(|&at| plot.dot(at, 2.0, false, ink, name("training")));
            validation.iter().for_each(|&at| plot.dot(at, 3.0, false, ink, name("validation")));
        }
        if let Some(best) = run.epochs.iter().rev().find(|epoch| epoch.best) {
            plot.dot([best.epoch as f64, best.validation_loss], 6.0, true, Ink::Text, Tooltip::Nothing);
        }
    }
    let mut reading = reading_of_runs("Lowest validation loss:", &with, in_words);
    if with.iter().any(|(_, run)| run.loss != with[0].1.loss) {
        reading += " The runs minimise different losses: compare the shapes of the curves, not their heights.";
    }
    Some(Figure::new("loss", "Training and validation loss", reading, sheet))
}

fn in_words(run: &Run) -> String {
    let Some(lowest) = run.epochs.iter().min_by(|a, b| a.validation_loss.total_cmp(&b.validation_loss)) else {
        return "not measured".to_owned();
    };
    let last = run.epochs.last().unwrap_or(lowest);
    let since = if last.epoch == lowest.epoch {
        "the last epoch, so training longer might lower it further".to_owned()
    } else {
        format!("after which it rose to {}", short(last.validation_loss))
    };
    let of = format!("{} in epoch {} of {}", short(lowest.validation_loss), lowest.epoch, last.epoch);
    format!("{of}, {since}, with a training loss of {}", short(last.train_loss))
}
