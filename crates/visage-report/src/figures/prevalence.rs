//! F1 against prevalence.

use visage_judge::AttributeMetrics;

use super::per_run;
use crate::axis::Axis;
use crate::drawing::{Dash, Ink, Tooltip};
use crate::figure::Figure;
use crate::number::short;
use crate::run::Run;
use crate::sheet::{LegendEntry, Sheet, Swatch, WIDE};

const POINTS: usize = 60;

/// An attribute: its prevalence, its F1, and all its metrics.
type Dot<'a> = (f64, f64, &'a AttributeMetrics);

/// A scatter plot with a dot per attribute and run.
pub fn figure(runs: &[Run]) -> Option<Figure> {
    let judged: Vec<(usize, &Run, Vec<Dot<'_>>)> = runs
        .iter()
        .enumerate()
        .filter_map(|(number, run)| {
            let attributes = run.judged.as_ref()?.evaluation.attributes.iter();
            let dots: Vec<Dot<'_>> =
                attributes.filter_map(|each| Some((each.scores.prevalence?, each.scores.f1?, each))).collect();
            (!dots.is_empty()).then_some((number, run, dots))
        })
        .collect();
    if judged.is_empty() {
        return None;
    }
    let mut keys: Vec<LegendEntry> =
        judged.iter().map(|(number, run, _)| LegendEntry::new(&run.name, Ink::Series(*number), Swatch::Dot)).collect();
    keys.push(LegendEntry::new("always predicting \u{201c}present\u{201d}", Ink::Axis, Swatch::Line(Dash::Dashed)));
    let mut sheet = Sheet::new(WIDE, &keys);
    let x = Axis::from_zero(
        "Prevalence (share of images that have it)",
        judged.iter().flat_map(|(_, _, dots)| dots.iter().map(|dot| dot.0)),
    );
    let plot = sheet.plot("", 260.0, x, Axis::share("F1"));
    let always: Vec<[f64; 2]> = (0..=POINTS)
        .map(|at| plot.x.high * at as f64 / POINTS as f64)
        .map(|prevalence| [prevalence, 2.0 * prevalence / (1.0 + prevalence)])
        .collect();
    plot.line(&always, Ink::Axis, 1.2, Dash::Dashed, Tooltip::Nothing);
    for (number, run, dots) in &judged {
        for (prevalence, f1, each) in dots {
            let tooltip =
                format!("{} ({}): prevalence {}, F1 {}", each.attribute, run.name, short(*prevalence), short(*f1));
            plot.dot([*prevalence, *f1], 4.0, false, Ink::Series(*number), Tooltip::Text(tooltip));
        }
    }
    let in_words = |dots: &[Dot<'_>]| {
        let below = dots.iter().filter(|(prevalence, f1, _)| *f1 < 2.0 * prevalence / (1.0 + prevalence)).count();
        let worst = dots.iter().min_by(|a, b| a.1.total_cmp(&b.1));
        let worst = worst
            .map_or_else(String::new, |(_, f1, each)| format!(", the lowest is {} for {}", short(*f1), each.attribute));
        let values: Vec<[f64; 2]> = dots.iter().map(|dot| [dot.0, dot.1]).collect();
        let together = rank_correlation(&values).map_or_else(String::new, |value| {
            format!("; the rank correlation with prevalence is {}", short((value * 100.0).round() / 100.0))
        });
        format!("for {below} of {} attributes{worst}{together}", dots.len())
    };
    let reading = per_run(
        "F1 is below that of always predicting \u{201c}present\u{201d}",
        judged.iter().map(|(_, run, dots)| (run.name.as_str(), in_words(dots))),
    );
    Some(Figure::new("prevalence-f1", "Prevalence and F1", reading, sheet))
}

/// Spearman's rank correlation, ties sharing their mean rank; undefined where one of the two does not vary.
fn rank_correlation(pairs: &[[f64; 2]]) -> Option<f64> {
    let ranks = |column: usize| -> Vec<f64> {
        let rank = |value: f64| {
            let below = pairs.iter().filter(|pair| pair[column] < value).count() as f64;
            let equal = pairs.iter().filter(|pair| pair[column] == value).count() as f64;
            below + (equal - 1.0) / 2.0
        };
        pairs.iter().map(|pair| rank(pair[column])).collect()
    };
    let (a, b) = (ranks(0), ranks(1));
    let mean = (pairs.len() as f64 - 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
    let scale = (product(&a, &a) * product(&b, &b)).sqrt();
    (scale > 0.0).then(|| product(&a, &b) / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rank_correlation_is_spearmans() {
        let golden = crate::golden::of_figures("spearman");
        let [a, b] = [0, 1].map(|list| crate::golden::numbers(&golden["pairs"][list]));
        let pairs: Vec<[f64; 2]> = a.into_iter().zip(b).map(|(a, b)| [a, b]).collect();
        let found = rank_correlation(&pairs).unwrap();
        assert!((found - golden["value"].as_f64().unwrap()).abs() < 1e-12, "{found}, golden {golden}");
        assert_eq!(rank_correlation(&[[1.0, 2.0], [1.0, 3.0]]), None);
    }
}
