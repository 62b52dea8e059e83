//! Correlations between the errors of attributes.

use visage_judge::{Evaluation, Predictions, is_positive};

use crate::axis::Axis;
use crate::drawing::{Anchor, Frame, Ink, Plot, Tooltip};
use crate::figure::Figure;
use crate::font;
use crate::number::{grouped, short};
use crate::run::Run;
use crate::sheet::{LegendEntry, Sheet, Swatch};

/// Maximum number of attributes; of more, those with the most errors are shown.
const ROOM: usize = 60;
const NAME: f64 = 9.0;
const SQUARE: f64 = 12.0;
/// The correlation of full opacity.
const FULL: f64 = 0.5;
/// The correlation of the lowest opacity.
const NOTHING: f64 = 0.01;

/// A matrix of correlations between errors, a figure per run.
pub fn figures(runs: &[Run]) -> Vec<Figure> {
    let several = runs.iter().filter(|run| run.judged.is_some()).count() > 1;
    let figure = |run: &Run| {
        let judged = run.judged.as_ref()?;
        figure(run, &judged.evaluation, judged.predictions.as_ref()?, several)
    };
    runs.iter().filter_map(figure).collect()
}

/// Two attributes: the correlation of their errors, the number of images on which both are wrong, and the number expected if
/// errors were independent.
struct Pair {
    correlation: f64,
    both: f64,
    expected: f64,
}

/// Bit sets of the images on which an attribute is wrong, and whose label is known.
struct Errors {
    wrong: Vec<u64>,
    known: Vec<u64>,
}

impl Errors {
    fn of(column: usize, threshold: f32, predictions: &Predictions) -> Self {
        let width = predictions.attributes().len();
        let words = predictions.images().div_ceil(64);
        let mut errors = Self { wrong: vec![0; words], known: vec![0; words] };
        let cells = predictions.labels().iter().zip(predictions.probabilities()).skip(column).step_by(width);
        for (image, (label, &probability)) in cells.enumerate() {
            if let Some(present) = label {
                errors.known[image / 64] |= 1 << (image % 64);
                errors.wrong[image / 64] |= u64::from(is_positive(probability, threshold) != *present) << (image % 64);
            }
        }
        errors
    }

    fn count(&self) -> u32 {
        self.wrong.iter().map(|word| word.count_ones()).sum()
    }

    /// The phi coefficient on the images with both labels known; `None` where one attribute is always wrong or always right.
    fn with(&self, other: &Self) -> Option<Pair> {
        let (mut known, mut a, mut b, mut both) = (0.0, 0.0, 0.0, 0.0);
        for word in 0..self.known.len() {
            let seen = self.known[word] & other.known[word];
            known += f64::from(seen.count_ones());
            a += f64::from((seen & self.wrong[word]).count_ones());
            b += f64::from((seen & other.wrong[word]).count_ones());
            both += f64::from((self.wrong[word] & other.wrong[word]).count_ones());
        }
        let scale = (a * (known - a) * b * (known - b)).sqrt();
        (scale > 0.0).then(|| Pair { correlation: (known * both - a * b) / scale, both, expected: a * b / known })
    }
}

fn figure(run: &Run, evaluation: &Evaluation, predictions: &Predictions, several: bool) -> Option<Figure> {
    let attributes = evaluation.attributes.iter().filter_map(|metrics| {
        let column = predictions.attributes().iter().position(|name| *name == metrics.attribute)?;
        Some((metrics.attribute.as_str(), Errors::of(column, metrics.threshold, predictions)))
    });
    let mut shown: Vec<(&str, Errors)> = attributes.collect();
    if shown.len() < 2 {
        return None;
    }
    let all = shown.len();
    if all > ROOM {
        let mut counts: Vec<u32> = shown.iter().map(|(_, errors)| errors.count()).collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        shown.retain(|(_, errors)| errors.count() >= counts[ROOM - 1]);
        shown.truncate(ROOM);
    }
    let (sheet, highest) = matrix(&shown);
    let mut reading = match highest {
        Some((pair, row, column)) => format!(
            "Errors on {} and {} have the highest correlation ({}): both are wrong on {} images, where {} are expected if independent.",
            shown[column].0,
            shown[row].0,
            short((pair.correlation * 100.0).round() / 100.0),
            grouped(pair.both),
            grouped(pair.expected)
        ),
        None => "No two attributes have errors to correlate.".to_owned(),
    };
    if all > shown.len() {
        reading += &format!(" Shown are the {} of {all} attributes with the most errors.", shown.len());
    }
    let name = several.then_some(run.name.as_str());
    Some(Figure::of_run("errors-together", "Correlated errors", name, reading, sheet))
}

