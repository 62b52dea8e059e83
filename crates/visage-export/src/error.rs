//! What can go wrong with an export.

use std::io;
use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Tensors cannot be written or read back.
    #[error(transparent)]
    Weights(#[from] visage_weights::WeightsError),
    /// A state dict that does not load back.
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
    /// A graph that cannot be computed.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// What was to be written does not answer as the model does; nothing was written.
    #[error("what was to become {} does not answer as the model does: a probability differs by {probability:.1e}, and {allowed:.0e} \
             is the most that rounding explains; nothing was written. This is a bug in visage", path.display())]
    Disagrees {
        /// Where.
        path: PathBuf,
        /// The largest difference of a probability.
        probability: f32,
        /// The largest that is allowed.
        allowed: f32,
    },
    /// The state dict's file is to be of a kind that is none.
    #[error("{}: a state dict is written as .pth, .pt or .safetensors; name the file so", path.display())]
    Extension {
        /// The file.
        path: PathBuf,
    },
}

/// A graph that cannot be computed here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// The bytes are no ONNX model.
    #[error("this is no ONNX model: {0}")]
    NotOnnx(String),
    /// A node that visage does not write.
    #[error("node {node} is {operator:?}, which is not among the operators that visage writes")]
    Operator {
        /// Its name.
        node: String,
        /// Its operator.
        operator: String,
    },
    /// A value that nothing makes.
    #[error("{user} uses {name:?}, which nothing makes")]
    Missing {
        /// The node, or the output of the graph.
        user: String,
        /// The value.
        name: String,
    },
    /// Inputs or attributes that do not fit the operator.
    #[error("node {node}: {reason}")]
    Node {
        /// Its name.
        node: String,
        /// What is wrong.
        reason: String,
    },
    /// A constant that contradicts itself.
    #[error("constant {name}: {reason}")]
    Constant {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
}
