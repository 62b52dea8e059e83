//! Datasets in every form, from their files to batches.

mod choices;
mod copies;
mod decoding;
mod exports;
mod faces;
mod finding_images;
mod fixtures;
mod forms;
mod fuzz_seeds;
mod limits;
mod loading;
mod opening;
mod preparing;
