//! Files of PyTorch's `torch.save`: a pickle that describes tensors, and the raw storages that they view.

mod globals;
mod legacy;
mod objects;
mod pickle;
mod rebuild;
mod state_dict;
mod views;
mod write;
mod zip_archive;

pub(crate) use legacy::read as read_legacy;
pub use write::write_torch;
pub(crate) use zip_archive::read as read_zip;

/// The first byte of every pickle of protocol 2 or later.
pub(crate) const PICKLE_START: u8 = 0x80;
