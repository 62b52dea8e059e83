//! `run.json` at the beginning and at the end of a run.

use jiff::Timestamp;
use visage_data::{Split, Truncated};
use visage_run::{DataRecord, RunFolder, RunRecord, RunResult, RunStatus};

use super::{Outcome, Run, TrainSettings};
use crate::checkpoint::Position;
use crate::error::TrainError;

/// The record of a run that is about to train: a new one, or that of the existing run in `folder`.
pub(super) fn at_start(
    settings: &TrainSettings,
    folder: Option<&RunFolder>,
    fingerprint: String,
    parameters: u64,
) -> Result<RunRecord, TrainError> {
    let recipe = &settings.recipe;
    let data = data(settings, fingerprint);
    if let Some(folder) = folder {
        let record = folder.record()?;
        let resumed = record.resumed + 1;
        return Ok(RunRecord { status: RunStatus::Running, recipe: recipe.name.clone(), data, resumed, ..record });
    }
    Ok(RunRecord {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        recipe: recipe.name.clone(),
        started: Timestamp::now(),
        status: RunStatus::Running,
        device: settings.device_name.clone(),
        threads: settings.threads,
        architecture: recipe.model.architecture.to_string(),
        parameters,
        data,
        resumed: 0,
        restarted_tables: Vec::new(),
        result: None,
    })
}

pub(super) fn data(settings: &TrainSettings, fingerprint: String) -> DataRecord {
    let dataset = &settings.dataset;
    let images = |split| dataset.indices(split).len() as u64;
    DataRecord {
        path: settings.data_path.clone(),
        fingerprint,
        attributes: dataset.attributes().to_vec(),
        table: dataset.table_options().clone(),
        train: images(Split::Train),
        validation: images(Split::Validation),
        test: images(Split::Test),
        allow_truncated: dataset.truncated() == Truncated::Accept,
        skip_bad_images: settings.skip_bad_images,
        limit: settings.limit,
    }
}

impl Run<'_> {
    pub(super) fn result(&self, error: Option<String>) -> RunResult {
        let Position { epoch, best, seconds, loss_scale, .. } = self.state.position;
        RunResult {
            epochs: epoch as u32,
            best_epoch: best.epoch,
            best_value: best.value,
            seconds,
            skipped_steps: loss_scale.skipped,
            error,
        }
    }

    pub(super) fn record_outcome(&mut self, outcome: Result<&Outcome, String>) -> Result<(), TrainError> {
        let (status, result) = match outcome {
            Ok(outcome) => (outcome.status, outcome.result.clone()),
            Err(error) => (RunStatus::Failed, self.result(Some(error))),
        };
        self.record.status = status;
        self.record.result = Some(result);
        Ok(self.folder.write_record(&self.record)?)
    }
}
