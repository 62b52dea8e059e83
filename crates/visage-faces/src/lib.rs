//! Faces in photographs: where they are, where their eyes and mouths are, and the picture of each aligned as CelebA's are.
//!
//! The two networks, BlazeFace and FaceMesh, are Google's (Apache-2.0). They are installed by the user into a [`Store`] and run on
//! visage's kernels. Faces are found, never recognised, and no photograph leaves memory.
//!
//! ```no_run
//! use visage_data::align;
//! use visage_faces::{FaceFinder, Search, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let finder = FaceFinder::new(&Store::of_user()?)?;
//! let photograph = image::open("photograph.jpg")?.into_rgb8();
//! for (number, face) in finder.find(&photograph, Search::default())?.iter().enumerate() {
//!     let aligned = align(&photograph, &face.landmarks).ok_or("a face of one point")?;
//!     aligned.save(format!("face-{number}.png"))?;
//! }
//! # Ok(())
//! # }
//! ```

mod aligned_folder;
mod blazeface;
mod dataset;
mod detector;
mod error;
mod finder;
mod geometry;
mod input;
mod landmarks;
mod network;
mod regions;
mod store;
mod tflite;

pub use aligned_folder::AlignedFolder;
pub use dataset::alignments;
pub use error::FacesError;
pub use finder::{Face, FaceFinder, Search};
pub use geometry::FaceBox;
pub use store::{DETECTOR, MESH, NETWORKS, NetworkFile, Store};
