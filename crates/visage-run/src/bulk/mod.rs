//! Predicting many image files: [`inputs`] finds them, [`BulkPrediction`] predicts them in batches, and [`RowOutput`] writes one row
//! per image, to a file that an interrupted prediction resumes.

mod existing;
mod inputs;
mod names;
mod output;
mod parquet;
mod rows;
mod walk;

use std::io;
use std::path::PathBuf;

use image::RgbImage;
use rayon::prelude::*;
use thiserror::Error;
use visage_data::{DataError, ImageError, TableOptions, Truncated, align, decode, with_causes};
use visage_faces::{Face, FaceFinder, Search};
use visage_model::Predictor;

pub use inputs::{ImageInput, Input, Inputs, count_inputs, inputs};
pub use output::{Finished, RowOutput};
pub use rows::{RowFormat, Rows};

/// Images that are decoded, and go through the network, together: a bound on memory.
const BATCH_SIZE: usize = 64;

/// The same for photographs, each of which may have hundreds of faces.
const PHOTOGRAPHS: usize = 32;

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

/// The prediction of an image, or of a face in a photograph.
#[derive(Clone, Copy, Debug)]
pub struct Predicted<'a> {
    /// The face; `None` if the image was predicted as it is.
    pub face: Option<&'a Face>,
    /// The probability of each of the model's attributes.
    pub probabilities: &'a [f32],
}

/// Handles an image and its predictions: one, or one for each face.
pub type OnPrediction<'a> = dyn Fn(&ImageInput, &[Predicted<'_>]) -> Result<(), String> + Sync + 'a;

/// How the faces in photographs are found.
#[derive(Debug)]
pub struct FaceSearch {
    /// What finds them.
    pub finder: FaceFinder,
    /// How photographs are searched.
    pub search: Search,
    /// Whether only the largest face of a photograph is predicted.
    pub largest: bool,
}

impl FaceSearch {
    /// The faces of a photograph that are predicted, the largest first.
    ///
    /// # Errors
    ///
    /// As [`FaceFinder::find`].
    pub fn faces(&self, photograph: &RgbImage) -> Result<Vec<Face>, ImageError> {
        if self.largest {
            Ok(self.finder.largest(photograph, self.search)?.into_iter().collect())
        } else {
            self.finder.find(photograph, self.search)
        }
    }
}

/// How images are predicted.
pub struct BulkPrediction<'a> {
    /// How a prediction becomes a row.
    pub rows: &'a Rows<'a>,
    /// The model.
    pub predictor: &'a Predictor,
    /// What is done with files that are cut short.
    pub truncated: Truncated,
    /// How faces are found, which are aligned and predicted one by one; `None` predicts images as they are.
    pub faces: Option<&'a FaceSearch>,
    /// Called with each image and its predictions, from several threads. An error is reported, and counts as a failure.
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
    /// Images that were predicted as they are although they have not the shape of the aligned faces that the model expects.
    pub unaligned: u64,
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
    unaligned: u64,
}

/// An image or a face, ready for the network.
struct Prepared {
    /// The face, and its number in the photograph.
    face: Option<(usize, Face)>,
    pixels: Vec<u8>,
}

/// What the network gets of an image.
struct PreparedInput {
    parts: Vec<Prepared>,
    is_truncated: bool,
    /// Whether it is used as it is, and has not the shape of an aligned face.
    is_unaligned: bool,
}

