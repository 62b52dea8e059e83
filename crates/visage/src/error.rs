//! Why a command fails. Each error has its message and its help in one place; [`report`](mod@report) shows them.

mod report;

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use miette::Diagnostic;
use visage_data::with_causes;
use visage_model::{Model, ModelError};
use visage_run::bulk::BulkError;
use visage_run::{RunFolder, shell};

use crate::output;
use crate::tables::{count, counted};

/// The exit code after Ctrl-C: that of a shell for a process that a signal stopped, 128 and the number of the signal.
pub const INTERRUPTED: u8 = 130;

/// Why a command failed.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum CommandError {
    /// The command line was understood but does not make sense.
    #[error("{0}")]
    Usage(#[source] Box<dyn Error + Send + Sync>),
    /// A run folder or a file of it.
    #[error(transparent)]
    Run(#[from] visage_run::RunError),
    /// A recipe.
    #[error(transparent)]
    Recipe(#[from] visage_run::RecipeError),
    /// Training.
    #[error(transparent)]
    Train(Box<visage_train::TrainError>),
    /// Training failed for an external reason, with a checkpoint to resume from.
    #[error("{}", with_causes(&**error))]
    #[diagnostic(help(
        "everything saved so far is intact: {}, then resume from the last checkpoint: {resume}",
        remedy(error)
    ))]
    TrainingFailed {
        /// The reason.
        error: Box<visage_train::TrainError>,
        /// The command that resumes the run.
        resume: String,
    },
    /// Training was interrupted by the user.
    #[error("training was interrupted in epoch {epoch}; everything up to this point is saved in {}", run.display())]
    #[diagnostic(help("to resume: {resume}"))]
    Interrupted {
        /// The run folder.
        run: PathBuf,
        /// The epoch in progress, from 1.
        epoch: u32,
        /// The command that resumes the run.
        resume: String,
    },
    /// A search.
    #[error(transparent)]
    Tune(Box<visage_train::tune::TuneError>),
    /// A search failed for an external reason.
    #[error("{error}")]
    #[diagnostic(help(
        "everything up to this point is saved: fix the cause (the disk, its permissions, or the image), then go on: {resume}"
    ))]
    SearchFailed {
        /// The reason.
        error: Box<visage_train::tune::TuneError>,
        /// The command that goes on with the search.
        resume: String,
    },
    /// A search was interrupted by the user.
    #[error("the search was interrupted; everything up to this point is saved in {}", folder.display())]
    #[diagnostic(help("to go on: {resume}"))]
    SearchInterrupted {
        /// The folder of the search.
        folder: PathBuf,
        /// The command that goes on with it.
        resume: String,
    },
    /// A dataset.
    #[error(transparent)]
    Data(#[from] visage_data::DataError),
    /// A pack that was not written.
    #[error(transparent)]
    Pack(#[from] visage_data::pack::PackError),
    /// A dataset of which most images cannot be used.
    #[error("{bad} of {images} images of {dataset} cannot be used, which are too many to leave out")]
    #[diagnostic(help(
        "`visage data verify` lists every one; check that --data names the folder with the images, and that the download is complete"
    ))]
    MostImagesBad {
        /// The dataset.
        dataset: String,
        /// Images that cannot be used.
        bad: usize,
        /// All images.
        images: usize,
    },
    /// Images that cannot be used, found before work began.
    #[error("{bad} of {} of {dataset} cannot be used, first {first}: {reason}", counted(*images as u64, "image"))]
    #[diagnostic(help(
        "--skip-bad-images leaves out every image that cannot be used; `visage data verify` lists them"
    ))]
    UnusableImages {
        /// The dataset.
        dataset: String,
        /// Images that cannot be used.
        bad: usize,
        /// All images.
        images: usize,
        /// The first of them.
        first: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Attributes that cannot be learnt.
    #[error("{} of {dataset} {} always present or always absent in the training images: {}", counted(attributes.len() as u64, "attribute"),
        if attributes.len() == 1 { "is" } else { "are" }, attributes.join(", "))]
    #[diagnostic(help(
        "a model would answer the same for every image, and be right each time: train without with --drop-constant, or add images of \
         the other kind to the training split"
    ))]
    ConstantAttributes {
        /// The dataset.
        dataset: String,
        /// Each with its counts.
        attributes: Vec<String>,
    },
    /// A dataset that failed verification.
    #[error("{dataset} has {}", counted(*errors as u64, "error"))]
    Verification {
        /// The dataset.
        dataset: String,
        /// How many errors were found.
        errors: usize,
    },
    /// Faces in photographs.
    #[error(transparent)]
    Faces(#[from] visage_faces::FacesError),
    /// Photographs to align that a pack does not have.
    #[error("{pack} is a pack of images that are not aligned, and holds no photographs to find faces in")]
    #[diagnostic(help(
        "pack the photographs by a recipe with input.align = \"celeba\", or name the dataset that was packed"
    ))]
    PackWithoutPhotographs {
        /// The name of the packed dataset.
        pack: String,
    },
    /// A photograph without a face.
    #[error("{} has no face", path.display())]
    #[diagnostic(help("--any-rotation also turns the photograph by quarters; --faces off uses the image as it is"))]
    NoFace {
        /// The photograph.
        path: PathBuf,
    },
    /// Photographs without faces.
    #[error("no photograph of {dataset} has a face")]
    #[diagnostic(help(
        "`visage faces find` shows what is found; for images without faces leave --faces and input.align out"
    ))]
    NoFaces {
        /// The dataset.
        dataset: String,
    },
    /// A synthetic dataset.
    #[error(transparent)]
    Synth(#[from] visage_synth::SynthError),
    /// A model file.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A model that cannot be averaged with another.
    #[error("{} cannot be averaged with {}: it differs in {what}", other.display(), first.display())]
    #[diagnostic(help(
        "an ensemble needs models that answer the same questions, about images prepared in the same way, trained on the same splits \
         of the same data: train them by recipes that differ in the seed, the network or the training alone"
    ))]
    NotAveraged {
        /// The first model.
        first: PathBuf,
        /// The other one.
        other: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// A file that visage did not write.
    #[error("{} exists, and visage did not write it", path.display())]
    #[diagnostic(help("name another file, or replace this one with --force"))]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// A file that is not overwritten.
    #[error("{} exists", path.display())]
    #[diagnostic(help("name another file, or remove this one first"))]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A damaged checkpoint of a run whose other checkpoint is whole.
    #[error("{error}")]
    #[diagnostic(help(
        "the other checkpoint of the run, of epoch {epoch}, is whole; use it instead: {}",
        shell::path(instead)
    ))]
    DamagedCheckpoint {
        /// What is wrong with it.
        error: Box<ModelError>,
        /// The other checkpoint.
        instead: PathBuf,
        /// The number of epochs after which it was written.
        epoch: usize,
    },
    /// A folder without a model.
    #[error("there is no model in {}: it has no best.safetensors and no last.safetensors", folder.display())]
    #[diagnostic(help("name a model file, or the folder of a run that has finished an epoch or saved a checkpoint"))]
    NoModel {
        /// The folder.
        folder: PathBuf,
    },
    /// One name for a folder of several models.
    #[error("{} holds {count} models, which cannot all be named {name}", folder.display())]
    #[diagnostic(help("name one of them, or leave {name}= out: each is then named after its file or run"))]
    OneNameForModels {
        /// The name.
        name: String,
        /// The folder.
        folder: PathBuf,
        /// Models in the folder.
        count: usize,
    },
    /// An attribute that a model does not have.
    #[error("the model has no attribute {name:?}")]
    #[diagnostic(help("it has {}", known.join(", ")))]
    UnknownAttribute {
        /// The name.
        name: String,
        /// The attributes of the model.
        known: Vec<String>,
    },
    /// A device to compute on.
    #[error(transparent)]
    Device(#[from] visage_model::device::DeviceError),
    /// The thread pool could not be started.
    #[error("cannot start the threads to compute with")]
    Threads(#[source] rayon::ThreadPoolBuildError),
    /// Labels and predictions that cannot be evaluated.
    #[error(transparent)]
    Judge(#[from] visage_judge::Error),
    /// Rules between attributes.
    #[error(transparent)]
    Rules(visage_judge::RuleError),
    /// A file of rules between attributes.
    #[error("{}: {source}", path.display())]
    RuleFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: visage_judge::RuleError,
    },
    /// Consistent predictions without a rule.
    #[error("there are no rules about this model's attributes: name a file of rules with --rules")]
    NoRules,
    /// Evaluating a model.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Evaluate(#[from] visage_run::evaluation::EvaluateError),
    /// Comparing evaluated runs.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Compare(#[from] visage_run::comparison::CompareError),
    /// Running a model over a dataset.
    #[error(transparent)]
    Predict(#[from] visage_run::predict::PredictError),
    /// Predicting image files.
    #[error(transparent)]
    Bulk(BulkError),
    /// Auditing a dataset.
    #[error(transparent)]
    Audit(#[from] visage_run::audit::AuditError),
    /// An image that cannot be explained.
    #[error("cannot use {}", path.display())]
    BadImage {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: visage_data::ImageError,
    },
    /// Some images could not be used; each was reported.
    #[error("{}", unusable_images(*failed, *images))]
    SomeImages {
        /// How many failed.
        failed: u64,
        /// How many there were.
        images: u64,
    },
    /// A report, an audit page, or heat maps.
    #[error(transparent)]
    Report(#[from] visage_report::ReportError),
    /// An export.
    #[error(transparent)]
    Export(Box<visage_export::ExportError>),
    /// A server.
    #[error(transparent)]
    Serve(#[from] visage_serve::ServeError),
    /// Standard output was closed or is full.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// A file or folder that cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file that cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl From<visage_train::TrainError> for CommandError {
    fn from(error: visage_train::TrainError) -> Self {
        Self::Train(Box::new(error))
    }
}

impl From<visage_train::tune::TuneError> for CommandError {
    fn from(error: visage_train::tune::TuneError) -> Self {
        Self::Tune(Box::new(error))
    }
}

impl From<visage_export::ExportError> for CommandError {
    fn from(error: visage_export::ExportError) -> Self {
        Self::Export(Box::new(error))
    }
}

impl From<BulkError> for CommandError {
    fn from(error: BulkError) -> Self {
        match error {
            BulkError::Pattern(error) => Self::usage(error),
            BulkError::Stream(error) => Self::Output(error),
            error => Self::Bulk(error),
        }
    }
}

/// How many of some images could not be used, and what became of the others, if there are any.
fn unusable_images(failed: u64, images: u64) -> String {
    let used = images.saturating_sub(failed);
    match (failed, used) {
        (1, 0) => "the image could not be used".to_owned(),
        (_, 0) => format!("none of the {} could be used", counted(images, "image")),
        (_, 1) => format!("{} of {} images could not be used; the other one is done", count(failed), count(images)),
        _ => format!("{} of {} images could not be used; the others are done", count(failed), count(images)),
    }
}

/// What to do before resuming a run that failed with this error.
fn remedy(error: &visage_train::TrainError) -> &'static str {
    if error.is_full_disk() {
        "free some disk space"
    } else {
        "fix the cause (the disk, its permissions, or the image; --skip-bad-images with --accept-changes leaves such images out)"
    }
}

impl CommandError {
    /// A command line that does not make sense.
    pub fn usage(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Usage(error.into())
    }

    /// The model file `path` cannot be read.
    pub fn model(path: &Path, error: ModelError) -> Self {
        let other = RunFolder::other_checkpoint(path).and_then(|other| Some((Model::read_card(&other).ok()?, other)));
        match other {
            Some((card, instead)) => {
                Self::DamagedCheckpoint { error: Box::new(error), instead, epoch: card.origin.epoch }
            }
            None => error.into(),
        }
    }

    /// A file that cannot be written.
    pub fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }

    /// A file or folder that cannot be read.
    pub fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }

    /// The folder that holds everything up to the moment when Ctrl-C stopped the work.
    fn saved_in(&self) -> Option<&Path> {
        match self {
            Self::Interrupted { run: folder, .. } | Self::SearchInterrupted { folder, .. } => Some(folder),
            _ => None,
        }
    }

    /// The exit code: 0 if nobody reads the output any more, 2 for wrong usage, [`INTERRUPTED`] after Ctrl-C, else 1.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            _ if self.saved_in().is_some() => INTERRUPTED,
            _ if self.is_closed_pipe() => 0,
            _ => 1,
        }
    }

    /// Whether the reader of standard output has closed it, as `head` does.
    fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Shows the error on standard error and returns the exit code.
    pub fn report(self) -> ExitCode {
        if !self.is_closed_pipe() {
            report::print(&self);
        }
        if let Some(folder) = self.saved_in() {
            output::problem(&format!("stopped: saved in {}", folder.display()));
        }
        self.exit_code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_images_are_counted_in_words() {
        let text = |failed, images| CommandError::SomeImages { failed, images }.to_string();
        assert_eq!(text(1, 1), "the image could not be used");
        assert_eq!(text(3, 3), "none of the 3 images could be used");
        assert_eq!(text(1, 2), "1 of 2 images could not be used; the other one is done");
        assert_eq!(text(2, 3000), "2 of 3,000 images could not be used; the others are done");
    }

    #[test]
    fn a_closed_pipe_is_not_a_failure() {
        assert_eq!(CommandError::Output(io::ErrorKind::BrokenPipe.into()).exit_code(), 0);
        assert_eq!(CommandError::Output(io::ErrorKind::StorageFull.into()).exit_code(), 1);
        assert_eq!(CommandError::usage("x").exit_code(), 2);
    }
}
