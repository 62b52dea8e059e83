//! Where a network can compute: on the processor, and on graphics cards through Burn's backends, where they are compiled in.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

#[cfg(any(feature = "metal", feature = "vulkan"))]
use burn::backend::{CubeDevice, DispatchDevice, WgpuDeviceKind};
#[cfg(any(feature = "cuda", feature = "metal", feature = "vulkan"))]
use burn::tensor::DeviceType;
use burn::tensor::{Device, Tensor};
use serde::Serialize;

use crate::ops::{Precision, has_kernels};

/// What devices are reached by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The processor, by visage's own kernels.
    Cpu,
    /// NVIDIA's cards.
    Cuda,
    /// Apple's.
    Metal,
    /// Any card with a Vulkan driver.
    Vulkan,
}

impl Backend {
    /// All of them, the one to prefer first; the processor is always there.
    pub const ALL: [Backend; 4] = [Backend::Cuda, Backend::Metal, Backend::Vulkan, Backend::Cpu];

    /// The name a user gives, which but for the processor's is that of the feature it is compiled in by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Backend::Cpu => "cpu",
            Backend::Cuda => "cuda",
            Backend::Metal => "metal",
            Backend::Vulkan => "vulkan",
        }
    }

    /// Whether this program holds it.
    #[must_use]
    pub fn is_compiled_in(self) -> bool {
        match self {
            Backend::Cpu => true,
            Backend::Cuda => cfg!(feature = "cuda"),
            Backend::Metal => cfg!(feature = "metal"),
            Backend::Vulkan => cfg!(feature = "vulkan"),
        }
    }

    /// What a machine needs for it.
    fn driver(self) -> &'static str {
        match self {
            Backend::Cpu => "a processor",
            Backend::Cuda => {
                "an NVIDIA card, its driver (libcuda) and the CUDA toolkit (nvvm/libdevice in CUDA_PATH or /usr/local/cuda)"
            }
            Backend::Metal => "a Mac with Metal",
            Backend::Vulkan => {
                "a card and its Vulkan driver (on Debian and Ubuntu the package mesa-vulkan-drivers, or NVIDIA's driver) and \
                 the loader (libvulkan1)"
            }
        }
    }

    fn devices(self) -> Vec<Device> {
        let found = || match self {
            Backend::Cpu => vec![Device::flex()],
            #[cfg(feature = "cuda")]
            Backend::Cuda => Device::enumerate(DeviceType::Cuda).into_vec(),
            #[cfg(feature = "metal")]
            Backend::Metal => Device::enumerate(DeviceType::Metal).into_vec(),
            #[cfg(feature = "vulkan")]
            Backend::Vulkan => Device::enumerate(DeviceType::Vulkan).into_vec(),
            #[allow(unreachable_patterns, reason = "which backends are left over is a matter of features")]
            _ => Vec::new(),
        };
        // A broken driver is no driver.
        catch_unwind(found).unwrap_or_default()
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a user asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The best device that works.
    Auto,
    /// This one: the `index`th of the backend's, from 0.
    Device(Backend, usize),
    /// These of the backend's, two at least, to train on together.
    Several(Backend, Vec<usize>),
}

/// A device that is not called so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownDevice {
    /// No such backend, or no number behind it.
    #[error(
        "{0:?} is no device; there are auto, cpu, cuda, metal and vulkan, cuda:1 is the second of CUDA's, and cuda:0,1 are the first two"
    )]
    Name(String),
}

impl FromStr for Choice {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, UnknownDevice> {
        if text == "auto" {
            return Ok(Choice::Auto);
        }
        let unknown = || UnknownDevice::Name(text.to_owned());
        let (name, indices) = text.split_once(':').unwrap_or((text, "0"));
        let backend = Backend::ALL.into_iter().find(|backend| backend.name() == name).ok_or_else(unknown)?;
        let indices: Result<Vec<usize>, _> = indices.split(',').map(str::parse).collect();
        let indices = indices.map_err(|_| unknown())?;
        Ok(match indices[..] {
            [index] => Choice::Device(backend, index),
            _ => Choice::Several(backend, indices),
        })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Auto => f.write_str("auto"),
            Choice::Device(Backend::Cpu, 0) => f.write_str("cpu"),
            Choice::Device(backend, index) => write!(f, "{backend}:{index}"),
            Choice::Several(backend, indices) => {
                let indices: Vec<String> = indices.iter().map(usize::to_string).collect();
                write!(f, "{backend}:{}", indices.join(","))
            }
        }
    }
}

