//! Why a device cannot be used.

use super::backend::Backend;

/// Why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The program was built without the backend.
    #[error(
        "this visage was built without {0}: build it with `cargo build --release --features {0}`, or leave out --device"
    )]
    NotCompiledIn(Backend),
    /// The machine has no device of the backend.
    #[error("found no {backend} device; {backend} needs {}", backend.requirement())]
    None {
        /// The backend.
        backend: Backend,
    },
    /// The machine has fewer devices of the backend.
    #[error("there is no {backend}:{index}; {backend} has {}, counted from 0", count(*.devices))]
    NoSuch {
        /// The backend.
        backend: Backend,
        /// The selected index.
        index: usize,
        /// The number of devices.
        devices: usize,
    },
    /// The device does not support a type.
    #[error(
        "{device} does not compute in {precision}: use f32 (visage train --set training.precision=f32, other commands --precision f32) \
         or another device; `visage devices` lists the types of each"
    )]
    Precision {
        /// The device.
        device: String,
        /// The type.
        precision: &'static str,
    },
    /// The device fails in a small test multiplication.
    #[error("{device} was found but does not compute: {reason}")]
    Broken {
        /// The device.
        device: String,
        /// What went wrong.
        reason: String,
    },
}

fn count(devices: usize) -> String {
    if devices == 1 { "1 device".to_owned() } else { format!("{devices} devices") }
}
