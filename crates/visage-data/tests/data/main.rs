//! Datasets in every form, from their files to batches.

mod copies;
mod decoding;
mod fixtures;
mod forms;
mod fuzz_seeds;
mod loading;
mod opening;
mod preparing;
