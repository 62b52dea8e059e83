//! Why a device cannot be used.

use super::backend::Backend;

/// Why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages explain the variants and their fields")]
pub enum DeviceError {
    #[error(
        "this visage was built without {0}: build it with `cargo build --release --features {0}`, or leave out --device"
    )]
    NotCompiledIn(Backend),
    #[error("found no {backend} device; {backend} needs {}", backend.requirement())]
    None { backend: Backend },
    #[error("there is no {backend}:{index}; {backend} has {}, counted from 0", count(*.devices))]
    NoSuch { backend: Backend, index: usize, devices: usize },
    #[error(
        "{device} does not compute in {precision}: use f32 (visage train --set training.precision=f32, other commands --precision f32) \
         or another device; `visage devices` lists the types of each"
    )]
    Precision { device: String, precision: &'static str },
    #[error("{device} was found but does not compute: {reason}")]
    Broken { device: String, reason: String },
}

fn count(devices: usize) -> String {
    if devices == 1 { "1 device".to_owned() } else { format!("{devices} devices") }
}
