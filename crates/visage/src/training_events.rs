//! The events of a training as JSON lines: `visage train --json`.

use std::path::Path;

use serde::Serialize;
use visage_run::{EpochRow, RunFolder, RunResult, RunStatus, StepRow};
use visage_train::{Event, Outcome};

use crate::error::CommandError;
use crate::output;

/// A line.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    Started {
        run: &'a Path,
        architecture: String,
        parameters: u64,
        training_images: usize,
        validation_images: usize,
        epochs: u32,
        resumed_at: u64,
    },
    Step {
        total_steps: u64,
        #[serde(flatten)]
        row: &'a StepRow,
    },
    Epoch(&'a EpochRow),
    Saved,
    Ended {
        run: &'a Path,
        model: &'a Path,
        status: RunStatus,
        #[serde(flatten)]
        result: &'a RunResult,
    },
}

/// Prints an event. Progress of the validation is none.
pub fn print(event: &Event<'_>) {
    let line = match event {
        Event::Started(started) => Line::Started {
            run: &started.folder,
            architecture: started.architecture.to_string(),
            parameters: started.parameters,
            training_images: started.training_images,
            validation_images: started.validation_images,
            epochs: started.epochs,
            resumed_at: started.resumed_at,
        },
        Event::Step { row, total_steps, .. } => Line::Step { total_steps: *total_steps, row },
        Event::Epoch(row) => Line::Epoch(row),
        Event::Saved => Line::Saved,
        Event::Validating { .. } => return,
    };
    // A reader that has gone does not end the training; the last line reports it.
    let _ = output::json_line(&line);
}

/// Prints the end.
///
/// # Errors
///
/// If standard output cannot be written.
pub fn end(outcome: &Outcome, run: &Path) -> Result<(), CommandError> {
    let model = RunFolder::model_file(run);
    output::json_line(&Line::Ended { run, model: &model, status: outcome.status, result: &outcome.result })
}
