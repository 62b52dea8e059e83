//! The folder of a training run and the files in it.
//!
//! ```text
//! runs/enhanced-20260131-142501/
//!   recipe.toml                    the recipe, every value spelt out          Recipe
//!   run.json                       version, device, data, status and result   RunRecord
//!   steps.csv                      a row for every optimiser step             StepRow
//!   epochs.csv                     a row for every epoch                      EpochRow
//!   last.safetensors               the newest checkpoint
//!   best.safetensors               the checkpoint of the best epoch: the model of the run
//!   metrics-test.json              how the model did on a split               MetricsFile
//!   predictions-test.safetensors   its probabilities and the labels           PredictionsFile
//!   other-data/NAME-FINGERPRINT/   the same on other data than its own        results
//! ```
//!
//! Everything that reads a run (evaluating, comparing, reporting, serving) needs only this crate; training is in
//! `visage-train`. [`predict`] runs a model over a split of a dataset.
//!
//! A recipe is loaded by name or from a file, and changed by `key=value` overrides:
//!
//! ```
//! use visage_run::{Monitor, Recipe};
//!
//! let mut recipe = Recipe::load("baseline")?;
//! recipe.set_all(["epochs=3", "training.monitor=f1"])?;
//! assert_eq!((recipe.training.epochs, recipe.training.monitor), (3, Monitor::F1));
//!
//! let error = recipe.set("epoch=3").unwrap_err().to_string();
//! assert!(error.ends_with("did you mean `training.epochs`?"));
//! # Ok::<(), visage_run::RecipeError>(())
//! ```

pub mod audit;
mod bootstrap;
pub mod bulk;
pub mod comparison;
mod error;
pub mod evaluation;
pub mod file_name;
mod folder;
mod metrics_file;
pub mod predict;
mod predictions_file;
mod recipe;
mod record;
pub mod results;
pub mod shell;
pub mod space;
pub mod spreadsheet;
mod table;
mod tune_folder;

pub use error::RunError;
pub use folder::RunFolder;
pub use metrics_file::{MetricsFile, Question};
pub use predictions_file::{PredictionsFile, PredictionsOrigin};
pub use recipe::{
    Align, Anneal, AugmentationRecipe, DecayRecipe, Difference, EvaluationRecipe, InputRecipe, LossKind, LossRecipe,
    ModelRecipe, Monitor, OneCycle, OptimizerKind, OptimizerRecipe, Plateau, Problem, Recipe, RecipeError, Sampling,
    ScheduleRecipe, ThresholdSource, TrainingRecipe,
};
pub use record::{DataRecord, RestartedTable, RunRecord, RunResult, RunStatus};
pub use table::{EpochRow, EpochTable, StepRow, StepTable, TableMark};
pub use tune_folder::{JobRow, JobTable, TuneFolder, TuneRequest};
