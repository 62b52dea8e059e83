//! Datasets in every form, from their files to batches.

mod fixtures;
mod loading;
mod opening;
mod preparing;
