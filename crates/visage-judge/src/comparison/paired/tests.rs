use super::*;
use crate::golden::draw;
use crate::{Predictions, Thresholds};

/// Images by kind: the label, and the decisions of the first and the second run.
fn runs(attributes: &[&[(bool, bool, bool, usize)]]) -> [RunPredictions; 2] {
    let column = |kinds: &[(bool, bool, bool, usize)]| -> Vec<(bool, bool, bool)> {
        kinds
            .iter()
            .flat_map(|&(label, first, second, count)| std::iter::repeat_n((label, first, second), count))
            .collect()
    };
    let columns: Vec<_> = attributes.iter().map(|kinds| column(kinds)).collect();
    let rows = columns[0].len();
    let cells: Vec<_> = (0..rows).flat_map(|row| columns.iter().map(move |column| column[row])).collect();
    let run = |name: &str, says: fn(&(bool, bool, bool)) -> bool| RunPredictions {
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

#[test]
fn verdicts_of_clear_cases() {
    let (yes, no) = (true, false);
    // 200 images each.
    let better = [(yes, no, yes, 40), (yes, yes, yes, 20), (no, no, no, 140)];
    let worse = [(yes, yes, no, 40), (yes, yes, yes, 20), (no, no, no, 140)];
    // The second run rarely predicts it: it loses 24 of 25 true positives and 50 false positives.
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
fn a_run_does_not_differ_from_itself() {
    let [first, _] = runs(&[&[(true, true, true, 10), (true, false, false, 10), (false, false, false, 30)]]);
    let runs = [first.clone(), RunPredictions { name: "again".to_owned(), ..first }];
    let (comparison, _) = Comparison::paired(&runs, &Resampling { replicates: 50, draw: &draw }).unwrap();
    let change = comparison.attributes[0].changes[0];
    assert_eq!((change.verdict, change.accuracy_p, change.f1_p), (Verdict::Undecided, 1.0, None));
    assert_eq!(comparison.attributes[0].f1.intervals, [Some(Interval { low: 0.0, high: 0.0 })]);
}
