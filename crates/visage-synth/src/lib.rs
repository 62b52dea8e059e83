//! Synthetic faces in CelebA's layout.
//!
//! Training, evaluation and serving need a dataset that is free to use, ready in seconds, and correctly labelled. This crate draws
//! one: faces with CelebA's 40 attributes, at CelebA's prevalences and with similar correlations. Every attribute is visible in
//! the pixels. Everything else (pose, light, skin, background, clothes, noise) varies independently of the attributes. Some
//! labels of subjective attributes are then flipped, and the flipped ones are listed beside the labels.
//!
//! [`write()`] draws a dataset; [`Face::sample`] and [`draw()`] draw one face.
//!
//! ```
//! use visage_synth::{Attribute, Face, draw};
//!
//! let face = Face::sample(7, 0).with(Attribute::Smiling, true);
//! assert!(face.attributes.has(Attribute::Smiling));
//! assert_eq!(draw(&face, 89, 109).dimensions(), (89, 109));
//! ```

mod attribute;
mod canvas;
mod draw;
mod error;
mod face;
mod geometry;
mod label_noise;
mod layout;
mod population;
mod regions;

pub use attribute::{Attribute, Attributes, CELEBA_PREVALENCE};
pub use draw::draw;
pub use error::SynthError;
pub use face::{Face, IMAGES_PER_IDENTITY};
pub use geometry::{HEIGHT, WIDTH};
pub use label_noise::written_labels;
pub use layout::{Options, Summary, write};
pub use regions::Region;
