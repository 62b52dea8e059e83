//! What an image and its labels are.

pub mod attributes;
pub mod label;
pub mod random;

pub use attributes::CELEBA_ATTRIBUTES;
pub use label::Label;
