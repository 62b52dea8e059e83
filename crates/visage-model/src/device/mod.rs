//! The devices that compute: the CPU, and GPUs through Burn's backends, if they are compiled in.

mod backend;
mod choice;
mod error;
mod probe;

use burn::tensor::Device;
use serde::Serialize;

pub use self::backend::Backend;
pub use self::choice::{Choice, UnknownDevice};
pub use self::error::DeviceError;
use self::probe::{check, is_software, memory, model};
use crate::ops::{Precision, has_kernels};

/// One or more devices that work.
#[derive(Clone, Debug)]
pub struct OpenDevice {
    /// The device, or the first of several.
    pub device: Device,
    /// The other devices, if several were selected.
    pub others: Vec<Device>,
    /// The name, such as `cpu`, `vulkan:0` or `cuda:0,1`.
    pub name: String,
    /// The product name of a GPU.
    pub model: Option<String>,
}

/// A device of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// The name, such as `cpu` or `vulkan:0`.
    pub device: String,
    /// The product name of a GPU.
    pub model: Option<String>,
    /// Whether it is a software device: a GPU driver that runs on the CPU, such as lavapipe.
    pub software: bool,
    /// The size of its memory in bytes, if the driver reports it.
    pub memory_bytes: Option<u64>,
    /// The types that it supports.
    pub precisions: Vec<Precision>,
    /// Why it cannot be used. `None` if it works.
    pub broken: Option<String>,
}

/// Opens the selected device or devices and checks that they work.
///
/// # Errors
///
/// If a backend is not compiled in, or a device is missing or does not work. [`Choice::Auto`] falls back to the CPU.
pub fn open(choice: &Choice) -> Result<OpenDevice, DeviceError> {
    match choice {
        Choice::Auto => Ok(best()),
        Choice::Device(backend, index) => open_one(*backend, *index),
        Choice::Several(backend, indices) => {
            let mut opened = indices.iter().map(|&index| open_one(*backend, index)).collect::<Result<Vec<_>, _>>()?;
            let first = opened.remove(0);
            let others = opened.into_iter().map(|opened| opened.device).collect();
            Ok(OpenDevice { others, name: choice.to_string(), ..first })
        }
    }
}

fn open_one(backend: Backend, index: usize) -> Result<OpenDevice, DeviceError> {
    if !backend.is_compiled_in() {
        return Err(DeviceError::NotCompiledIn(backend));
    }
    let devices = backend.devices();
    match devices.get(index) {
        Some(device) => opened(backend, index, device),
        None if devices.is_empty() => Err(DeviceError::None { backend }),
        None => Err(DeviceError::NoSuch { backend, index, devices: devices.len() }),
    }
}

fn opened(backend: Backend, index: usize, device: &Device) -> Result<OpenDevice, DeviceError> {
    let name = Choice::Device(backend, index).to_string();
    check(&name, device)?;
    Ok(OpenDevice { device: device.clone(), others: Vec::new(), name, model: model(device) })
}

/// The first device that works, by the order of [`Backend::ALL`]. Software devices are excluded, because they are slower than
/// visage's own kernels on the CPU.
fn best() -> OpenDevice {
    let gpus = Backend::ALL.into_iter().filter(|backend| *backend != Backend::Cpu);
    let all = gpus.flat_map(|backend| backend.devices().into_iter().enumerate().map(move |device| (backend, device)));
    let mut hardware = all.filter(|(_, (_, device))| !is_software(device));
    let works = hardware.find_map(|(backend, (index, device))| opened(backend, index, &device).ok());
    works.unwrap_or_else(|| OpenDevice {
        device: Device::flex(),
        others: Vec::new(),
        name: Backend::Cpu.to_string(),
        model: None,
    })
}

/// All devices of the machine.
pub fn list() -> Vec<DeviceInfo> {
    let mut devices = Vec::new();
    for backend in Backend::ALL {
        for (index, device) in backend.devices().iter().enumerate() {
            let name = Choice::Device(backend, index).to_string();
            let broken = check(&name, device).err();
            let works = broken.is_none();
            let precisions = Precision::ALL.into_iter().filter(|&precision| works && supports(device, precision));
            devices.push(DeviceInfo {
                device: name,
                model: if works { model(device) } else { None },
                software: is_software(device),
                memory_bytes: memory(backend, index),
                precisions: precisions.collect(),
                broken: broken.map(|error| error.to_string()),
            });
        }
    }
    devices
}

/// Checks that `device` supports `precision`. `name` is its name in the error.
///
/// # Errors
///
/// [`DeviceError::Precision`]
pub fn check_precision(device: &Device, name: &str, precision: Precision) -> Result<(), DeviceError> {
    if supports(device, precision) {
        return Ok(());
    }
    Err(DeviceError::Precision { device: name.to_owned(), precision: precision.name() })
}

fn supports(device: &Device, precision: Precision) -> bool {
    // The CPU emulates 16-bit types.
    precision == Precision::F32 || has_kernels(device) || device.supports_dtype(precision.dtype())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_available() {
        let cpu = open(&Choice::Device(Backend::Cpu, 0)).unwrap();
        assert_eq!((cpu.name.as_str(), cpu.device), ("cpu", Device::flex()));
        assert_eq!(
            open(&Choice::Device(Backend::Cpu, 1)).unwrap_err(),
            DeviceError::NoSuch { backend: Backend::Cpu, index: 1, devices: 1 }
        );
        assert!(list().iter().any(|info| info.device == "cpu" && info.broken.is_none()));
    }

    #[test]
    fn a_backend_that_is_not_compiled_in_is_an_error_with_the_feature() {
        for backend in Backend::ALL.into_iter().filter(|backend| !backend.is_compiled_in()) {
            let error = open(&Choice::Device(backend, 0)).unwrap_err();
            assert_eq!(error, DeviceError::NotCompiledIn(backend));
            assert!(error.to_string().contains(&format!("--features {backend}")), "{error}");
        }
    }
}
