//! What several runs answered, brought to the same images and attributes.

use std::collections::HashMap;

use crate::{Error, Predictions, Thresholds};

/// What one run answered about named images.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// What the run is called.
    pub name: String,
    /// The images' names, in the order of the predictions.
    pub images: Vec<String>,
    /// Labels and probabilities.
    pub predictions: Predictions,
    /// What turns the probabilities into decisions.
    pub thresholds: Thresholds,
}

/// The answers of several runs to the same images, about the same attributes in the same order.
#[derive(Debug, Clone, PartialEq)]
pub struct Aligned {
    /// One entry a run.
    pub answers: Vec<Answers>,
    /// What of each run the others have no answer to.
    pub left_out: Vec<LeftOut>,
}

/// What of one run has no counterpart in all others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// How many images.
    pub images: usize,
    /// Which attributes.
    pub attributes: Vec<String>,
}

impl Answers {
    /// Keeps what all runs answered: images and attributes in the order of the first run. A label that one of them does
    /// not know is unknown to all.
    ///
    /// # Errors
    ///
    /// Runs without an image or attribute in common, or whose labels of the same image and attribute differ; names that
    /// are not one an image; thresholds that are not one an attribute.
    pub fn align(runs: Vec<Self>) -> Result<Aligned, Error> {
        for run in &runs {
            run.thresholds.check(run.predictions.attributes())?;
            if run.images.len() != run.predictions.images() {
                return Err(Error::ImageCount { names: run.images.len(), images: run.predictions.images() });
            }
        }
        let Some((first, others)) = runs.split_first() else {
            return Err(Error::NothingToCompare { found: 0 });
        };
        let places = |names: &[String]| -> HashMap<String, usize> {
            names.iter().enumerate().map(|(place, name)| (name.clone(), place)).collect()
        };
        let rows: Vec<_> = runs.iter().map(|run| places(&run.images)).collect();
        let columns: Vec<_> = runs.iter().map(|run| places(run.predictions.attributes())).collect();
        let common = |names: &[String], places: &[HashMap<String, usize>]| -> Vec<String> {
            names.iter().filter(|name| places.iter().all(|places| places.contains_key(*name))).cloned().collect()
        };
        let images = common(&first.images, &rows);
        let attributes = common(first.predictions.attributes(), &columns);
        for (what, none, places) in
            [("image", images.is_empty(), &rows), ("attribute", attributes.is_empty(), &columns)]
        {
            if none && !places[0].is_empty() {
                // Whom the first has nothing in common with, or else the last: only all together leave nothing.
                let apart =
                    (1..runs.len()).find(|&other| !places[other].keys().any(|name| places[0].contains_key(name)));
                let other = runs[apart.unwrap_or(runs.len() - 1)].name.clone();
                return Err(Error::NothingInCommon { first: first.name.clone(), other, what });
            }
        }

        let at = |names: &[String], places: &[HashMap<String, usize>]| -> Vec<Vec<usize>> {
            places.iter().map(|places| names.iter().map(|name| places[name]).collect()).collect()
        };
        let (rows, columns) = (at(&images, &rows), at(&attributes, &columns));
        let cell = |run: usize, image: usize, attribute: usize| {
            rows[run][image] * runs[run].predictions.attributes().len() + columns[run][attribute]
        };
        let mut labels = Vec::with_capacity(images.len() * attributes.len());
        let mut differing = vec![0; runs.len()];
        let mut compared = vec![0; runs.len()];
        for image in 0..images.len() {
            for attribute in 0..attributes.len() {
                let label = |run: usize| runs[run].predictions.labels()[cell(run, image, attribute)];
                let ours = label(0);
                for other in 1..runs.len() {
                    if let (Some(ours), Some(theirs)) = (ours, label(other)) {
                        compared[other] += 1;
                        differing[other] += usize::from(ours != theirs);
                    }
                }
                labels.push((0..runs.len()).all(|run| label(run).is_some()).then_some(ours).flatten());
            }
        }
        if let Some(other) = (1..runs.len()).find(|&other| differing[other] > 0) {
            return Err(Error::OtherLabels {
                first: first.name.clone(),
                other: others[other - 1].name.clone(),
                differing: differing[other],
                compared: compared[other],
            });
        }

        let mut answers = Vec::with_capacity(runs.len());
        let mut left_out = Vec::with_capacity(runs.len());
        for (number, run) in runs.iter().enumerate() {
            let all = run.predictions.probabilities();
            let probabilities = (0..images.len() * attributes.len())
                .map(|place| all[cell(number, place / attributes.len(), place % attributes.len())])
                .collect();
            let values = columns[number].iter().map(|&column| run.thresholds.values[column]).collect();
            answers.push(Self {
                name: run.name.clone(),
                images: images.clone(),
                predictions: Predictions::new(attributes.clone(), labels.clone(), probabilities)?,
                thresholds: Thresholds { rule: run.thresholds.rule, values },
            });
            let lacking = run.predictions.attributes().iter().filter(|name| !attributes.contains(name));
            left_out.push(LeftOut { images: run.images.len() - images.len(), attributes: lacking.cloned().collect() });
        }
        Ok(Aligned { answers, left_out })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, images: &[&str], attributes: &[&str], labels: &[Option<bool>]) -> Answers {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let probabilities = (0..labels.len()).map(|cell| cell as f32 / 10.0).collect();
        Answers {
            name: name.to_owned(),
            images: words(images),
            predictions: Predictions::new(words(attributes), labels.to_vec(), probabilities).unwrap(),
            thresholds: Thresholds {
                rule: crate::ThresholdRule::Fixed,
                values: (0..attributes.len()).map(|column| 0.5 + column as f32 / 10.0).collect(),
            },
        }
    }

