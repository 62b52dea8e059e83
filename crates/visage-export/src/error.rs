//! Errors of exports and of the ONNX interpreter.

use std::io;
use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Tensors cannot be written or read back.
    #[error(transparent)]
    Weights(#[from] visage_weights::WeightsError),
    /// A state dict cannot be loaded again.
    #[error(transparent)]
    Model(#[from] visage_model::ModelError),
    /// An image of the dataset that int8 is calibrated or evaluated on.
    #[error(transparent)]
    Data(#[from] visage_data::DataError),
    /// Running the model over this dataset.
    #[error(transparent)]
    Predict(#[from] visage_run::predict::PredictError),
    /// Predictions that cannot be evaluated.
    #[error(transparent)]
    Judge(#[from] visage_judge::Error),
    /// A graph cannot be computed.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The outputs of the export differ from the model's. Nothing was written.
    #[error(
        "{}: the export does not compute what the model computes: a probability differs by {probability:.1e}, and rounding explains \
         at most {allowed:.0e}; nothing was written. This is a bug in visage", path.display()
    )]
    Disagrees {
        /// The file that was to be written.
        path: PathBuf,
        /// The largest difference of a probability.
        probability: f32,
        /// The largest difference that is allowed.
        allowed: f32,
    },
    /// A graph that takes images of any size, of a preparation that does not resize to exactly the network's size.
    #[error(
        "this model's preparation resizes the shorter side and crops, which a graph for images of any size cannot do: resize outside, and \
         leave --any-size out"
    )]
    NotExact,
    /// A state dict has one network.
    #[error(
        "{}: a state dict holds one network, and this model averages several: export each of them, or write an ONNX graph", path.display()
    )]
    Ensemble {
        /// The file that was to be written.
        path: PathBuf,
    },
    /// The extension of a state dict's file is unknown.
    #[error("{}: a state dict is written as .pth, .pt or .safetensors; use one of these extensions", path.display())]
    Extension {
        /// The file.
        path: PathBuf,
    },
}

/// Why an ONNX graph cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// The bytes are not an ONNX model of visage.
    #[error("this is not an ONNX model of visage: {0}")]
    NotOnnx(String),
    /// A node has an operator that visage does not write.
    #[error("node {node}: unsupported operator {operator:?}")]
    Operator {
        /// The node's name.
        node: String,
        /// The node's operator.
        operator: String,
    },
    /// A value is not defined.
    #[error("{user} uses {name:?}, which is not defined")]
    Missing {
        /// The node or output that uses it.
        user: String,
        /// The name of the value.
        name: String,
    },
    /// The inputs or attributes of a node do not fit its operator.
    #[error("node {node}: {reason}")]
    Node {
        /// The node's name.
        node: String,
        /// What is wrong.
        reason: String,
    },
    /// A constant is inconsistent.
    #[error("constant {name}: {reason}")]
    Constant {
        /// The constant's name.
        name: String,
        /// What is wrong.
        reason: String,
    },
}
