//! Checks and properties of a device.

use std::panic::{AssertUnwindSafe, catch_unwind};

#[cfg(any(feature = "metal", feature = "vulkan"))]
use burn::backend::{CubeDevice, DispatchDevice, WgpuDeviceKind};
use burn::tensor::{Device, Tensor};

use super::backend::Backend;
use super::error::DeviceError;

/// Whether this build generates valid kernels for software devices. Without `VK_KHR_workgroup_memory_explicit_layout`, cubecl-spirv
/// 0.11 declares workgroup memory as a pointer to it. lavapipe then crashes, and the program with it, and SwiftShader returns wrong
/// results. `tests/vulkan/run` builds with a correction.
const SUPPORTS_SOFTWARE_DEVICES: bool = option_env!("VISAGE_CUBECL_SPIRV_IS_MENDED").is_some();

/// Checks by a small multiplication that a device, called `name`, works.
pub(super) fn check(name: &str, device: &Device) -> Result<(), DeviceError> {
    let broken = |reason| Err(DeviceError::Broken { device: name.to_owned(), reason });
    if is_software(device) && !SUPPORTS_SOFTWARE_DEVICES {
        return broken("it is a software Vulkan device, for which Burn 0.22 generates invalid kernels".to_owned());
    }
    let product = || {
        let ones = Tensor::<2>::ones([4, 4], device);
        ones.clone().matmul(ones).sum().into_scalar::<f32>()
    };
    match catch_unwind(AssertUnwindSafe(product)) {
        Ok(64.0) => Ok(()),
        Ok(sum) => {
            broken(format!("a test multiplication returned {sum} instead of 64; its driver may be too old or damaged"))
        }
        Err(panic) => broken(
            panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|reason| (*reason).to_owned()))
                .unwrap_or_else(|| "it gave no reason".to_owned()),
        ),
    }
}

#[cfg(any(feature = "cuda", feature = "metal", feature = "vulkan"))]
pub(super) fn model(device: &Device) -> Option<String> {
    device.identity().map(|identity| identity.name).filter(|name| !name.is_empty())
}

#[cfg(not(any(feature = "cuda", feature = "metal", feature = "vulkan")))]
pub(super) fn model(_: &Device) -> Option<String> {
    None
}

#[cfg(any(feature = "metal", feature = "vulkan"))]
pub(super) fn is_software(device: &Device) -> bool {
    match device.as_dispatch() {
        DispatchDevice::Cube(CubeDevice::Wgpu(device)) => device.kind == WgpuDeviceKind::Cpu,
        _ => false,
    }
}

#[cfg(not(any(feature = "metal", feature = "vulkan")))]
pub(super) fn is_software(_: &Device) -> bool {
    false
}

/// The size of a device's memory in bytes. Only CUDA reports it.
pub(super) fn memory(backend: Backend, index: usize) -> Option<u64> {
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
