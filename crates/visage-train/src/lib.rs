//! How a model is trained: recipes, losses, schedules, early stopping and the run folder.

pub mod early_stopping;
pub mod loss;
pub mod recipe;
pub mod run_folder;
pub mod schedule;

pub use early_stopping::{BestEpoch, EarlyStopping, Monitor, Verdict};
pub use loss::{Loss, LossError, LossKind};
pub use recipe::{Recipe, RecipeError};
pub use run_folder::{RunFolder, RunFolderError};
pub use schedule::{Anneal, OneCycle, Rates, Schedule};
