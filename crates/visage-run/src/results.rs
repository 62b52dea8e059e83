//! Where the results of a run are, and which of them are shown.
//!
//! Results on the data that the model was trained on are in the run folder; those on any other data in a folder of their own,
//! `other-data/NAME-FINGERPRINT`, so that no result replaces one on other images.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use visage_data::{Dataset, Split, SplitOrAll};
use visage_model::Card;

use crate::MetricsFile;
use crate::error::RunError;
use crate::file_name::file_part;

/// The folder of results on other data than the run's own.
const OTHER_DATA: &str = "other-data";
/// Characters of a fingerprint that tell datasets apart.
const FINGERPRINT: usize = 8;
/// The order of preference.
const PREFERRED: [SplitOrAll; 4] = [
    SplitOrAll::Split(Split::Test),
    SplitOrAll::Split(Split::Validation),
    SplitOrAll::Split(Split::Train),
    SplitOrAll::All,
];

/// The folder in the run folder `run` for results of its model on `dataset`.
#[must_use]
pub fn results_folder(run: &Path, card: &Card, dataset: &Dataset) -> PathBuf {
    let fingerprint = dataset.fingerprint();
    if card.origin.dataset_fingerprint == fingerprint {
        return run.to_owned();
    }
    let short = fingerprint.get(..FINGERPRINT).unwrap_or(&fingerprint);
    run.join(OTHER_DATA).join(format!("{}-{short}", file_part(dataset.name())))
}

/// An evaluation of a run.
#[derive(Clone, Debug)]
pub struct RunEvaluation {
    /// The metrics file.
    pub file: PathBuf,
    /// Its contents.
    pub metrics: MetricsFile,
}

impl RunEvaluation {
    /// The evaluations of a run folder, those on its own data first; or the one of a metrics file. Only those of a split, if one is
    /// named.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn of(run: &Path, split: Option<SplitOrAll>) -> Result<Vec<Self>, RunError> {
        let read = |file: PathBuf| Ok(Self { metrics: MetricsFile::read(&file)?, file });
        if !run.is_dir() {
            return Ok(vec![read(run.to_owned())?]);
        }
        let mut folders = entries(&run.join(OTHER_DATA))?;
        folders.insert(0, run.to_owned());
        let mut files = Vec::new();
        for folder in folders {
            let wanted = PREFERRED.into_iter().filter(|images| split.is_none_or(|split| split == *images));
            files.extend(wanted.map(|images| folder.join(MetricsFile::name(images))).filter(|file| file.is_file()));
        }
        files.into_iter().map(read).collect()
    }

    /// The question whose answers can be compared: the images, by their split and the fingerprint of their dataset.
    fn images(&self) -> (SplitOrAll, &str) {
        (self.metrics.split, &self.metrics.dataset_fingerprint)
    }
}

/// The folders in `folder`, sorted; none if it does not exist.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, RunError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        entries => entries.map_err(RunError::io("read the folder", folder))?,
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<BTreeSet<_>, _>>();
    Ok(paths.map_err(RunError::io("read the folder", folder))?.into_iter().filter(|path| path.is_dir()).collect())
}

/// Which evaluations of runs are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EvaluationChoice {
    /// The split; by default the first of test, validation, train and all that the most runs were evaluated on.
    pub split: Option<SplitOrAll>,
    /// The dataset: its name, its path, or the beginning of its fingerprint; by default the first that the most runs were evaluated
    /// on, their own before others.
    pub dataset: Option<String>,
}

/// The evaluations of runs that were chosen.
#[derive(Debug)]
pub struct ChosenEvaluations {
    /// One for each run that has one.
    pub runs: Vec<Option<RunEvaluation>>,
    /// Other datasets that as many runs were evaluated on, in words.
    pub others: Vec<String>,
}

impl EvaluationChoice {
    /// What is wanted, in words: ` on the test split of faces`.
    #[must_use]
    pub fn phrase(&self) -> String {
        let split = self.split.map(|split| format!(" on {}", split.phrase())).unwrap_or_default();
        match &self.dataset {
            Some(dataset) if self.split.is_some() => format!("{split} of {dataset}"),
            Some(dataset) => format!(" on {dataset}"),
            None => split,
        }
    }

    fn admits(&self, metrics: &MetricsFile) -> bool {
        let is_dataset = |text: &String| {
            metrics.dataset == *text
                || metrics.data == Path::new(text)
                || text.len() >= FINGERPRINT / 2 && metrics.dataset_fingerprint.starts_with(text.as_str())
        };
        self.split.is_none_or(|split| metrics.split == split) && self.dataset.as_ref().is_none_or(is_dataset)
    }

    /// Chooses one evaluation of each run, as far as possible on the same images. `found` holds the evaluations of each run.
    #[must_use]
    pub fn choose(&self, mut found: Vec<Vec<RunEvaluation>>) -> ChosenEvaluations {
        for evaluations in &mut found {
            evaluations.retain(|evaluation| self.admits(&evaluation.metrics));
        }
        let holders = |is_wanted: &dyn Fn(&RunEvaluation) -> bool| {
            found.iter().filter(|evaluations| evaluations.iter().any(is_wanted)).count()
        };
        // The first of those that the most runs have, in the order of preference.
        let (mut best, mut most, mut others) = (None, 0, Vec::new());
        for split in PREFERRED {
            for evaluation in found.iter().flatten().filter(|evaluation| evaluation.metrics.split == split) {
                let images = evaluation.images();
                let count = holders(&|other| other.images() == images);
                if count > most {
                    (best, most) = (Some(evaluation.clone()), count);
                    others.clear();
                } else if let Some(best) = best.as_ref().filter(|best| count == most && best.images() != images) {
                    // The same name twice would not help.
                    let MetricsFile { dataset, dataset_fingerprint, .. } = &evaluation.metrics;
                    let is_other_data = best.metrics.dataset_fingerprint != *dataset_fingerprint;
                    let name =
                        format!("{dataset} ({})", &dataset_fingerprint[..FINGERPRINT.min(dataset_fingerprint.len())]);
                    if is_other_data && !others.contains(&name) {
                        others.push(name);
                    }
                }
            }
        }
        let Some(best) = best else { return ChosenEvaluations { runs: found.iter().map(|_| None).collect(), others } };
        // A run that was not evaluated on these images is shown on what it has of the same split.
        let of_run = |evaluations: Vec<RunEvaluation>| {
            let position = |is_wanted: &dyn Fn(&RunEvaluation) -> bool| evaluations.iter().position(is_wanted);
            let same = position(&|each| each.images() == best.images());
            let place = same.or_else(|| position(&|each| each.metrics.split == best.metrics.split))?;
            evaluations.into_iter().nth(place)
        };
        ChosenEvaluations { runs: found.into_iter().map(of_run).collect(), others }
    }
}
