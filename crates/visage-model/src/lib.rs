//! Networks that classify images by attributes, their inference engines, and the model file.
//!
//! - [`Network`] is a Burn module: normalised images to logits, with gradients. Its heavy operations are in [`ops`].
//! - [`Engine`] is a network compiled for inference on one device: the network's [`Plan`] with fused operations and packed
//!   weights.
//! - [`Model`] is the content of a model file: a network and its [`Card`]. [`Predictor`] compiles it and returns calibrated
//!   probabilities.
//!
//! ```
//! use burn::tensor::Device;
//! use visage_data::{Preparation, Size};
//! use visage_model::{Architecture, Engine, NetworkConfig, Precision, Prepared};
//!
//! let device = Device::flex();
//! let network = NetworkConfig::new(Architecture::EfficientNetLite0, 2).init(0, &device);
//!
//! let preparation = Preparation::exact(Size::square(32));
//! let engine = Engine::new(&network, &preparation, &device, Precision::F32);
//! drop(network); // The engine owns its weights.
//!
//! let pixels: Vec<u8> = (0..3 * 32 * 32 * 3).map(|index| (index * 7 % 256) as u8).collect();
//! let logits = engine.logits(&[Prepared::Pixels(&pixels)]);
//! assert_eq!(logits.len(), 3 * 2); // Three images, two attributes.
//! assert!(logits.iter().all(|logit| logit.is_finite()));
//! ```

mod architecture;
mod card;
mod depth;
pub mod device;
mod efficientnet;
mod engine;
mod ensemble;
mod error;
mod heat_map;
mod input;
mod layers;
mod locate;
mod mobilenet;
mod model_file;
mod naming;
mod network;
mod network_config;
pub mod ops;
mod parameters;
pub mod plan;
mod predictor;
mod resnet;
mod state_dict;
mod test_time;
pub mod threads;

pub use architecture::{Architecture, UnknownArchitecture};
pub use card::{Card, Origin, USES_TO_AVOID};
pub use depth::Depths;
pub use engine::{Engine, Pending, Prepared};
pub use ensemble::EnsembleError;
pub use error::{LoadError, ModelError};
pub use heat_map::{HeatMap, HeatMethod, heat_maps};
pub use input::image_tensor;
pub use layers::{Draws, Norms, Pass, Training};
pub use model_file::{Model, TRAINING_PREFIX};
pub use naming::Naming;
pub use network::Network;
pub use network_config::NetworkConfig;
pub use ops::Precision;
pub use parameters::{Kind, Path};
pub use plan::Plan;
pub use predictor::{ModelOutput, Predictor};
pub use state_dict::{CompatibleNetwork, LoadReport, compatible_networks, pytorch_order};
pub use test_time::{TestTime, UnknownTestTime};