/// The lower triangle of the matrix, a row for each attribute but the first and a column for each but the last; and the pair of
/// the highest correlation with its row and column.
fn matrix(shown: &[(&str, Errors)]) -> (Sheet, Option<(Pair, usize, usize)>) {
    let margin =
        shown.iter().map(|(name, _)| font::width(name, NAME, false)).fold(0.0, f64::max).min(150.0) * 1.12 + 8.0;
    let side = SQUARE * (shown.len() - 1) as f64;
    let keys = [
        LegendEntry::new("more often together than expected", Ink::Series(0), Swatch::Fill(0.9)),
        LegendEntry::new("less often", Ink::Series(1), Swatch::Fill(0.9)),
    ];
    let mut sheet = Sheet::new((margin + side + 12.0).max(300.0), &keys);
    let top = sheet.top();
    let frame = Frame { left: margin, top, right: margin + side, bottom: top + side };
    let name = |number: usize| font::fitted(shown[number].0, NAME, false, 150.0);
    for number in 1..shown.len() {
        let middle = top + (number as f64 - 0.5) * SQUARE;
        sheet.words(&name(number), [margin - 4.0, middle + 3.0], NAME, Anchor::End, false);
    }
    for number in 0..shown.len() - 1 {
        let middle = margin + (number as f64 + 0.5) * SQUARE;
        sheet.words(&name(number), [middle + 3.0, frame.bottom + 4.0], NAME, Anchor::End, true);
    }
    let ends = (shown.len() - 1) as f64;
    let (x, y) = (Axis::new("Attribute", 0.0, ends), Axis::new("Attribute (errors together)", 0.0, ends));
    let plot = sheet.add_plot(Plot { frame, x, y, marks: Vec::new() }, frame.bottom + margin);
    let mut highest: Option<(Pair, usize, usize)> = None;
    for row in 1..shown.len() {
        for column in 0..row {
            let Some(pair) = shown[row].1.with(&shown[column].1) else { continue };
            let text = format!(
                "{} and {}: correlation {:.2}; both wrong on {} images, {} expected",
                shown[row].0,
                shown[column].0,
                pair.correlation,
                grouped(pair.both),
                grouped(pair.expected)
            );
            let ink = Ink::Series(usize::from(pair.correlation < 0.0));
            let opacity = (pair.correlation.abs() / FULL).clamp(NOTHING / FULL, 1.0);
            let (left, up) = (column as f64, ends - (row - 1) as f64);
            plot.bar([left + 0.04, up - 0.96], [left + 0.96, up - 0.04], ink, opacity, Tooltip::Text(text));
            if highest.as_ref().is_none_or(|(other, ..)| pair.correlation > other.correlation) {
                highest = Some((pair, row, column));
            }
        }
    }
    (sheet, highest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_correlation_is_that_of_the_known() {
        // Decisions are "present" everywhere: an error wherever the label says absent.
        let columns = [[0, 0, 1, 1, 9], [0, 1, 1, 1, 0]];
        let label = |value: i32| (value != 9).then_some(value == 1);
        let labels = (0..5).flat_map(|image| columns.map(|column| label(column[image]))).collect();
        let predictions = Predictions::new(vec!["a".into(), "b".into()], labels, vec![0.9; 10]).unwrap();
        let errors = [0, 1].map(|column| Errors::of(column, 0.5, &predictions));
        let pair = errors[0].with(&errors[1]).unwrap();
        // The errors of the four images whose two labels are known, in numpy.
        let golden = crate::golden::of_figures("correlation");
        assert!((pair.correlation - golden["value"].as_f64().unwrap()).abs() < 1e-12, "{golden}");
        assert_eq!((pair.both, pair.expected), (1.0, 0.5));
    }
}
