//! Distributions of the losses of batches: over the whole run, and by epoch.

use super::{numbered, reading_of_runs};
use crate::axis::Axis;
use crate::drawing::{Dash, Ink, Tooltip};
use crate::figure::Figure;
use crate::number::{grouped, median, percent, quantile, short};
use crate::run::Run;
use crate::sheet::{LegendEntry, NARROW, Sheet, Swatch};

const BARS: usize = 32;
/// Maximum number of columns of the histogram over epochs: of more epochs, neighbours share a column.
const COLUMNS: usize = 30;
/// The quantile at which the axis ends; larger losses are counted in the last bar.
const SHOWN: f64 = 0.995;

/// Equal bins from `low` to `high`.
struct Bins {
    low: f64,
    high: f64,
}

impl Bins {
    fn of(losses: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let high = quantile(losses.clone(), SHOWN)?;
        let axis = Axis::around("", losses.filter(|&loss| loss <= high));
        Some(Self { low: axis.low.max(0.0), high: axis.high })
    }

    fn edge(&self, bar: usize) -> f64 {
        self.low + (self.high - self.low) * bar as f64 / BARS as f64
    }

    fn shares(&self, losses: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut counts = vec![0.0; BARS];
        let mut all = 0.0;
        for loss in losses.filter(|loss| loss.is_finite()) {
            let bar = ((loss - self.low) / (self.high - self.low) * BARS as f64) as usize;
            counts[bar.min(BARS - 1)] += 1.0;
            all += 1.0;
        }
        counts.iter().map(|count| count / f64::max(all, 1.0)).collect()
    }

    fn tooltip(&self, of: &str, bar: usize, share: f64) -> Tooltip {
        let [from, to] = [bar, bar + 1].map(|bar| short(self.edge(bar)));
        Tooltip::Text(format!("{of}: {} of batches from {from} to {to}", percent(share)))
    }
}

/// The distribution over all batches, a row per run.
pub fn overall(runs: &[Run]) -> Option<Figure> {
    let with = numbered(runs, |run| &run.steps);
    let losses = |run: &Run| run.steps.iter().map(|step| step.loss).collect::<Vec<_>>();
    let all: Vec<f64> = with.iter().flat_map(|(_, run)| losses(run)).collect();
    let bins = Bins::of(all.iter().copied())?;
    let shares: Vec<Vec<f64>> = with.iter().map(|(_, run)| bins.shares(losses(run).into_iter())).collect();
    let tallest = shares.iter().flatten().copied().fold(0.0, f64::max);
    let mut sheet = Sheet::new(NARROW, &[]);
    for ((number, run), shares) in with.iter().zip(&shares) {
        let caption = if with.len() > 1 { run.name.as_str() } else { "" };
        let x = Axis::new("Training loss of a batch", bins.low, bins.high);
        let y = Axis::from_zero("Share of batches", [tallest].into_iter());
        let plot = sheet.plot(caption, if with.len() > 1 { 90.0 } else { 180.0 }, x, y);
        for (bar, &share) in shares.iter().enumerate() {
            let tooltip = bins.tooltip(&run.name, bar, share);
            plot.bar([bins.edge(bar), 0.0], [bins.edge(bar + 1), share], Ink::Series(*number), 0.85, tooltip);
        }
    }
    let in_words = |run: &Run| {
        let at = |share| short(quantile(losses(run), share).unwrap_or(f64::NAN));
        let above = run.steps.iter().filter(|step| step.loss > bins.high).count();
        let above = if above > 0 {
            format!(", with {above} above {} counted in the last bar", short(bins.high))
        } else {
            String::new()
        };
        format!("{} to {}{above}", at(0.25), at(0.75))
    };
    let reading = reading_of_runs("The central half of the batches had losses from", &with, in_words);
    Some(Figure::new("batch-loss", "Losses of batches", reading, sheet))
}

/// The distribution by epoch, a figure per run.
pub fn by_epoch(runs: &[Run]) -> Vec<Figure> {
    numbered(runs, |run| &run.steps)
        .into_iter()
        .filter_map(|(number, run)| of_run(number, run, runs.len() > 1))
        .collect()
}

fn of_run(number: usize, run: &Run, several: bool) -> Option<Figure> {
    let last = run.steps.last()?.epoch.max(1);
    let each = last.div_ceil(COLUMNS as u64);
    let bins = Bins::of(run.steps.iter().map(|step| step.loss))?;
    let losses = |from: u64, to: u64| {
        run.steps.iter().filter(move |step| (from..=to).contains(&step.epoch)).map(|step| step.loss)
    };
    let columns: Vec<(u64, u64, Vec<f64>)> = (1..=last)
        .step_by(each as usize)
        .map(|from| (from, last.min(from + each - 1)))
        .map(|(from, to)| (from, to, bins.shares(losses(from, to))))
        .collect();
    let densest = columns.iter().flat_map(|(_, _, shares)| shares).copied().fold(0.0, f64::max);
    let keys = [
        LegendEntry::new("few batches", Ink::Series(number), Swatch::Fill(0.15)),
        LegendEntry::new("many", Ink::Series(number), Swatch::Fill(0.9)),
        LegendEntry::new("median", Ink::Text, Swatch::Line(Dash::Solid)),
    ];
    let mut sheet = Sheet::new(NARROW, &keys);
    let x = Axis::new("Epoch", 0.5, last as f64 + 0.5);
    let plot = sheet.plot("", 180.0, x, Axis::new("Training loss of a batch", bins.low, bins.high));
    for (from, to, shares) in &columns {
        let epochs = if from == to { format!("epoch {from}") } else { format!("epochs {from} to {to}") };
        for (bar, &share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            let corners = ([*from as f64 - 0.5, bins.edge(bar)], [*to as f64 + 0.5, bins.edge(bar + 1)]);
            let opacity = 0.08 + 0.92 * share / densest;
            plot.bar(corners.0, corners.1, Ink::Series(number), opacity, bins.tooltip(&epochs, bar, share));
        }
    }
    let medians: Vec<[f64; 2]> = columns
        .iter()
        .filter_map(|(from, to, _)| Some([(from + to) as f64 / 2.0, median(losses(*from, *to))?]))
        .collect();
    plot.line(&medians, Ink::Text, 1.6, Dash::Solid, Tooltip::Values("median".to_owned()));
    let name = several.then_some(run.name.as_str());
    Some(Figure::of_run("batch-loss-by-epoch", "Losses of batches by epoch", name, reading(run, last), sheet))
}

/// The change of median and spread from the first epoch to the last.
fn reading(run: &Run, last: u64) -> String {
    let losses = |epoch: u64| run.steps.iter().filter(move |step| step.epoch == epoch).map(|step| step.loss);
    let spread = |epoch: u64| Some(quantile(losses(epoch), 0.9)? - quantile(losses(epoch), 0.1)?);
    let (first, end) = (median(losses(1)), median(losses(last)));
    match (first, end, spread(1), spread(last)) {
        (Some(first), Some(end), Some(before), Some(after)) if last > 1 => format!(
            "From epoch 1 to epoch {last} the median loss of the {} batches went from {} to {}, and the width of the central 80 % from {} to {}.",
            grouped(run.steps.len() as f64),
            short(first),
            short(end),
            short(before),
            short(after)
        ),
        (Some(first), ..) => format!("In the only epoch the median loss of the batches was {}.", short(first)),
        _ => String::new(),
    }
}
