//! The selection of a device by name.

use std::fmt;
use std::str::FromStr;

use super::backend::Backend;

/// The device or devices that a user selects, such as `auto`, `cpu`, `cuda:1` or `cuda:0,1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The best device that works.
    Auto,
    /// One device of the backend, by its index.
    Device(Backend, usize),
    /// Two or more devices of the backend, to train on together.
    Several(Backend, Vec<usize>),
}

/// A text that does not name a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown device {0:?}; known devices: auto, cpu, cuda, metal, vulkan; cuda:1 is the second CUDA device, cuda:0,1 are the first \
     two"
)]
pub struct UnknownDevice(String);

impl FromStr for Choice {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, UnknownDevice> {
        if text == "auto" {
            return Ok(Choice::Auto);
        }
        let unknown = || UnknownDevice(text.to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_selected_by_name() {
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
            assert_eq!(text.parse::<Choice>(), Err(UnknownDevice(text.to_owned())));
        }
    }
}
