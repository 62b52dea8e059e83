//! Predicting many image files: [`inputs`] finds them, [`BulkPrediction`] predicts them in batches, and [`RowOutput`] writes one row
//! per image, to a file that an interrupted prediction resumes.

mod existing;
mod inputs;
mod names;
mod output;
mod parquet;
mod rows;
mod walk;

use std::error::Error;
use std::io;
use std::path::PathBuf;

use rayon::prelude::*;
use thiserror::Error;
use visage_data::{DataError, PreparedImage, Truncated};
use visage_model::Predictor;

pub use inputs::{ImageInput, Input, Inputs, count_inputs, inputs};
pub use output::{Finished, RowOutput};
pub use rows::{RowFormat, Rows};

/// Images that are decoded, and go through the network, together: a bound on memory.
const BATCH_SIZE: usize = 64;

/// Why images cannot be predicted.
#[derive(Debug, Error)]
pub enum BulkError {
    /// Arguments that name no image.
    #[error("no images in {}: visage reads JPEG, PNG, WebP, BMP, GIF and TIFF files", paths.join(", "))]
    NoImages {
        /// The arguments.
        paths: Vec<String>,
    },
    /// A malformed pattern of paths.
    #[error(transparent)]
    Pattern(#[from] glob::PatternError),
    /// An archive of images.
    #[error(transparent)]
    Archive(#[from] DataError),
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
    /// A stream of rows that cannot be written.
    #[error("cannot write the rows")]
    Stream(#[source] io::Error),
    /// A Parquet file that exists.
    #[error("{} already exists and is complete: rows cannot be added to a Parquet file; remove it or choose another name", path.display())]
    ParquetExists {
        /// The file.
        path: PathBuf,
    },
    /// A file that another process is writing.
    #[error("{} is being written by another visage: wait for it, or choose another file", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A file with other columns.
    #[error("{} has other columns than the output: remove it or choose another name", path.display())]
    OtherColumns {
        /// The file.
        path: PathBuf,
    },
    /// A file that does not hold rows of the format.
    #[error("{}, line {line}: this is not a row of the output format: remove the file or choose another name", path.display())]
    NotARow {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
    },
    /// A file whose rows this model, with these options, would not write.
    #[error("{} holds other predictions for {image} than this model makes with these options: remove it or choose another name",
        path.display())]
    OtherPredictions {
        /// The file.
        path: PathBuf,
        /// The image of its first row.
        image: String,
    },
}

/// Handles a predicted image and its probabilities.
pub type OnPrediction<'a> = dyn Fn(&ImageInput, &[f32]) -> Result<(), String> + Sync + 'a;

/// How images are predicted.
pub struct BulkPrediction<'a> {
    /// How a prediction becomes a row.
    pub rows: &'a Rows<'a>,
    /// The model.
    pub predictor: &'a Predictor,
    /// What is done with files that are cut short.
    pub truncated: Truncated,
    /// Called with each predicted image and its probabilities, from several threads. An error is reported, and counts as a failure.
    pub each: &'a OnPrediction<'a>,
}

/// How many images were predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All images so far, those that cannot be found included.
    pub images: u64,
    /// Those that the output already had.
    pub skipped: u64,
    /// Rows that were added.
    pub added: u64,
    /// Failures, each of which was reported.
    pub failed: u64,
    /// Images that were predicted although their files are cut short, each of which was reported.
    pub truncated: u64,
    /// Files in folders and archives that are not images by their names.
    pub others: u64,
}

/// What became of a batch.
#[derive(Default)]
struct Batch {
    /// Its rows, and their number.
    lines: Vec<u8>,
    added: u64,
    failures: Vec<String>,
    /// A message for each image whose file is cut short.
    truncated: Vec<String>,
}

