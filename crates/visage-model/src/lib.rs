//! The networks, what compiles them for inference, and the model file.
//!
//! A [`Network`] turns normalised images into logits, with gradients: its heavy operations are bound into Burn in [`ops`]. For
//! inference its [`Plan`] is compiled into an [`Engine`]. A [`Model`] is what a model file holds, and a [`Predictor`] answers by it.

mod architecture;
mod card;
mod depth;
pub mod device;
mod efficientnet;
mod engine;
mod error;
mod heat_map;
mod input;
mod layers;
mod model_file;
mod network;
pub mod ops;
mod parameters;
pub mod plan;
mod predictor;
mod resnet;
pub mod state;
pub mod threads;

pub use architecture::{Architecture, UnknownArchitecture};
pub use card::{Card, Origin, USES_TO_AVOID, card_format};
pub use depth::{Depths, is_classifier};
pub use engine::{Engine, Pending, Prepared};
pub use error::ModelError;
pub use heat_map::{HeatMap, HeatMethod, heat_maps};
pub use input::image_tensor;
pub use layers::{Draws, Norms, Pass, Training};
pub use model_file::{Model, TRAINING_PREFIX};
pub use network::{Network, NetworkConfig};
pub use ops::Precision;
pub use parameters::{Kind, Path};
pub use plan::Plan;
pub use predictor::{ModelOutput, Predictor};
