//! Comparison image by image: intervals of every difference, tests, and a verdict.

use serde::{Deserialize, Serialize};

use crate::bootstrap::{Judged, Replicate, resample};
use crate::{
    Answers, Comparison, Error, Evaluation, Interval, Metric, Resampling, evaluate, holm, is_positive, mcnemar,
    normal_p,
};

/// A corrected p-value below this is taken for a difference that is no chance.
pub const SIGNIFICANCE: f64 = 0.05;

/// With fewer cases than this, a share of them is too uncertain to be told from another.
pub const TOO_FEW: u64 = 10;

/// What the images that both answered say of one attribute in a later evaluation, against the first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Which evaluation.
    pub evaluation: usize,
    /// Images that only the first decided rightly.
    pub only_first_right: u64,
    /// Images that only this one decided rightly.
    pub only_this_right: u64,
    /// McNemar's exact p-value of the difference in accuracy, corrected by Holm over the attributes.
    pub accuracy_p: f64,
    /// P-value of the difference in F1 by its bootstrap standard error, corrected likewise. `None` where there are fewer than
    /// [`TOO_FEW`] positives, or the F1 of either is undefined.
    pub f1_p: Option<f64>,
    /// What it comes to.
    pub verdict: Verdict,
}

/// What a change comes to, of accuracy and F1 at a family-wise level of [`SIGNIFICANCE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// One of them rose and neither fell.
    Better,
    /// One of them fell and neither rose.
    Worse,
    /// One of them rose and the other fell.
    Mixed,
    /// Neither can be told from chance.
    Undecided,
}

impl Comparison {
    /// Sets runs side by side that answered the same images, as [`Answers::align`] gives them. Also returns the
    /// evaluation of each.
    ///
    /// # Errors
    ///
    /// As [`Comparison::new`] and [`Judged::new`].
    pub fn paired(runs: &[Answers], resampling: &Resampling<'_>) -> Result<(Self, Vec<Evaluation>), Error> {
        let evaluations = runs.iter().map(|run| evaluate(&run.predictions, &run.thresholds));
        let evaluations = evaluations.collect::<Result<Vec<_>, _>>()?;
        let named: Vec<(&str, &Evaluation)> =
            runs.iter().map(|run| run.name.as_str()).zip(evaluations.iter()).collect();
        let mut comparison = Self::new(&named)?;
        let judged = runs.iter().map(|run| Judged::new(&run.predictions, &run.thresholds, |_| true));
        let judged = judged.collect::<Result<Vec<_>, _>>()?;
        let replicates = resample(&judged, resampling)?;
        let once: Vec<Replicate> = judged.iter().map(Judged::once).collect();
        type Of<'a> = &'a dyn Fn(&Replicate) -> crate::Scores;
        let difference = |first: &Replicate, other: &Replicate, metric: Metric, of: Of<'_>| {
            Some(of(other).get(metric)? - of(first).get(metric)?)
        };
        let differences = |other: usize, metric: Metric, of: Of<'_>| -> Vec<Option<f64>> {
            let pairs = replicates[0].iter().zip(&replicates[other]);
            pairs.map(|(first, other)| difference(first, other, metric, of)).collect()
        };
        let interval = |other: usize, metric, of: Of<'_>| {
            let estimate = difference(&once[0], &once[other], metric, of);
            Interval::of_difference(metric, estimate, differences(other, metric, of).into_iter())
        };
        comparison.macro_average.set_intervals(|other, metric| interval(other, metric, &|r| r.macro_average));
        comparison.micro_average.set_intervals(|other, metric| interval(other, metric, &|r| r.micro_average));
        for (column, row) in comparison.attributes.iter_mut().enumerate() {
            row.set_intervals(|other, metric| interval(other, metric, &|r| r.attributes[column]));
        }

        for other in 1..runs.len() {
            let discordant: Vec<[u64; 2]> =
                (0..comparison.attributes.len()).map(|column| discordant(&runs[0], &runs[other], column)).collect();
            let accuracy_p: Vec<Option<f64>> =
                discordant.iter().map(|&[first, this]| Some(mcnemar(first, this))).collect();
            let f1_p: Vec<Option<f64>> = comparison
                .attributes
                .iter()
                .enumerate()
                .map(|(column, row)| {
                    let enough = evaluations[0].attributes[column].positives >= TOO_FEW;
                    let spread = standard_error(&differences(other, Metric::F1, &|r| r.attributes[column]))?;
                    let difference = row.f1.differences[other - 1]?;
                    (enough && spread > 0.0).then(|| normal_p(difference / spread))
                })
                .collect();
            let (accuracy_p, f1_p) = (holm(&accuracy_p), holm(&f1_p));
            for (column, row) in comparison.attributes.iter_mut().enumerate() {
                let [only_first_right, only_this_right] = discordant[column];
                let accuracy_p = accuracy_p[column].unwrap_or(1.0);
                let direction = |difference: Option<f64>, p: Option<f64>| match difference {
                    Some(difference) if p.is_some_and(|p| p < SIGNIFICANCE) => difference.signum() as i8,
                    _ => 0,
                };
                let accuracy = direction(row.accuracy.differences[other - 1], Some(accuracy_p));
                let f1 = direction(row.f1.differences[other - 1], f1_p[column]);
                let verdict = match (accuracy, f1) {
                    (0, 0) => Verdict::Undecided,
                    (1, -1) | (-1, 1) => Verdict::Mixed,
                    (1, _) | (_, 1) => Verdict::Better,
                    _ => Verdict::Worse,
                };
                row.changes.push(Change {
                    evaluation: other,
                    only_first_right,
                    only_this_right,
                    accuracy_p,
                    f1_p: f1_p[column],
                    verdict,
                });
            }
        }
        Ok((comparison, evaluations))
    }
}