/// Why there is no computing on a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The program was built without it.
    #[error(
        "this visage was built without {0}: build it with `cargo build --release --features {0}`, or leave out --device"
    )]
    NotCompiledIn(Backend),
    /// The machine has none.
    #[error("no device is reached by {backend}, which needs {}", backend.driver())]
    None {
        /// What was asked for.
        backend: Backend,
    },
    /// The machine has fewer.
    #[error("there is no {backend}:{index}: {} reached by {backend}, counted from 0", count(*.devices))]
    NoSuch {
        /// What was asked for.
        backend: Backend,
        /// Which of them.
        index: usize,
        /// How many there are.
        devices: usize,
    },
    /// It is there and lacks a type.
    #[error(
        "{device} does not compute in {precision}: take f32 (visage train --set training.precision=f32, else --precision), or another \
         device; `visage devices` lists what each can"
    )]
    Precision {
        /// The device.
        device: String,
        /// The type.
        precision: &'static str,
    },
    /// It is there and fails at a first small product.
    #[error("{device} is there and does not compute: {reason}")]
    Broken {
        /// The device.
        device: String,
        /// What went wrong.
        reason: String,
    },
}

fn count(devices: usize) -> String {
    if devices == 1 { "1 device is".to_owned() } else { format!("{devices} devices are") }
}

/// A device that was tried, and how it is called.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The device.
    pub device: Device,
    /// The others, where there are several.
    pub others: Vec<Device>,
    /// `cpu`, `vulkan:0`
    pub name: String,
    /// Its maker's name for it, where it is no processor and has one.
    pub model: Option<String>,
}

/// A device that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// `cpu`, `vulkan:0`
    pub device: String,
    /// Its maker's name for it.
    pub model: Option<String>,
    /// Whether it is a program that plays a graphics card on the processor.
    pub software: bool,
    /// All of its memory in bytes, where the driver says.
    pub memory_bytes: Option<u64>,
    /// The types that `training.precision` and `--precision` may name on it.
    pub precisions: Vec<Precision>,
    /// Why it cannot be used, if it cannot.
    pub broken: Option<String>,
}

/// Opens the device or the devices a user asks for, and tries them.
///
/// # Errors
///
/// If it is not compiled in, not there, or does not work. [`Choice::Auto`] always finds the processor.
pub fn open(choice: &Choice) -> Result<Opened, DeviceError> {
    match choice {
        Choice::Auto => Ok(best()),
        Choice::Device(backend, index) => named(*backend, *index),
        Choice::Several(backend, indices) => {
            let mut opened = indices.iter().map(|&index| named(*backend, index)).collect::<Result<Vec<_>, _>>()?;
            let first = opened.remove(0);
            let others = opened.into_iter().map(|opened| opened.device).collect();
            Ok(Opened { others, name: choice.to_string(), ..first })
        }
    }
}

fn named(backend: Backend, index: usize) -> Result<Opened, DeviceError> {
    if !backend.is_compiled_in() {
        return Err(DeviceError::NotCompiledIn(backend));
    }
    let devices = backend.devices();
    match devices.get(index) {
        Some(device) => tried(backend, index, device),
        None if devices.is_empty() => Err(DeviceError::None { backend }),
        None => Err(DeviceError::NoSuch { backend, index, devices: devices.len() }),
    }
}

/// The first device that works, of the backends in the order of [`Backend::ALL`]. A program that plays a graphics card is
/// slower than visage's own kernels.
fn best() -> Opened {
    let cards = Backend::ALL.into_iter().filter(|backend| *backend != Backend::Cpu);
    let all = cards.flat_map(|backend| backend.devices().into_iter().enumerate().map(move |device| (backend, device)));
    let mut hardware = all.filter(|(_, (_, device))| !is_software(device));
    let works = hardware.find_map(|(backend, (index, device))| tried(backend, index, &device).ok());
    works.unwrap_or_else(|| Opened {
        device: Device::flex(),
        others: Vec::new(),
        name: Backend::Cpu.to_string(),
        model: None,
    })
}

/// Every device there is.
#[must_use]
pub fn list() -> Vec<Found> {
    let mut found = Vec::new();
    for backend in Backend::ALL {
        for (index, device) in backend.devices().iter().enumerate() {
            let software = is_software(device);
            let broken = tried(backend, index, device).err();
            let works = broken.is_none();
            let precisions = Precision::ALL.into_iter().filter(|&precision| works && supports(device, precision));
            found.push(Found {
                device: Choice::Device(backend, index).to_string(),
                model: if works { model(device) } else { None },
                software,
                memory_bytes: memory(backend, index),
                precisions: precisions.collect(),
                broken: broken.map(|error| error.to_string()),
            });
        }
    }
    found
}

/// Refuses a type in which networks cannot be computed on `device`, which is called `name`.
///
/// # Errors
///
/// If it lacks the type.
pub fn check_precision(device: &Device, name: &str, precision: Precision) -> Result<(), DeviceError> {
    if supports(device, precision) {
        return Ok(());
    }
    Err(DeviceError::Precision { device: name.to_owned(), precision: precision.name() })
}

fn supports(device: &Device, precision: Precision) -> bool {
    // The CPU's kernels compute in f32 and round.
    precision == Precision::F32 || has_kernels(device) || device.supports_dtype(precision.dtype())
}

