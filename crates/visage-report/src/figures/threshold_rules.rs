//! Accuracy against F1 for the threshold rules.

use visage_judge::{HeldOutScores, ThresholdRule};

use super::per_run;
use crate::axis::Axis;
use crate::drawing::{Anchor, Dash, Ink, Tooltip};
use crate::figure::Figure;
use crate::number::short;
use crate::run::{Judged, Run};
use crate::sheet::{LegendEntry, Sheet, Swatch, WIDE};

/// The weights of accuracy against F1 along the line.
const WEIGHTS: [f64; 9] = [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0];
/// The rules that have a dot, with their short names.
const RULES: [(&str, ThresholdRule); 5] = [
    ("0.5", ThresholdRule::Fixed),
    ("best F1", ThresholdRule::BestF1),
    ("smooth F1", ThresholdRule::SmoothF1),
    ("balanced", ThresholdRule::Balanced(ThresholdRule::ACCURACY_WEIGHT)),
    ("prevalence", ThresholdRule::Prevalence),
];
/// The height of a label.
const LINE: f64 = 11.0;

/// The scores of a run's rules.
struct Trade<'a> {
    name: &'a str,
    number: usize,
    /// Those of each weight.
    line: Vec<(f64, [f64; 2])>,
    rules: Vec<(&'static str, [f64; 2])>,
    /// Those of the model's own thresholds, on the same images.
    own: Option<[f64; 2]>,
}

impl<'a> Trade<'a> {
    fn of((number, run): (usize, &'a Run)) -> Option<Self> {
        let judged = run.judged.as_ref()?;
        let predictions = judged.predictions.as_ref()?;
        let rules: Vec<ThresholdRule> =
            RULES.iter().map(|(_, rule)| *rule).chain(WEIGHTS.map(ThresholdRule::Balanced)).collect();
        let scores = ThresholdRule::held_out_scores(&rules, predictions);
        let of = |rule: ThresholdRule| -> Option<[f64; 2]> {
            let HeldOutScores { f1, accuracy, .. } = scores.iter().find(|scores| scores.rule == rule)?;
            Some([*f1, *accuracy])
        };
        Some(Trade {
            name: &run.name,
            number,
            line: WEIGHTS.iter().filter_map(|&weight| Some((weight, of(ThresholdRule::Balanced(weight))?))).collect(),
            rules: RULES.iter().filter_map(|&(name, rule)| Some((name, of(rule)?))).collect(),
            own: own(judged),
        })
    }

    fn points(&self) -> impl Iterator<Item = [f64; 2]> {
        let (line, rules) = (self.line.iter().map(|(_, at)| *at), self.rules.iter().map(|(_, at)| *at));
        line.chain(rules).chain(self.own)
    }
}

fn own(judged: &Judged) -> Option<[f64; 2]> {
    let scores = &judged.evaluation.macro_average;
    Some([scores.f1?, scores.accuracy?])
}

/// A row for each run with predictions: a dot for each rule, and a line along the weights of accuracy against F1.
pub fn figure(runs: &[Run]) -> Option<Figure> {
    let trades: Vec<Trade<'_>> = runs.iter().enumerate().filter_map(Trade::of).collect();
    if trades.iter().all(|trade| trade.rules.is_empty()) {
        return None;
    }
    let keys = [
        LegendEntry::new("F1 + weight x accuracy, weights from 0", Ink::Muted, Swatch::Line(Dash::Solid)),
        LegendEntry::new("a rule", Ink::Muted, Swatch::Dot),
        LegendEntry::new("the model's thresholds", Ink::Text, Swatch::Ring),
    ];
    let mut sheet = Sheet::new(WIDE, &keys);
    for trade in &trades {
        let caption = if trades.len() > 1 { trade.name } else { "" };
        let x = Axis::around("Macro F1", trade.points().map(|[f1, _]| f1));
        let y = Axis::around("Accuracy", trade.points().map(|[_, accuracy]| accuracy));
        let plot = sheet.plot(caption, 220.0, x, y);
        let ink = Ink::Series(trade.number);
        let line: Vec<[f64; 2]> = trade.line.iter().map(|(_, at)| *at).collect();
        plot.line(&line, ink, 1.6, Dash::Solid, Tooltip::Nothing);
        for (weight, at) in &trade.line {
            plot.dot(*at, 2.0, false, ink, Tooltip::Text(tooltip(trade.name, &format!("weight {weight}"), *at)));
        }
        let mut labels = Vec::new();
        for (name, at) in &trade.rules {
            plot.dot(*at, 4.0, false, ink, Tooltip::Text(tooltip(trade.name, name, *at)));
            labels.push((*name, plot.at(*at)));
        }
        if let Some(at) = trade.own {
            plot.dot(at, 6.0, true, Ink::Text, Tooltip::Text(tooltip(trade.name, "the model's thresholds", at)));
        }
        let right = plot.frame.right;
        for (name, [x, y]) in apart(labels) {
            let (x, anchor) = if x + 60.0 > right { (x - 7.0, Anchor::End) } else { (x + 7.0, Anchor::Start) };
            sheet.words(name, [x, y], 9.0, anchor, false);
        }
    }
    let mut reading = per_run(
        "Macro F1 and accuracy of thresholds chosen on every second image and judged on the others, and the reverse:",
        trades.iter().map(|trade| (trade.name, in_words(trade))),
    );
    reading += " Thresholds of a model that were chosen on these images seem better than they are.";
    Some(Figure::new("threshold-rules", "Accuracy and F1 of the threshold rules", reading, sheet))
}

fn tooltip(run: &str, what: &str, [f1, accuracy]: [f64; 2]) -> String {
    format!("{run}, {what}: F1 {}, accuracy {}", short(f1), short(accuracy))
}

fn in_words(trade: &Trade<'_>) -> String {
    let rule = |(name, [f1, accuracy]): &(&str, [f64; 2])| format!("{name} {} and {}", short(*f1), short(*accuracy));
    trade.rules.iter().map(rule).collect::<Vec<_>>().join(", ")
}

/// Labels whose lines do not overlap, from the top.
fn apart(mut labels: Vec<(&str, [f64; 2])>) -> Vec<(&str, [f64; 2])> {
    labels.sort_by(|a, b| a.1[1].total_cmp(&b.1[1]));
    let mut lowest = f64::NEG_INFINITY;
    for (_, [_, y]) in &mut labels {
        *y = y.max(lowest + LINE);
        lowest = *y;
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_move_down_until_they_are_apart() {
        let found = apart(vec![("b", [0.0, 52.0]), ("a", [9.0, 50.0]), ("c", [0.0, 90.0])]);
        assert_eq!(found, [("a", [9.0, 50.0]), ("b", [0.0, 61.0]), ("c", [0.0, 90.0])]);
    }
}
