//! Images with confident mistakes or uncertain predictions.

use visage_judge::{Evaluation, Predictions, is_positive};

/// Why an image was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picked {
    /// A wrong decision with high confidence.
    ConfidentMistake,
    /// A probability close to the threshold.
    Uncertain,
}

/// An image and an attribute to show.
#[derive(Clone, Debug, PartialEq)]
pub struct Pick {
    /// Why it was picked.
    pub picked: Picked,
    /// Index of the image in the predictions.
    pub row: usize,
    /// The attribute.
    pub attribute: String,
    /// The label, if it is known.
    pub label: Option<bool>,
    /// The predicted probability.
    pub probability: f32,
    /// The threshold.
    pub threshold: f32,
}

/// A picture to show.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The image and attribute.
    pub pick: Pick,
    /// The image's name.
    pub name: String,
    /// The image, as the bytes of a JPEG file.
    pub jpeg: Vec<u8>,
}

/// The `count` most confident mistakes and the `count` least certain predictions; each image occurs once in either list.
///
/// Mistakes are ordered by the probability of the label. Uncertainty is the distance between probability and threshold in
/// logits, in which 0.01 and 0.02 are as far apart as 0.33 and 0.5.
pub fn pick(evaluation: &Evaluation, predictions: &Predictions, count: usize) -> Vec<Pick> {
    let width = predictions.attributes().len();
    let threshold = |name: &String| Some(evaluation.attributes.iter().find(|of| of.attribute == *name)?.threshold);
    let thresholds: Vec<Option<f32>> = predictions.attributes().iter().map(threshold).collect();
    let cells = predictions.probabilities().iter().zip(predictions.labels()).enumerate();
    let (mut mistakes, mut uncertain) = (Vec::new(), Vec::new());
    for (at, (&probability, &label)) in cells {
        let Some(threshold) = thresholds[at % width] else { continue };
        let certain = (logit(probability) - logit(threshold)).abs();
        uncertain.push((certain, at));
        if label.is_some_and(|present| present != is_positive(probability, threshold)) {
            let right = if label == Some(true) { probability } else { 1.0 - probability };
            mistakes.push((f64::from(right), at));
        }
    }
    let first = |mut ranked: Vec<(f64, usize)>, picked: Picked| {
        ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut seen = std::collections::HashSet::new();
        let chosen = ranked.into_iter().filter(|(_, at)| seen.insert(at / width)).take(count);
        let pick = |(_, at): (f64, usize)| {
            Some(Pick {
                picked,
                row: at / width,
                attribute: predictions.attributes()[at % width].clone(),
                label: predictions.labels()[at],
                probability: predictions.probabilities()[at],
                threshold: thresholds[at % width]?,
            })
        };
        chosen.filter_map(pick).collect::<Vec<_>>()
    };
    let mut picks = first(mistakes, Picked::ConfidentMistake);
    picks.extend(first(uncertain, Picked::Uncertain));
    picks
}

fn logit(probability: f32) -> f64 {
    let probability = f64::from(probability).clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    (probability / (1.0 - probability)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use visage_judge::{Thresholds, evaluate};

    #[test]
    fn the_surest_mistakes_and_the_least_certain() {
        let labels = vec![Some(true), Some(false), Some(false), Some(true), None, Some(true)];
        let probabilities = vec![0.02, 0.2, 0.97, 0.9, 0.49, 0.8];
        let predictions = Predictions::new(vec!["a".into(), "b".into()], labels, probabilities).unwrap();
        let evaluation = evaluate(&predictions, &Thresholds::fixed(0.5, 2)).unwrap();
        let picks = pick(&evaluation, &predictions, 2);
        let found: Vec<_> = picks.iter().map(|pick| (pick.picked, pick.row, pick.attribute.as_str())).collect();
        let (mistake, uncertain) = (Picked::ConfidentMistake, Picked::Uncertain);
        assert_eq!(found, [(mistake, 0, "a"), (mistake, 1, "a"), (uncertain, 2, "a"), (uncertain, 0, "b")]);
    }
}