/// Whether what Burn writes for a device that plays a card is what the device understands. Where one cannot lay out what a work group
/// shares (`VK_KHR_workgroup_memory_explicit_layout`), cubecl-spirv 0.11 declares that memory as a pointer to it: lavapipe crashes, and
/// the program with it, and SwiftShader computes something else. `tests/vulkan/run` builds with that mended.
const SOFTWARE_IS_UNDERSTOOD: bool = option_env!("VISAGE_CUBECL_SPIRV_IS_MENDED").is_some();

/// The device, if it can multiply.
fn tried(backend: Backend, index: usize, device: &Device) -> Result<Opened, DeviceError> {
    let name = Choice::Device(backend, index).to_string();
    if is_software(device) && !SOFTWARE_IS_UNDERSTOOD {
        let reason =
            "it is the processor that plays a card, for which Burn 0.22 writes kernels that are not valid".to_owned();
        return Err(DeviceError::Broken { device: name, reason });
    }
    let product = || {
        let ones = Tensor::<2>::ones([4, 4], device);
        ones.clone().matmul(ones).sum().into_scalar::<f32>()
    };
    let reason = match catch_unwind(AssertUnwindSafe(product)) {
        Ok(64.0) => {
            return Ok(Opened { device: device.clone(), others: Vec::new(), model: model(device), name });
        }
        Ok(sum) => format!("a product that is 64 came out as {sum}; its driver may be too old or damaged"),
        Err(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|reason| (*reason).to_owned()))
            .unwrap_or_else(|| "it does not say why".to_owned()),
    };
    Err(DeviceError::Broken { device: name, reason })
}

#[cfg(any(feature = "cuda", feature = "metal", feature = "vulkan"))]
fn model(device: &Device) -> Option<String> {
    device.identity().map(|identity| identity.name).filter(|name| !name.is_empty())
}

#[cfg(not(any(feature = "cuda", feature = "metal", feature = "vulkan")))]
fn model(_: &Device) -> Option<String> {
    None
}

#[cfg(any(feature = "metal", feature = "vulkan"))]
fn is_software(device: &Device) -> bool {
    match device.as_dispatch() {
        DispatchDevice::Cube(CubeDevice::Wgpu(device)) => device.kind == WgpuDeviceKind::Cpu,
        _ => false,
    }
}

#[cfg(not(any(feature = "metal", feature = "vulkan")))]
fn is_software(_: &Device) -> bool {
    false
}

/// All of a device's memory in bytes. Only CUDA says it.
fn memory(backend: Backend, index: usize) -> Option<u64> {
    match backend {
        #[cfg(feature = "cuda")]
        Backend::Cuda => {
            let total = || cudarc::driver::CudaContext::new(index).and_then(|context| context.total_mem());
            catch_unwind(total).ok()?.ok().map(|bytes| bytes as u64)
        }
        _ => {
            let _ = index;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_asked_for_by_name() {
        let table = [
            ("auto", Choice::Auto),
            ("cpu", Choice::Device(Backend::Cpu, 0)),
            ("cuda", Choice::Device(Backend::Cuda, 0)),
            ("cuda:3", Choice::Device(Backend::Cuda, 3)),
            ("vulkan:1", Choice::Device(Backend::Vulkan, 1)),
            ("metal", Choice::Device(Backend::Metal, 0)),
            ("cuda:0,2", Choice::Several(Backend::Cuda, vec![0, 2])),
        ];
        for (text, choice) in table {
            assert_eq!(text.parse(), Ok(choice));
        }
        assert_eq!("cuda:0,2".parse::<Choice>().unwrap().to_string(), "cuda:0,2");
        for text in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:0,", "cuda:0,cuda:1", "CUDA"] {
            assert_eq!(text.parse::<Choice>(), Err(UnknownDevice::Name(text.to_owned())));
        }
    }

    #[test]
    fn the_processor_is_always_there() {
        let cpu = open(&Choice::Device(Backend::Cpu, 0)).unwrap();
        assert_eq!((cpu.name.as_str(), cpu.device), ("cpu", Device::flex()));
        assert_eq!(
            open(&Choice::Device(Backend::Cpu, 1)).unwrap_err(),
            DeviceError::NoSuch { backend: Backend::Cpu, index: 1, devices: 1 }
        );
        assert!(list().iter().any(|found| found.device == "cpu" && found.broken.is_none()));
    }

    #[test]
    fn what_is_not_compiled_in_says_how_to_get_it() {
        for backend in Backend::ALL.into_iter().filter(|backend| !backend.is_compiled_in()) {
            let error = open(&Choice::Device(backend, 0)).unwrap_err();
            assert_eq!(error, DeviceError::NotCompiledIn(backend));
            assert!(error.to_string().contains(&format!("--features {backend}")), "{error}");
        }
    }
}
