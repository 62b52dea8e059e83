//! Synthetic faces in the layout of CelebA.
//!
//! Training, judging and serving want a dataset that anyone may have, that is ready in seconds and whose labels are
//! known to be true. This crate draws one: faces with CelebA's 40 attributes, at CelebA's prevalences and going
//! together as they do there, every attribute visible in the pixels, and everything else (pose, light, skin,
//! background, clothes, noise) varying and meaning nothing. On the attributes that people disagree on some labels are
//! then written wrong, and those are listed beside the labels.
//!
//! [`write()`] draws a dataset; [`Face::sample`] and [`draw()`] one face.

mod attribute;
mod canvas;
mod draw;
mod error;
mod face;
mod geometry;
mod label_noise;
mod layout;
mod population;

pub use attribute::{Attribute, Attributes};
pub use draw::draw;
pub use error::SynthError;
pub use face::{Face, IMAGES_PER_IDENTITY, Region};
pub use geometry::{HEIGHT, WIDTH};
pub use label_noise::written_labels;
pub use layout::{Options, Summary, write};
pub use population::CELEBA_PREVALENCE;
