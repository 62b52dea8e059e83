//! The backends: how a device is reached.

use std::fmt;
use std::panic::catch_unwind;

use burn::tensor::Device;
#[cfg(any(feature = "cuda", feature = "metal", feature = "vulkan"))]
use burn::tensor::DeviceType;
use serde::Serialize;

/// A family of devices and the program interface that reaches them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The CPU, with visage's own kernels.
    Cpu,
    /// NVIDIA GPUs.
    Cuda,
    /// Apple GPUs.
    Metal,
    /// Any GPU with a Vulkan driver.
    Vulkan,
}

impl Backend {
    /// All backends, in the order of preference.
    pub const ALL: [Backend; 4] = [Backend::Cuda, Backend::Metal, Backend::Vulkan, Backend::Cpu];

    /// The name on the command line. For GPUs it is also the Cargo feature.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Cpu => "cpu",
            Backend::Cuda => "cuda",
            Backend::Metal => "metal",
            Backend::Vulkan => "vulkan",
        }
    }

    /// Whether this build has the backend.
    pub fn is_compiled_in(self) -> bool {
        match self {
            Backend::Cpu => true,
            Backend::Cuda => cfg!(feature = "cuda"),
            Backend::Metal => cfg!(feature = "metal"),
            Backend::Vulkan => cfg!(feature = "vulkan"),
        }
    }

    pub(super) fn requirement(self) -> &'static str {
        match self {
            Backend::Cpu => "a CPU",
            Backend::Cuda => {
                "an NVIDIA GPU, its driver (libcuda) and the CUDA toolkit (nvvm/libdevice in CUDA_PATH or /usr/local/cuda)"
            }
            Backend::Metal => "a Mac with Metal",
            Backend::Vulkan => {
                "a GPU and its Vulkan driver (on Debian and Ubuntu the package mesa-vulkan-drivers, or NVIDIA's driver) and \
                 the loader (libvulkan1)"
            }
        }
    }

    pub(super) fn devices(self) -> Vec<Device> {
        let found = || match self {
            Backend::Cpu => vec![Device::flex()],
            #[cfg(feature = "cuda")]
            Backend::Cuda => Device::enumerate(DeviceType::Cuda).into_vec(),
            #[cfg(feature = "metal")]
            Backend::Metal => Device::enumerate(DeviceType::Metal).into_vec(),
            #[cfg(feature = "vulkan")]
            Backend::Vulkan => Device::enumerate(DeviceType::Vulkan).into_vec(),
            #[allow(unreachable_patterns, reason = "the features decide which backends are left")]
            _ => Vec::new(),
        };
        // A driver that panics counts as a missing driver.
        catch_unwind(found).unwrap_or_default()
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
