//! What can keep a command from being done, and how that is shown.

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use visage_data::Split;

use crate::shell;

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Training, or judging with a model.
    #[error(transparent)]
    Train(#[from] visage_train::TrainError),
    /// A run folder or a file of it.
    #[error(transparent)]
    Run(#[from] visage_run::RunError),
    /// A recipe.
    #[error(transparent)]
    Recipe(#[from] visage_run::RecipeError),
    /// Running a model over a dataset.
    #[error(transparent)]
    Predict(#[from] visage_run::predict::PredictError),
    /// A dataset.
    #[error(transparent)]
    Data(#[from] visage_data::DataError),
    /// A model file.
    #[error(transparent)]
    Model(#[from] visage_model::ModelError),
    /// A device to compute on.
    #[error(transparent)]
    Device(#[from] visage_model::device::DeviceError),
    /// An export.
    #[error(transparent)]
    Export(#[from] visage_export::ExportError),
    /// A server.
    #[error(transparent)]
    Serve(#[from] visage_serve::ServeError),
    /// An option that goes with another value of --format.
    #[error("{option} goes with --format {format}")]
    OtherFormat {
        /// The option.
        option: &'static str,
        /// The format it goes with.
        format: &'static str,
    },
    /// Predictions that cannot be judged.
    #[error(transparent)]
    Judge(#[from] visage_judge::Error),
    /// A pack that was not written.
    #[error(transparent)]
    Pack(#[from] visage_data::pack::PackError),
    /// A dataset that is not whole.
    #[error("{dataset} has {errors} errors")]
    NotWhole {
        /// The dataset.
        dataset: String,
        /// How many.
        errors: usize,
    },
    /// A report.
    #[error(transparent)]
    Report(#[from] visage_report::ReportError),
    /// A picture of a gallery that is not where it was.
    #[error("{} has no image {image} any more, which a model was judged on: evaluate again, or leave out --gallery", data.display())]
    PictureGone {
        /// The dataset.
        data: PathBuf,
        /// The image.
        image: String,
    },
    /// An attribute that a model does not know.
    #[error("the model has no attribute {name:?}")]
    NoSuchAttribute {
        /// What was asked for.
        name: String,
        /// What the model knows.
        known: Vec<String>,
    },
    /// An image that a model cannot be asked about.
    #[error("cannot use {}", path.display())]
    BadImage {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: visage_data::ImageError,
    },
    /// A picture of a gallery that cannot be read.
    #[error("cannot make a picture of {image}")]
    Picture {
        /// The image.
        image: String,
        /// Why not.
        source: image::ImageError,
    },
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
    /// Consistent answers without any rule to be consistent with.
    #[error("there are no rules about this model's attributes: name a file of rules with --rules")]
    NoRules,
    /// A synthetic dataset.
    #[error(transparent)]
    Synth(#[from] visage_synth::SynthError),
    /// An argument that was parsed and makes no sense.
    #[error("{0}")]
    Usage(#[source] Box<dyn Error + Send + Sync>),
    /// Standard output went away or is full.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// A file or folder that cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file that cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No model where one was named.
    #[error("there is no model in {}: it has no best.safetensors and no last.safetensors", folder.display())]
    NoModel {
        /// The folder named.
        folder: PathBuf,
    },
    /// A name for a folder of several models.
    #[error("{} holds {count} models, which cannot all be called {name}", folder.display())]
    OneNameForModels {
        /// The name.
        name: String,
        /// The folder.
        folder: PathBuf,
        /// How many there are.
        count: usize,
    },
    /// A split to judge on that has no images.
    #[error("{dataset} has no {split} images to judge on")]
    EmptySplit {
        /// The dataset.
        dataset: String,
        /// The split asked for.
        split: Split,
        /// One that has images.
        other: Option<Split>,
    },
    /// Attributes or columns to group by that the dataset does not have.
    #[error("{dataset} has no attribute and no column of words {}", names.join(", "))]
    NoSuchGroups {
        /// The dataset.
        dataset: String,
        /// The names that are not there.
        names: Vec<String>,
        /// Those that are.
        known: Vec<String>,
    },
    /// A column to group by that says something else of nearly every image.
    #[error("{name} would make {values} groups: at most {most} can be judged apart")]
    ManyGroups {
        /// The column.
        name: String,
        /// How many values it has.
        values: usize,
        /// How many it may have.
        most: usize,
    },
    /// Runs without metrics.
    #[error("not evaluated yet: {} no metrics{}", listing(runs), on(*split))]
    NotEvaluated {
        /// The runs that have none, and the path of the data each was trained on.
        runs: Vec<(PathBuf, PathBuf)>,
        /// The split asked for.
        split: Option<Split>,
    },
    /// Metrics files of different splits.
    #[error("{} holds metrics of the {found} split, {} of the {expected} split: compare runs on the same images",
        other.display(), first.display())]
    OtherSplit {
        /// The first file.
        first: PathBuf,
        /// Its split.
        expected: Split,
        /// The other file.
        other: PathBuf,
        /// Its split.
        found: Split,
    },
    /// Metrics of different data, without the predictions that would tell what they share.
    #[error("{} and {} were judged on different data, and not both have their predictions beside them: evaluate both again, on \
        the same data", first.display(), other.display())]
    OtherData {
        /// The first run.
        first: PathBuf,
        /// Another.
        other: PathBuf,
    },
    /// A folder without images.
    #[error("no images in {}: visage reads JPEG, PNG, WebP, BMP and GIF files", paths.join(", "))]
    NoImages {
        /// Where they were looked for.
        paths: Vec<String>,
    },
    /// Parquet without a file to write it to.
    #[error("--format parquet needs a file: name it with --output")]
    ParquetOutput,
    /// A Parquet file to add rows to.
    #[error("{} is there already, and is whole: rows cannot be added to a Parquet file. Remove it or name another", path.display())]
    OutputWhole {
        /// The file.
        path: PathBuf,
    },
    /// A file of rows that another process writes.
    #[error("{} is being written by another visage: wait for it, or name another file", path.display())]
    OutputInUse {
        /// The file.
        path: PathBuf,
    },
    /// A file of rows about other attributes.
    #[error("{} has other columns than what was to be written: remove it or name another file", path.display())]
    OtherColumns {
        /// The file.
        path: PathBuf,
    },
    /// A file that is none of rows.
    #[error("{}, line {line}: this is not a row of the format asked for: remove the file or name another", path.display())]
    OutputLine {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
    },
    /// A file of rows that are not what would be written now.
    #[error("{} holds other answers about {image} than this model gives with these options: remove it or name another file",
        path.display())]
    OtherAnswers {
        /// The file.
        path: PathBuf,
        /// The image of its first row.
        image: String,
    },
    /// Some images could not be used; each was reported.
    #[error("{failed} of {images} images could not be used; the others are answered")]
    SomeImages {
        /// How many failed.
        failed: usize,
        /// How many there were.
        images: u64,
    },
    /// Training was stopped on request.
    #[error("training was interrupted in epoch {epoch}; everything up to now is saved in {}", run.display())]
    Interrupted {
        /// The run.
        run: PathBuf,
        /// The epoch under way, from 1.
        epoch: u32,
        /// The command that goes on with it.
        resume: String,
    },
    /// Training ended by something that can be put right.
    #[error("{error}")]
    BrokenOff {
        /// What.
        error: Box<visage_train::TrainError>,
        /// The command that goes on with the run.
        resume: String,
    },
    /// The threads to compute with could not be started.
    #[error("cannot start the threads to compute with")]
    Threads(#[source] rayon::ThreadPoolBuildError),
}

fn listing(runs: &[(PathBuf, PathBuf)]) -> String {
    let names: Vec<String> = runs.iter().map(|(run, _)| run.display().to_string()).collect();
    format!("{} {}", names.join(", "), if runs.len() == 1 { "has" } else { "have" })
}

fn on(split: Option<Split>) -> String {
    split.map(|split| format!(" on the {split} split")).unwrap_or_default()
}

impl CommandError {
    /// An argument that was parsed and makes no sense.
    pub fn usage(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Usage(Box::new(error))
    }

    /// 0 when nothing needs to be said, 1 when the work failed, 2 when the command made no sense.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::OtherFormat { .. } | Self::ParquetOutput => 2,
            _ if self.is_closed_pipe() => 0,
            _ => 1,
        }
    }

    /// Whether the reader of standard output has had enough, as `head` does.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// What to do, where the message does not say.
    fn help(&self) -> Option<String> {
        match self {
            Self::NoModel { .. } => Some(
                "name a model file, or the folder of a run in which an epoch or a checkpoint was finished".to_owned(),
            ),
            Self::OneNameForModels { name, .. } => {
                Some(format!("name one of them, or leave {name}= out: each then has the name of its file or run"))
            }
            Self::EmptySplit { other: Some(other), .. } => Some(format!("judge on the {other} split: --split {other}")),
            Self::EmptySplit { other: None, .. } => {
                Some("add a `split` column with train, validation and test to its table".to_owned())
            }
            Self::NoSuchAttribute { known, .. } | Self::NoSuchGroups { known, .. } => {
                Some(format!("it has {}", known.join(", ")))
            }
            Self::NotEvaluated { runs, split } => {
                let split = split.map(|split| format!(" --split {split}")).unwrap_or_default();
                let commands = runs.iter().map(|(run, data)| {
                    format!("visage evaluate {} --data {}{split}", shell::path(run), shell::path(data))
                });
                Some(commands.collect::<Vec<_>>().join("\n"))
            }
            Self::BrokenOff { error, resume } => {
                let remedy = if error.is_full_disk() {
                    "free some space"
                } else {
                    "put that right (the disk, its permissions, or the image)"
                };
                Some(format!("nothing that was saved is lost: {remedy}, then go on from the last checkpoint: {resume}"))
            }
            Self::Interrupted { resume, .. } => Some(format!("to go on: {resume}")),
            _ => None,
        }
    }

    /// Shows the error on standard error: drawn on a terminal, as plain lines elsewhere.
    pub fn show(self) {
        let shown = Shown::new(&self, self.help());
        let mut stderr = io::stderr().lock();
        // Nobody is left to tell if standard error is gone.
        let _ = if stderr.is_terminal() {
            writeln!(stderr, "{:?}", miette::Report::new(shown))
        } else {
            write!(stderr, "{shown:#}")
        };
    }
}

/// An error as it is shown: a message, its causes, and what to do.
#[derive(Debug)]
struct Shown {
    message: String,
    cause: Option<Box<Shown>>,
    help: Option<String>,
}

impl Shown {
    /// The chain from `error` down, without causes that the message above them has quoted already.
    fn new(error: &dyn Error, help: Option<String>) -> Self {
        let message = error.to_string();
        let mut below = error.source();
        while let Some(cause) = below
            && message.contains(&cause.to_string())
        {
            below = cause.source();
        }
        Self { message, cause: below.map(|cause| Box::new(Shown::new(cause, None))), help }
    }
}

impl fmt::Display for Shown {
    /// The message; with `#`, the whole as plain lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return f.write_str(&self.message);
        }
        writeln!(f, "error: {}", self.message)?;
        let mut cause = &self.cause;
        while let Some(below) = cause {
            writeln!(f, "  cause: {}", below.message)?;
            cause = &below.cause;
        }
        self.help.iter().flat_map(|help| help.lines()).try_for_each(|line| writeln!(f, "  help: {line}"))
    }
}

impl Error for Shown {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &dyn Error)
    }
}

impl miette::Diagnostic for Shown {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_shown_once_and_help_last() {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no such file");
        let error = CommandError::Read { path: "a b".into(), source: missing() };
        assert_eq!(format!("{:#}", Shown::new(&error, None)), "error: cannot read a b\n  cause: no such file\n");
        let error = CommandError::usage(missing());
        assert_eq!(format!("{:#}", Shown::new(&error, None)), "error: no such file\n");
        let error = CommandError::NotEvaluated { runs: vec![("runs/a b".into(), "d".into())], split: None };
        assert_eq!(
            format!("{:#}", Shown::new(&error, error.help())),
            "error: not evaluated yet: runs/a b has no metrics\n  help: visage evaluate 'runs/a b' --data d\n"
        );
    }

    #[test]
    fn a_reader_that_has_had_enough_is_no_failure() {
        assert_eq!(CommandError::Output(io::ErrorKind::BrokenPipe.into()).exit_code(), 0);
        assert_eq!(CommandError::Output(io::ErrorKind::StorageFull.into()).exit_code(), 1);
    }
}
