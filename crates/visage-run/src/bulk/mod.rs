//! Predicting many image files: [`inputs`] finds them, [`BulkPrediction`] predicts them in batches, and [`RowOutput`] writes one row
//! per image, to a file that an interrupted prediction resumes.

mod existing;
mod inputs;
mod output;
mod parquet;
mod rows;

use std::io;
use std::path::PathBuf;

use rayon::prelude::*;
use thiserror::Error;
use visage_data::DataError;
use visage_model::Predictor;

pub use inputs::{ImageInput, Inputs, count_inputs, inputs};
pub use output::{Finished, RowOutput};
pub use rows::{RowFormat, Rows};

/// Images that are decoded, and go through the network, together: a bound on memory.
const BATCH_SIZE: usize = 64;

/// Why images cannot be predicted.
#[derive(Debug, Error)]
pub enum BulkError {
    /// Arguments that name no image.
    #[error("no images in {}: visage reads JPEG, PNG, WebP, BMP and GIF files", paths.join(", "))]
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
    /// Called with each predicted image and its probabilities, from several threads. An error is reported, and counts as a failure.
    pub each: &'a OnPrediction<'a>,
}

/// How many images were predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All images so far.
    pub images: u64,
    /// Those that the output already had.
    pub skipped: u64,
    /// Rows that were added.
    pub added: u64,
    /// Failures, each of which was reported.
    pub failed: u64,
}

impl BulkPrediction<'_> {
    /// Predicts the images that `arguments` name, except those that `output` already has. `report` is called after every batch, with
    /// the counts so far and the failures of the batch.
    ///
    /// An image that cannot be read is a failure, and does not stop the others.
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
        let mut remaining = inputs(arguments);
        loop {
            let mut batch = Vec::with_capacity(BATCH_SIZE);
            while batch.len() < BATCH_SIZE
                && let Some(input) = remaining.next()
            {
                let input = input?;
                counts.images += 1;
                if output.contains(&input) { counts.skipped += 1 } else { batch.push(input) }
            }
            if batch.is_empty() {
                break;
            }
            let (lines, added, failures) = self.batch(&batch).map_err(BulkError::Stream)?;
            counts.added += added;
            counts.failed += failures.len() as u64;
            output.write(self.rows, &lines)?;
            report(counts, &failures);
        }
        if counts.images == 0 { Err(inputs::no_images(arguments)) } else { Ok(counts) }
    }

    /// The rows of some images, in order, their number, and the failures.
    fn batch(&self, inputs: &[ImageInput]) -> io::Result<(Vec<u8>, u64, Vec<String>)> {
        let prepared: Vec<_> = inputs.par_iter().map(|input| self.pixels(input)).collect();
        let (mut readable, mut batch, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for (input, pixels) in inputs.iter().zip(prepared) {
            match pixels {
                Ok(pixels) => {
                    readable.push(input);
                    batch.extend(pixels);
                }
                Err(reason) => failures.push(format!("cannot use {}: {reason}", input.path.display())),
            }
        }
        if readable.is_empty() {
            return Ok((Vec::new(), 0, failures));
        }
        let probabilities = self.predictor.probabilities(&batch);
        let predicted: Vec<(&ImageInput, &[f32])> =
            readable.into_iter().zip(probabilities.chunks(self.rows.card.attributes.len())).collect();
        let failed = predicted.par_iter().filter_map(|(input, probabilities)| (self.each)(input, probabilities).err());
        failures.extend(failed.collect::<Vec<_>>());
        let mut lines = Vec::new();
        for (input, probabilities) in &predicted {
            self.rows.append(&input.path, probabilities, &mut lines)?;
        }
        Ok((lines, predicted.len() as u64, failures))
    }

    /// The row of one image.
    fn row(&self, input: &ImageInput) -> Result<Vec<u8>, BulkError> {
        let unreadable =
            |reason: String| BulkError::Read { path: input.path.clone(), source: io::Error::other(reason) };
        let pixels = self.pixels(input).map_err(unreadable)?;
        let mut line = Vec::new();
        self.rows.append(&input.path, &self.predictor.probabilities(&pixels), &mut line).map_err(BulkError::Stream)?;
        Ok(line)
    }

    /// The prepared pixels of an image, or the reason why it cannot be used.
    fn pixels(&self, input: &ImageInput) -> Result<Vec<u8>, String> {
        let encoded = input.read().map_err(|error| error.to_string())?;
        self.rows.card.preparation.pixels(&encoded).map_err(|error| match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        })
    }
}
