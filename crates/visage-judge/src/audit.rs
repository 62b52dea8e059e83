//! Labels that are likely wrong.
//!
//! Confident learning (Northcutt, Jiang and Chuang, 2021, arXiv 1911.00068): how sure a model usually is of a class, among
//! the images labelled so, is what its certainty is measured by before a label is suspected, so that neither a rare class nor
//! a loss that favours one side passes for wrong labels. The ranking goes by the probability of the label itself, which
//! compares across attributes: what the model knows badly it doubts mildly. The probabilities must be of images the model was
//! not trained on.

use serde::Serialize;

use crate::ranking::Ranking;
use crate::{Error, Interval, Predictions};

/// An attribute with fewer known labels of either kind than this is too rare to judge its labels.
const FEWEST_LABELS: u64 = 30;

/// Half the width of a 95 % interval, in standard errors.
const STANDARD_ERRORS: f64 = 1.96;

/// One label and how much the model disagrees with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelDoubt {
    /// The image's number.
    pub image: usize,
    /// The attribute's number.
    pub column: usize,
    /// What the label says.
    pub present: bool,
    /// The model's probability of presence.
    pub probability: f32,
    /// The probability of what the label says: the lower, the more doubtful.
    pub confidence: f32,
    /// Whether the model is as sure of the opposite as it usually is where that is the label, and surer than of the label: a
    /// suspected error.
    pub suspect: bool,
}

/// What the labels of one attribute look like.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttributeAudit {
    /// Name of the attribute.
    pub attribute: String,
    /// Known labels.
    pub labels: u64,
    /// Those that say present.
    pub positives: u64,
    /// Labels that are suspected to be wrong.
    pub suspects: u64,
    /// Area under the ROC curve: how well the model tells the labels apart.
    pub roc_auc: Option<f64>,
    /// Its 95 % interval, by the standard error of Hanley and McNeil (1982).
    pub interval: Option<Interval>,
    /// Whether that is no better than chance: the labels are random, or the pictures do not show what they are about, or the
    /// model has not learnt it.
    pub looks_random: bool,
    /// Whether there are fewer than 30 labels of either kind, so that nothing can be said.
    pub too_few: bool,
}

/// The known labels from the most to the least doubtful, and what the labels of each attribute look like.
#[derive(Debug, Clone, PartialEq)]
pub struct Audit {
    /// Every known label of an attribute with both kinds; of equal doubt in order of image and attribute.
    pub doubts: Vec<LabelDoubt>,
    /// The attributes, in the order of the predictions.
    pub attributes: Vec<AttributeAudit>,
}

/// Doubts labels.
///
/// # Errors
///
/// There is no known label.
pub fn audit(predictions: &Predictions) -> Result<Audit, Error> {
    let width = predictions.attributes().len();
    let mut doubts = Vec::new();
    let mut attributes = Vec::with_capacity(width);
    for (column, attribute) in predictions.attributes().iter().enumerate() {
        let known: Vec<(f32, bool)> = predictions.known(column).collect();
        let ranking = Ranking::new(known.clone());
        let [usual_absent, usual_present] = usual(&known);
        let before = doubts.len();
        if let (Some(usual_absent), Some(usual_present)) = (usual_absent, usual_present) {
            let cells = (column..predictions.labels().len()).step_by(width);
            doubts.extend(cells.filter_map(|cell| {
                let present = predictions.labels()[cell]?;
                let probability = predictions.probabilities()[cell];
                let (of_present, of_absent) = (f64::from(probability), 1.0 - f64::from(probability));
                let (label, opposite, usual_opposite) = if present {
                    (of_present, of_absent, usual_absent)
                } else {
                    (of_absent, of_present, usual_present)
                };
                Some(LabelDoubt {
                    image: cell / width,
                    column,
                    present,
                    probability,
                    confidence: label as f32,
                    suspect: opposite >= usual_opposite && opposite > label,
                })
            }));
        }
        let (roc_auc, positives, negatives) = (ranking.roc_auc(), ranking.positives(), ranking.negatives());
        let interval = roc_auc.map(|auc| {
            let half = STANDARD_ERRORS * standard_error(auc, positives as f64, negatives as f64);
            Interval { low: (auc - half).max(0.0), high: (auc + half).min(1.0) }
        });
        let too_few = positives.min(negatives) < FEWEST_LABELS;
        attributes.push(AttributeAudit {
            attribute: attribute.clone(),
            labels: positives + negatives,
            positives,
            suspects: doubts[before..].iter().filter(|doubt: &&LabelDoubt| doubt.suspect).count() as u64,
            roc_auc,
            interval,
            looks_random: !too_few && interval.is_some_and(|interval| interval.low <= 0.5),
            too_few,
        });
    }
    if attributes.iter().all(|attribute| attribute.labels == 0) {
        return Err(Error::NoLabels);
    }
    doubts.sort_by(|a, b| a.confidence.total_cmp(&b.confidence).then((a.image, a.column).cmp(&(b.image, b.column))));
    Ok(Audit { doubts, attributes })
}