impl BulkPrediction<'_> {
    /// Predicts the images that `arguments` name or list in tables, which are read as `tables` says, except those that `output` already
    /// has. `report` is called after every batch, with
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
        tables: &TableOptions,
        output: &mut RowOutput,
        mut report: impl FnMut(Counts, &[String]),
    ) -> Result<Counts, BulkError> {
        output.check(|input| self.row(input))?;
        let mut counts = Counts::default();
        let mut remaining = inputs(arguments, tables).fuse();
        let batch_size = if self.faces.is_some() { PHOTOGRAPHS } else { BATCH_SIZE };
        loop {
            let (mut images, mut messages) = (Vec::new(), Vec::new());
            while images.len() + messages.len() < batch_size
                && let Some(input) = remaining.next()
            {
                match input {
                    Ok(Input::Image(input)) if output.contains(&input) => counts.skipped += 1,
                    Ok(Input::Image(input)) => images.push(input),
                    Ok(Input::Other) => {
                        counts.others += 1;
                        continue;
                    }
                    Err(error) => messages.push(with_causes(&error)),
                }
                counts.images += 1;
            }
            if images.is_empty() && messages.is_empty() {
                break;
            }
            let Batch { lines, added, failures, truncated, unaligned } =
                self.batch(&images).map_err(BulkError::Stream)?;
            counts.unaligned += unaligned;
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
        // One by one: crowds take many times as long as portraits.
        let prepared: Vec<_> = inputs.par_iter().with_max_len(1).map(|input| self.prepared(input)).collect();
        let (mut readable, mut pixels, mut batch) = (Vec::new(), Vec::new(), Batch::default());
        for (input, prepared) in inputs.iter().zip(prepared) {
            match prepared {
                Ok(PreparedInput { parts, is_truncated, is_unaligned }) => {
                    if is_truncated {
                        let message =
                            format!("warning: {} is cut short: predicted from the part that is there", input.name());
                        batch.truncated.push(message);
                    }
                    batch.unaligned += u64::from(is_unaligned);
                    let faces: Vec<Option<(usize, Face)>> = parts.iter().map(|part| part.face).collect();
                    pixels.extend(parts.into_iter().flat_map(|part| part.pixels));
                    readable.push((input, faces));
                }
                Err(reason) => batch.failures.push(format!("cannot use {}: {reason}", input.name())),
            }
        }
        if readable.is_empty() {
            return Ok(batch);
        }
        let probabilities = self.predictor.probabilities(&pixels);
        let mut probabilities = probabilities.chunks(self.rows.card.attributes.len());
        let predicted: Vec<(&ImageInput, Vec<Predicted<'_>>)> = readable
            .iter()
            .map(|(input, faces)| {
                let faces = faces.iter().zip(probabilities.by_ref());
                let faces = faces.map(|(face, probabilities)| (face.as_ref().map(|(_, face)| face), probabilities));
                (*input, faces.map(|(face, probabilities)| Predicted { face, probabilities }).collect())
            })
            .collect();
        let failed = predicted.par_iter().filter_map(|(input, predicted)| (self.each)(input, predicted).err());
        batch.failures.extend(failed.collect::<Vec<_>>());
        for (input, predicted) in &predicted {
            let name = input.name();
            for (number, Predicted { face, probabilities }) in predicted.iter().enumerate() {
                self.rows.append(&name, face.map(|face| (number, face)), probabilities, &mut batch.lines)?;
            }
            batch.added += predicted.len() as u64;
        }
        Ok(batch)
    }

    /// The first row of one image.
    fn row(&self, input: &ImageInput) -> Result<Vec<u8>, BulkError> {
        let unreadable =
            |reason: String| BulkError::Read { path: input.path.clone(), source: io::Error::other(reason) };
        let parts = self.prepared(input).map_err(unreadable)?.parts;
        let mut line = Vec::new();
        if let Some(Prepared { face, pixels }) = parts.first() {
            let face = face.as_ref().map(|(number, face)| (*number, face));
            self.rows
                .append(&input.name(), face, &self.predictor.probabilities(pixels), &mut line)
                .map_err(BulkError::Stream)?;
        }
        Ok(line)
    }

    /// An image or its faces, prepared, or the reason why it cannot be used.
    fn prepared(&self, input: &ImageInput) -> Result<PreparedInput, String> {
        let encoded = input.read().map_err(|error| error.to_string())?;
        let preparation = &self.rows.card.preparation;
        let Some(search) = self.faces else {
            let prepared = preparation.prepare(&encoded, self.truncated).map_err(|error| with_causes(&error))?;
            return Ok(PreparedInput {
                is_truncated: prepared.is_truncated,
                is_unaligned: preparation.misses_alignment(prepared.original),
                parts: vec![Prepared { face: None, pixels: prepared.pixels }],
            });
        };
        let decoded = decode(&encoded, self.truncated).map_err(|error| with_causes(&error))?;
        let faces = search.faces(&decoded.image).map_err(|error| with_causes(&error))?;
        let aligned = |(number, face): (usize, Face)| {
            let pixels = preparation.image(align(&decoded.image, &face.landmarks)?);
            Some(pixels.map(|pixels| Prepared { face: Some((number, face)), pixels }))
        };
        let parts: Vec<Prepared> = faces
            .into_iter()
            .enumerate()
            .filter_map(aligned)
            .collect::<Result<_, _>>()
            .map_err(|error| with_causes(&error))?;
        if parts.is_empty() {
            return Err("it has no face".to_owned());
        }
        Ok(PreparedInput { parts, is_truncated: decoded.is_truncated, is_unaligned: false })
    }
}