    const YES: Option<bool> = Some(true);
    const NO: Option<bool> = Some(false);

    #[test]
    fn what_all_answered_is_kept_in_the_order_of_the_first() {
        let first = run("first", &["1", "2", "3"], &["a", "b"], &[YES, NO, NO, YES, YES, YES]);
        let second = run("second", &["3", "1"], &["b", "c", "a"], &[YES, NO, YES, NO, NO, None]);
        let Aligned { answers, left_out } = Answers::align(vec![first, second]).unwrap();
        for run in &answers {
            assert_eq!(
                (run.images.as_slice(), run.predictions.attributes()),
                (&["1", "3"].map(String::from)[..], &["a", "b"].map(String::from)[..])
            );
            assert_eq!(run.predictions.labels(), [None, NO, YES, YES]);
        }
        assert_eq!(answers[0].predictions.probabilities(), [0.0, 0.1, 0.4, 0.5]);
        assert_eq!(answers[1].predictions.probabilities(), [0.5, 0.3, 0.2, 0.0]);
        assert_eq!(answers[1].thresholds.values, [0.7, 0.5]);
        assert_eq!(left_out[0], LeftOut { images: 1, attributes: vec![] });
        assert_eq!(left_out[1], LeftOut { images: 0, attributes: vec!["c".to_owned()] });
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let first = || run("first", &["1", "2"], &["a"], &[YES, NO]);
        let cases = [
            (run("second", &["3"], &["a"], &[YES]), "no image in common"),
            (run("second", &["1"], &["b"], &[YES]), "no attribute in common"),
            (run("second", &["2", "1"], &["a"], &[YES, YES]), "1 of the 2 they share differ"),
            (Answers { images: vec![], ..run("second", &["1"], &["a"], &[YES]) }, "0 image names for 1 images"),
        ];
        for (second, message) in cases {
            let error = Answers::align(vec![first(), second]).unwrap_err().to_string();
            assert!(error.contains(message), "{error:?} should say {message:?}");
        }
    }
}
