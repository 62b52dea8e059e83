//! Networks, heads, weights by name, and the complete model file.
//!
//! A [`Network`] turns normalised images into logits; its heavy operations are bound in [`ops`].

pub mod depth;
pub mod device;
pub mod efficientnet;
pub mod error;
pub mod heat_map;
mod inference;
pub mod layers;
pub mod model_file;
pub mod network;
pub mod ops;
pub mod plan;
pub mod resnet;
pub mod state;
pub mod threads;

pub use depth::Depths;
pub use error::ModelError;
pub use heat_map::{HeatMap, HeatMethod};
pub use layers::{Draws, Norms, Pass, Training};
pub use model_file::{Answers, Card, Model, Origin, Prepared};
pub use network::{Architecture, Kind, Network, NetworkConfig};
pub use ops::Precision;
pub use plan::Plan;
