//! Errors of exports and of the ONNX interpreter.

use std::io;
use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages explain the variants and their fields")]
pub enum ExportError {
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Weights(#[from] visage_weights::WeightsError),
    #[error(transparent)]
    Model(#[from] visage_model::ModelError),
    #[error(transparent)]
    Data(#[from] visage_data::DataError),
    #[error(transparent)]
    Predict(#[from] visage_run::predict::PredictError),
    #[error(transparent)]
    Judge(#[from] visage_judge::Error),
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error(
        "{}: the export does not compute what the model computes: a probability differs by {probability:.1e}, and rounding explains \
         at most {allowed:.0e}; nothing was written. This is a bug in visage", path.display()
    )]
    Disagrees { path: PathBuf, probability: f32, allowed: f32 },
    #[error("{}: a state dict is written as .pth, .pt or .safetensors; use one of these extensions", path.display())]
    Extension { path: PathBuf },
}

/// Why an ONNX graph cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages explain the variants and their fields")]
pub enum GraphError {
    #[error("this is not an ONNX model of visage: {0}")]
    NotOnnx(String),
    #[error("node {node}: unsupported operator {operator:?}")]
    Operator { node: String, operator: String },
    #[error("{user} uses {name:?}, which is not defined")]
    Missing { user: String, name: String },
    #[error("node {node}: {reason}")]
    Node { node: String, reason: String },
    #[error("constant {name}: {reason}")]
    Constant { name: String, reason: String },
}
