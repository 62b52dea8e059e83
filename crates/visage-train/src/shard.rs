//! The part of a batch for each device of data-parallel training.

use visage_data::{Batch, Label};

/// The part of a batch that one device computes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shard<'a> {
    pub indices: &'a [usize],
    pub pixels: &'a [u8],
    pub labels: &'a [Label],
    /// The labels of the images that are mixed into these, and the share of each image that is its own.
    pub partners: Option<(&'a [Label], f32)>,
}

impl<'a> Shard<'a> {
    /// Splits a batch into at most `parts` shards of about the same size, at least two images each: a single image has no
    /// variance.
    pub fn split(batch: &'a Batch, partners: Option<(&'a [Label], f32)>, parts: usize) -> Vec<Self> {
        let images = batch.indices.len();
        let parts = parts.min(images / 2).max(1);
        let (values, attributes) = (batch.size.pixels() * 3, batch.labels.len() / images.max(1));
        let shard = |part: usize| {
            let (from, to) = (images * part / parts, images * (part + 1) / parts);
            let labels = from * attributes..to * attributes;
            Self {
                indices: &batch.indices[from..to],
                pixels: &batch.pixels[from * values..to * values],
                labels: &batch.labels[labels.clone()],
                partners: partners.map(|(partners, share)| (&partners[labels], share)),
            }
        };
        (0..parts).map(shard).collect()
    }
}
