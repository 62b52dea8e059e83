//! Images that a model is asked about, and its answers as rows.

pub mod annotated;
pub mod inputs;
mod parquet;
pub mod rows;
pub mod sink;