impl BulkPrediction<'_> {
    /// Predicts the images that `arguments` name, except those that `output` already has. `report` is called after every batch, with
    /// the counts so far and the messages about single images of the batch.
    ///
    /// An image that cannot be found or read is a failure, and does not stop the others.
    ///
    /// # Errors
    ///
    /// [`BulkError`]: no images, or an output that cannot be written or that holds other predictions.
    pub fn run(
        &self,
        arguments: &[PathBuf],
        output: &mut RowOutput,
        mut report: impl FnMut(Counts, &[String]),
    ) -> Result<Counts, BulkError> {
        output.check(|input| self.row(input))?;
        let mut counts = Counts::default();
        let mut remaining = inputs(arguments).fuse();
        loop {
            let (mut images, mut messages) = (Vec::with_capacity(BATCH_SIZE), Vec::new());
            while images.len() + messages.len() < BATCH_SIZE
                && let Some(input) = remaining.next()
            {
                match input {
                    Ok(Input::Image(input)) if output.contains(&input) => counts.skipped += 1,
                    Ok(Input::Image(input)) => images.push(input),
                    Ok(Input::Other) => {
                        counts.others += 1;
                        continue;
                    }
                    Err(error) => messages.push(with_cause(&error)),
                }
                counts.images += 1;
            }
            if images.is_empty() && messages.is_empty() {
                break;
            }
            let Batch { lines, added, failures, truncated } = self.batch(&images).map_err(BulkError::Stream)?;
            messages.extend(failures);
            counts.added += added;
            counts.failed += messages.len() as u64;
            counts.truncated += truncated.len() as u64;
            messages.extend(truncated);
            output.write(self.rows, &lines)?;
            report(counts, &messages);
        }
        if counts.images == 0 { Err(inputs::no_images(arguments)) } else { Ok(counts) }
    }

    /// Predicts some images, in order.
    fn batch(&self, inputs: &[ImageInput]) -> io::Result<Batch> {
        let prepared: Vec<_> = inputs.par_iter().map(|input| self.prepared(input)).collect();
        let (mut readable, mut pixels, mut batch) = (Vec::new(), Vec::new(), Batch::default());
        for (input, prepared) in inputs.iter().zip(prepared) {
            match prepared {
                Ok(prepared) => {
                    readable.push(input);
                    pixels.extend(prepared.pixels);
                    if prepared.is_truncated {
                        let message =
                            format!("warning: {} is cut short: predicted from the part that is there", input.name());
                        batch.truncated.push(message);
                    }
                }
                Err(reason) => batch.failures.push(format!("cannot use {}: {reason}", input.name())),
            }
        }
        if readable.is_empty() {
            return Ok(batch);
        }
        let probabilities = self.predictor.probabilities(&pixels);
        let predicted: Vec<(&ImageInput, &[f32])> =
            readable.into_iter().zip(probabilities.chunks(self.rows.card.attributes.len())).collect();
        let failed = predicted.par_iter().filter_map(|(input, probabilities)| (self.each)(input, probabilities).err());
        batch.failures.extend(failed.collect::<Vec<_>>());
        for (input, probabilities) in &predicted {
            self.rows.append(&input.name(), probabilities, &mut batch.lines)?;
        }
        batch.added = predicted.len() as u64;
        Ok(batch)
    }

    /// The row of one image.
    fn row(&self, input: &ImageInput) -> Result<Vec<u8>, BulkError> {
        let unreadable =
            |reason: String| BulkError::Read { path: input.path.clone(), source: io::Error::other(reason) };
        let pixels = self.prepared(input).map_err(unreadable)?.pixels;
        let mut line = Vec::new();
        self.rows
            .append(&input.name(), &self.predictor.probabilities(&pixels), &mut line)
            .map_err(BulkError::Stream)?;
        Ok(line)
    }

    /// An image, prepared, or the reason why it cannot be used.
    fn prepared(&self, input: &ImageInput) -> Result<PreparedImage, String> {
        let encoded = input.read().map_err(|error| error.to_string())?;
        self.rows.card.preparation.prepare(&encoded, self.truncated).map_err(|error| with_cause(&error))
    }
}

/// The message of an error and its cause.
fn with_cause(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