/// The mean probability of absence among labels that say absent, and of presence among the others.
fn usual(known: &[(f32, bool)]) -> [Option<f64>; 2] {
    [false, true].map(|present| {
        let own = known.iter().filter(|pair| pair.1 == present);
        let (sum, count) = own.fold((0.0, 0_u64), |(sum, count), &(probability, _)| {
            let probability = f64::from(probability);
            (sum + if present { probability } else { 1.0 - probability }, count + 1)
        });
        (count > 0).then(|| sum / count as f64)
    })
}

/// Of an area under the ROC curve (Hanley and McNeil, 1982).
fn standard_error(auc: f64, positives: f64, negatives: f64) -> f64 {
    let (q1, q2) = (auc / (2.0 - auc), 2.0 * auc * auc / (1.0 + auc));
    let spread = auc * (1.0 - auc) + (positives - 1.0) * (q1 - auc * auc) + (negatives - 1.0) * (q2 - auc * auc);
    (spread / (positives * negatives)).max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_errors_come_first_and_random_labels_are_called_so() {
        // Of 1,000 images one in five is present and the model knows it well; 20 labels are turned over. The labels of the
        // second attribute have nothing to do with the probabilities. The third is rare.
        let mut state = 1_u64;
        let mut draw = move || {
            state = state * 16_807 % 2_147_483_647;
            state as f32 / 2_147_483_647.0
        };
        let (mut labels, mut probabilities) = (Vec::new(), Vec::new());
        for image in 0..1000 {
            let truth = image % 5 == 0;
            let planted = image % 50 == 7 || image % 500 == 10;
            labels.extend([Some(truth != planted), Some(draw() < 0.3), Some(image % 100 == 0)]);
            probabilities.extend([if truth { 0.5 + 0.5 * draw() } else { 0.3 * draw() }, 0.2 + 0.2 * draw(), draw()]);
        }
        let names = ["clean", "random", "rare"].map(str::to_owned).to_vec();
        let audit = audit(&Predictions::new(names, labels, probabilities).unwrap()).unwrap();
        let planted = |doubt: &&LabelDoubt| doubt.column == 0 && (doubt.image % 50 == 7 || doubt.image % 500 == 10);
        let first = audit.doubts.iter().filter(|doubt| doubt.column == 0).take(22).filter(planted).count();
        assert_eq!(first, 22, "the 22 errors are the 22 most doubtful labels of their attribute");
        let [clean, random, rare] = audit.attributes.as_slice() else { panic!("three attributes") };
        assert_eq!((clean.looks_random, clean.too_few), (false, false));
        // About half the errors are as sure as usual, and nothing else is suspected.
        let suspects: Vec<&LabelDoubt> =
            audit.doubts.iter().filter(|doubt| doubt.column == 0 && doubt.suspect).collect();
        assert!(suspects.len() >= 5 && suspects.iter().all(planted), "{suspects:?}");
        assert_eq!(clean.suspects, suspects.len() as u64);
        assert!(random.looks_random, "{random:?}");
        assert!(rare.too_few && !rare.looks_random, "{rare:?}");
        assert!(audit.doubts.is_sorted_by(|a, b| a.confidence <= b.confidence));
    }

    #[test]
    fn one_kind_of_label_leaves_nothing_to_doubt() {
        let predictions = Predictions::new(vec!["a".into()], vec![Some(true), None], vec![0.1, 0.2]).unwrap();
        let audit = super::audit(&predictions).unwrap();
        assert_eq!((audit.doubts.len(), audit.attributes[0].labels, audit.attributes[0].roc_auc), (0, 1, None));
        let none = Predictions::new(vec!["a".into()], vec![None], vec![0.1]).unwrap();
        assert_eq!(super::audit(&none), Err(Error::NoLabels));
    }
}
