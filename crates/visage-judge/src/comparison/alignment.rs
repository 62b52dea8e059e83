//! Alignment of several runs' predictions to the same images and attributes.

use std::collections::HashMap;

use crate::error::Error;
use crate::predictions::Predictions;
use crate::thresholds::Thresholds;

/// The predictions of one run on named images.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPredictions {
    /// Name of the run.
    pub name: String,
    /// Names of the images, in the order of the predictions.
    pub images: Vec<String>,
    /// Labels and probabilities.
    pub predictions: Predictions,
    /// The thresholds of the decisions.
    pub thresholds: Thresholds,
}

/// The predictions of several runs on the same images and attributes, in the same order.
#[derive(Debug, Clone, PartialEq)]
pub struct Aligned {
    /// One entry per run.
    pub runs: Vec<RunPredictions>,
    /// What each run has that another lacks, one entry per run.
    pub unmatched: Vec<Unmatched>,
}

/// Images and attributes of one run that another run lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unmatched {
    /// Number of images.
    pub images: usize,
    /// Names of the attributes.
    pub attributes: Vec<String>,
}

impl RunPredictions {
    /// Keeps the images and attributes that all runs share, in the order of the first run. A label unknown to one run
    /// becomes unknown to all.
    ///
    /// # Errors
    ///
    /// Runs without a common image or attribute, or with different labels of the same image and attribute; numbers of
    /// image names or of thresholds that do not fit the predictions.
    pub fn align(runs: Vec<Self>) -> Result<Aligned, Error> {
        for run in &runs {
            run.thresholds.check(run.predictions.attributes())?;
            if run.images.len() != run.predictions.images() {
                return Err(Error::ImageCount { names: run.images.len(), images: run.predictions.images() });
            }
        }
        if runs.is_empty() {
            return Err(Error::NothingToCompare { found: 0 });
        }
        let images: Vec<&[String]> = runs.iter().map(|run| run.images.as_slice()).collect();
        let attributes: Vec<&[String]> = runs.iter().map(|run| run.predictions.attributes()).collect();
        let [images, attributes] =
            [("image", images), ("attribute", attributes)].map(|(what, names)| Shared::new(what, &names, &runs));
        let (images, attributes) = (images?, attributes?);
        let labels = common_labels(&runs, &images, &attributes)?;

        let mut aligned = Aligned { runs: Vec::with_capacity(runs.len()), unmatched: Vec::with_capacity(runs.len()) };
        for (number, run) in runs.iter().enumerate() {
            let columns = &attributes.indices[number];
            let cells = images.indices[number].iter().flat_map(|&row| columns.iter().map(move |&column| (row, column)));
            let cells: Vec<usize> = cells.map(|(row, column)| cell(run, row, column)).collect();
            let picked = |values: &[f32]| cells.iter().map(|&cell| values[cell]).collect();
            let probabilities = picked(run.predictions.probabilities());
            let mut predictions = Predictions::new(attributes.names.clone(), labels.clone(), probabilities)?;
            if let Some(targets) = run.predictions.targets() {
                predictions = predictions.with_targets(picked(targets))?;
            }
            let values = columns.iter().map(|&column| run.thresholds.values[column]).collect();
            aligned.runs.push(Self {
                name: run.name.clone(),
                images: images.names.clone(),
                predictions,
                thresholds: Thresholds { rule: run.thresholds.rule, values },
            });
            let lacking = run.predictions.attributes().iter().filter(|name| !attributes.names.contains(name));
            aligned.unmatched.push(Unmatched {
                images: run.images.len() - images.names.len(),
                attributes: lacking.cloned().collect(),
            });
        }
        Ok(aligned)
    }
}

/// The names that all runs share, and the index of each in every run.
struct Shared {
    names: Vec<String>,
    indices: Vec<Vec<usize>>,
}

impl Shared {
    /// `names` has an entry per run, of names of the kind `what`.
    fn new(what: &'static str, names: &[&[String]], runs: &[RunPredictions]) -> Result<Self, Error> {
        let index = |names: &&[String]| -> HashMap<String, usize> {
            names.iter().enumerate().map(|(index, name)| (name.clone(), index)).collect()
        };
        let indices: Vec<HashMap<String, usize>> = names.iter().map(index).collect();
        let shared: Vec<String> =
            names[0].iter().filter(|name| indices.iter().all(|run| run.contains_key(*name))).cloned().collect();
        if shared.is_empty() && !indices[0].is_empty() {
            // The first run that shares nothing with run 0; or the last, where only all together share nothing.
            let disjoint =
                (1..runs.len()).find(|&other| !indices[other].keys().any(|name| indices[0].contains_key(name)));
            let other = runs[disjoint.unwrap_or(runs.len() - 1)].name.clone();
            return Err(Error::NothingInCommon { first: runs[0].name.clone(), other, what });
        }
        let indices = indices.iter().map(|run| shared.iter().map(|name| run[name]).collect()).collect();
        Ok(Self { names: shared, indices })
    }
}

fn cell(run: &RunPredictions, row: usize, column: usize) -> usize {
    row * run.predictions.attributes().len() + column
}

/// The labels of the shared images and attributes, row-major: known where every run knows them.
fn common_labels(runs: &[RunPredictions], images: &Shared, attributes: &Shared) -> Result<Vec<Option<bool>>, Error> {
    let mut labels = Vec::with_capacity(images.names.len() * attributes.names.len());
    let (mut differing, mut compared) = (vec![0; runs.len()], vec![0; runs.len()]);
    for row in 0..images.names.len() {
        for column in 0..attributes.names.len() {
            let label = |run: usize| {
                runs[run].predictions.labels()
                    [cell(&runs[run], images.indices[run][row], attributes.indices[run][column])]
            };
            let first = label(0);
            for other in 1..runs.len() {
                if let (Some(first), Some(other_label)) = (first, label(other)) {
                    compared[other] += 1;
                    differing[other] += usize::from(first != other_label);
                }
            }
            labels.push((0..runs.len()).all(|run| label(run).is_some()).then_some(first).flatten());
        }
    }
    match (1..runs.len()).find(|&other| differing[other] > 0) {
        Some(other) => Err(Error::DifferentLabels {
            first: runs[0].name.clone(),
            other: runs[other].name.clone(),
            differing: differing[other],
            compared: compared[other],
        }),
        None => Ok(labels),
    }
}

#[cfg(test)]
mod tests;