/// How many images only the first, and only the other, decided rightly.
fn discordant(first: &Answers, other: &Answers, column: usize) -> [u64; 2] {
    let decisions = |run: &Answers| -> Vec<bool> {
        let right =
            |(probability, present): (f32, bool)| is_positive(probability, run.thresholds.values[column]) == present;
        run.predictions.known(column).map(right).collect()
    };
    let (first, other) = (decisions(first), decisions(other));
    let only =
        |right: &[bool], wrong: &[bool]| right.iter().zip(wrong).filter(|(right, wrong)| **right && !**wrong).count();
    [only(&first, &other) as u64, only(&other, &first) as u64]
}

/// The standard deviation of replicates, where at least half of them and two are defined.
fn standard_error(replicates: &[Option<f64>]) -> Option<f64> {
    let values: Vec<f64> = replicates.iter().copied().flatten().collect();
    if values.len() < 2 || 2 * values.len() < replicates.len() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Predictions, Thresholds};

    /// Images by kind: the label, and what the first and the second run say of it.
    fn runs(attributes: &[&[(bool, bool, bool, usize)]]) -> [Answers; 2] {
        let column = |kinds: &[(bool, bool, bool, usize)]| -> Vec<(bool, bool, bool)> {
            kinds
                .iter()
                .flat_map(|&(label, first, second, count)| std::iter::repeat_n((label, first, second), count))
                .collect()
        };
        let columns: Vec<_> = attributes.iter().map(|kinds| column(kinds)).collect();
        let rows = columns[0].len();
        let cells: Vec<_> = (0..rows).flat_map(|row| columns.iter().map(move |column| column[row])).collect();
        let run = |name: &str, says: fn(&(bool, bool, bool)) -> bool| Answers {
            name: name.to_owned(),
            images: (0..rows).map(|row| row.to_string()).collect(),
            predictions: Predictions::new(
                (0..columns.len()).map(|column| format!("attribute {column}")).collect(),
                cells.iter().map(|cell| Some(cell.0)).collect(),
                cells.iter().map(|cell| if says(cell) { 0.9 } else { 0.1 }).collect(),
            )
            .unwrap(),
            thresholds: Thresholds::fixed(0.5, columns.len()),
        };
        [run("first", |cell| cell.1), run("second", |cell| cell.2)]
    }

    /// Draws by a multiplicative congruential generator (Park and Miller, 1988).
    fn draw(number: u64, weights: &mut [u16]) {
        let mut state = (number + 1) * 16_807 % 2_147_483_647;
        for _ in 0..weights.len() {
            state = state * 16_807 % 2_147_483_647;
            weights[state as usize % weights.len()] += 1;
        }
    }

    #[test]
    fn verdicts_of_clear_cases() {
        let (yes, no) = (true, false);
        // 200 images each.
        let better = [(yes, no, yes, 40), (yes, yes, yes, 20), (no, no, no, 140)];
        let worse = [(yes, yes, no, 40), (yes, yes, yes, 20), (no, no, no, 140)];
        // The second stops calling it: it loses 18 of 25 finds and 60 false alarms.
        let mixed = [(yes, yes, no, 24), (yes, yes, yes, 1), (no, yes, no, 50), (no, no, no, 125)];
        let same = [(yes, yes, no, 3), (yes, no, yes, 4), (yes, yes, yes, 33), (no, no, no, 160)];
        let runs = runs(&[&better, &worse, &mixed, &same]);
        let (comparison, _) = Comparison::paired(&runs, &Resampling { replicates: 300, draw: &draw }).unwrap();
        let verdicts: Vec<Verdict> = comparison.attributes.iter().map(|row| row.changes[0].verdict).collect();
        assert_eq!(verdicts, [Verdict::Better, Verdict::Worse, Verdict::Mixed, Verdict::Undecided]);
        let better = &comparison.attributes[0];
        assert_eq!((better.changes[0].only_first_right, better.changes[0].only_this_right), (0, 40));
        let interval = better.recall.intervals[0].unwrap();
        assert!(interval.contains(40.0 / 60.0) && interval.low > 0.5 && interval.high < 0.8, "{interval:?}");
        assert!(comparison.attributes[3].f1.intervals[0].unwrap().contains(0.0));
        assert!(comparison.macro_average.f1.intervals[0].is_some());
        assert_eq!(comparison.original.f1.intervals, []);
    }

    #[test]
    fn a_run_against_itself_cannot_be_told_apart() {
        let [first, _] = runs(&[&[(true, true, true, 10), (true, false, false, 10), (false, false, false, 30)]]);
        let runs = [first.clone(), Answers { name: "again".to_owned(), ..first }];
        let (comparison, _) = Comparison::paired(&runs, &Resampling { replicates: 50, draw: &draw }).unwrap();
        let change = comparison.attributes[0].changes[0];
        assert_eq!((change.verdict, change.accuracy_p, change.f1_p), (Verdict::Undecided, 1.0, None));
        assert_eq!(comparison.attributes[0].f1.intervals, [Some(Interval { low: 0.0, high: 0.0 })]);
    }
}
