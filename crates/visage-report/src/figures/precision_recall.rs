//! Precision against recall.

use super::{run_keys, told};
use crate::axis::Axis;
use crate::curve::Answers;
use crate::drawing::{Dash, Ink, Told};
use crate::figure::Figure;
use crate::number::{percent, short};
use crate::sheet::{NARROW, Sheet};

/// The curve of an attribute, with the chosen threshold on it.
pub fn figure(attribute: &str, answers: &[Answers<'_>]) -> Figure {
    let mut sheet = Sheet::new(NARROW, &run_keys(answers.iter().map(|each| (each.run, each.name))));
    let x = Axis::share("Recall (share of those with it that are found)");
    let plot = sheet.plot("", 210.0, x, Axis::share("Precision (share of finds that are right)"));
    if let Some(prevalence) = answers.first().and_then(|each| each.metrics.scores.prevalence) {
        plot.reference([0.0, prevalence], [1.0, prevalence]);
    }
    for each in answers.iter().filter(|each| each.ranking.positives() > 0) {
        // Between two thresholds nothing is interpolated: recall grows first, as average precision counts it.
        let mut points = Vec::new();
        let mut recall = 0.0;
        for at in each.thresholds() {
            points.push([recall, at.precision, at.threshold]);
            points.push([at.recall, at.precision, at.threshold]);
            recall = at.recall;
        }
        plot.curve(&points, "threshold", Ink::Series(each.run), Dash::of_run(each.run), each.name);
        let scores = &each.metrics.scores;
        if let (Some(recall), Some(precision)) = (scores.recall, scores.precision) {
            let told = format!(
                "{}, chosen threshold {}: precision {}, recall {}",
                each.name,
                short(each.metrics.threshold.into()),
                short(precision),
                short(recall)
            );
            plot.dot([recall, precision], 5.0, true, Ink::Series(each.run), Told::Words(told));
        }
    }
    Figure {
        file: "precision-recall".to_owned(),
        title: format!("{attribute}: precision and recall"),
        reading: reading(answers),
        drawing: sheet.finish(),
    }
}

fn reading(answers: &[Answers<'_>]) -> String {
    let in_words = |each: &Answers<'_>| {
        let scores = &each.metrics.scores;
        match (scores.recall, scores.precision, scores.average_precision) {
            (Some(recall), Some(precision), Some(average)) => format!(
                "{} of those with it are found and {} of the finds are right; average precision {}",
                percent(recall),
                percent(precision),
                short(average)
            ),
            (Some(_), None, Some(average)) => {
                format!("nothing is ever called present; average precision {}", short(average))
            }
            _ => "nothing can be said, as no image has it".to_owned(),
        }
    };
    let mut text = told("At the chosen threshold (ring)", answers.iter().map(|each| (each.name, in_words(each))));
    if let Some(prevalence) = answers.first().and_then(|each| each.metrics.scores.prevalence) {
        text += &format!(" Chance has an average precision of {} (dashed line).", short(prevalence));
    }
    text
}
