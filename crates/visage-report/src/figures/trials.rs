//! Accuracy against F1 of the trials of a search.

use crate::axis::Axis;
use crate::drawing::{Ink, Tooltip};
use crate::figure::Figure;
use crate::format::counted;
use crate::number::short;
use crate::sheet::{LegendEntry, Sheet, Swatch, WIDE};
use crate::tuning::{TunedTrial, Tuning};

/// A dot for each trial, in a colour for each number of epochs, and a ring around the best; none if no trial has both scores.
pub fn figure(tuning: &Tuning) -> Option<Figure> {
    let placed: Vec<(&TunedTrial, [f64; 2])> =
        tuning.trials.iter().filter_map(|trial| Some((trial, [trial.f1?, trial.accuracy?]))).collect();
    placed.first()?;
    let mut epochs: Vec<u32> = placed.iter().map(|(trial, _)| trial.epochs).collect();
    epochs.sort_unstable_by(|a, b| b.cmp(a));
    epochs.dedup();
    let ink = |trial: &TunedTrial| Ink::Series(epochs.iter().position(|&each| each == trial.epochs).unwrap_or(0));
    let mut keys: Vec<LegendEntry> = epochs
        .iter()
        .enumerate()
        .map(|(series, &epochs)| LegendEntry::new(counted(epochs.into(), "epoch"), Ink::Series(series), Swatch::Dot))
        .collect();
    keys.push(LegendEntry::new("the best", Ink::Text, Swatch::Ring));
    let mut sheet = Sheet::new(WIDE, &keys);
    let x = Axis::around("Macro F1 (validation)", placed.iter().map(|(_, [f1, _])| *f1));
    let y = Axis::around("Accuracy (validation)", placed.iter().map(|(_, [_, accuracy])| *accuracy));
    let plot = sheet.plot("", 260.0, x, y);
    for (trial, at) in &placed {
        let words = || Tooltip::Text(tooltip(tuning, trial, *at));
        plot.dot(*at, 4.0, false, ink(trial), words());
        if trial.best {
            plot.dot(*at, 7.0, true, Ink::Text, words());
        }
    }
    let highest =
        |score: usize| placed.iter().max_by(|(_, a), (_, b)| a[score].total_cmp(&b[score])).unwrap_or(&placed[0]);
    let ((by_f1, [f1, _]), (by_accuracy, [_, accuracy])) = (highest(0), highest(1));
    let best = placed.iter().find(|(trial, _)| trial.best).map(|(trial, [f1, accuracy])| {
        format!(
            "The best by {} is trial {}: F1 {}, accuracy {}. ",
            tuning.metric,
            trial.number,
            short(*f1),
            short(*accuracy)
        )
    });
    let reading = format!(
        "{}The highest F1 is {} (trial {}), the highest accuracy {} (trial {}).",
        best.unwrap_or_default(),
        short(*f1),
        by_f1.number,
        short(*accuracy),
        by_accuracy.number
    );
    Some(Figure::new("trials", "Accuracy and F1 of the trials", reading, sheet))
}

fn tooltip(tuning: &Tuning, trial: &TunedTrial, [f1, accuracy]: [f64; 2]) -> String {
    let values: Vec<String> =
        tuning.parameters.iter().zip(&trial.values).map(|(key, value)| format!("{key}={value}")).collect();
    format!(
        "trial {}, {}: F1 {}, accuracy {}; {}",
        trial.number,
        counted(trial.epochs.into(), "epoch"),
        short(f1),
        short(accuracy),
        values.join(", ")
    )
}
