//! Training events as TensorBoard event files.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use visage_train::{Event, EventFile};

use crate::output;

/// The folder of the event files, inside the run folder.
const FOLDER: &str = "tensorboard";

/// Writes training events to an event file.
#[derive(Debug, Default)]
pub struct TensorBoardWriter(Option<EventFile>);

impl TensorBoardWriter {
    /// The folder of the event files of a run.
    pub fn folder(run: &Path) -> PathBuf {
        run.join(FOLDER)
    }

    /// Writes an event. If the file cannot be written, this is reported once and training continues.
    pub fn write(&mut self, event: &Event<'_>) {
        let seconds = Timestamp::now().as_duration().as_secs_f64();
        let written = match event {
            Event::Started(started) => EventFile::create(&Self::folder(&started.folder), seconds, started.resumed_at)
                .map(|file| self.0 = Some(file)),
            Event::Step { row, .. } => self.scalars(
                seconds,
                row.step,
                &[
                    ("train/loss", row.loss),
                    ("train/learning_rate", row.learning_rate),
                    ("train/gradient_norm", row.gradient_norm),
                    ("train/images_per_second", row.images_per_second),
                    ("train/waiting", row.waiting),
                ],
            ),
            Event::Epoch(row) => {
                let scores = [
                    ("validation/accuracy", row.accuracy),
                    ("validation/balanced_accuracy", row.balanced_accuracy),
                    ("validation/precision", row.precision),
                    ("validation/recall", row.recall),
                    ("validation/f1", row.f1),
                    ("validation/average_precision", row.average_precision),
                ];
                let losses = [("train/epoch_loss", row.train_loss), ("validation/loss", row.validation_loss)];
                let defined = scores.into_iter().filter_map(|(tag, value)| Some((tag, value?)));
                self.scalars(seconds, row.step, &losses.into_iter().chain(defined).collect::<Vec<_>>())
            }
            Event::Validating { .. } | Event::Saved => Ok(()),
        };
        if let Err(error) = written {
            output::warning(&format!("no more events are written for TensorBoard: {error}"));
            self.0 = None;
        }
    }

    fn scalars(&mut self, seconds: f64, step: u64, values: &[(&str, f64)]) -> std::io::Result<()> {
        self.0.as_mut().map_or(Ok(()), |file| file.scalars(seconds, step, values))
    }
}
