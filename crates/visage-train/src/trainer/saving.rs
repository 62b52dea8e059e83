//! The checkpoints of a run and the model card in them.

use burn::module::Module;
use visage_model::{Card, Model, Origin};
use visage_run::RunFolder;

use super::validation::Validated;
use super::{Run, State, resume};
use crate::checkpoint::{self, Position};
use crate::error::TrainError;

impl Run<'_> {
    pub(super) fn save(&self, name: &str) -> Result<(), TrainError> {
        let State { stepper, average, position, .. } = &self.state;
        let weights = average.is_some().then(|| stepper.network().valid());
        let path = self.folder.file(name);
        self.tables.steps.sync()?;
        self.tables.epochs.sync()?;
        let position = Position {
            steps_table: Some(self.tables.steps.mark()),
            epochs_table: Some(self.tables.epochs.mark()),
            ..*position
        };
        checkpoint::write(&path, &self.model(), weights.as_ref(), stepper.optimizer(), &position)
    }

    fn model(&self) -> Model {
        let Position { epoch, step, .. } = self.state.position;
        let Validated { thresholds, rule, metrics } = self.state.validated.clone();
        let dataset = &self.settings.dataset;
        let untrained = Card::new(self.network, dataset.attributes().to_vec(), self.preparation.clone());
        let card = Card {
            thresholds: if thresholds.is_empty() { untrained.thresholds.clone() } else { thresholds },
            threshold_rule: rule,
            origin: Origin {
                visage_version: env!("CARGO_PKG_VERSION").to_owned(),
                // The start of the run, not the present: the same run writes the same bytes.
                started: self.record.started.to_string(),
                recipe: self.recipe_toml.clone(),
                dataset: dataset.name().to_owned(),
                dataset_fingerprint: self.record.data.fingerprint.clone(),
                table: dataset.table_options().clone(),
                split_seed: self.settings.split_seed,
                training_images: self.images.training.len(),
                epoch: epoch as usize,
                step,
                validation: metrics,
            },
            ..untrained
        };
        Model::new(card, self.state.model_network())
    }

    /// Removes the optimiser's state from the best checkpoint of a complete run: it becomes a plain model file, a third of
    /// the size.
    pub(super) fn strip_best(&self) -> Result<(), TrainError> {
        let path = self.folder.file(RunFolder::BEST);
        if path.is_file() {
            resume::read_best(&path, self.settings)?.write(&path)?;
        }
        Ok(())
    }
}
