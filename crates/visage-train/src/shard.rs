//! The part of a batch for each device of data-parallel training.

use visage_data::Batch;

/// The part of a batch that one device computes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shard<'a> {
    pub indices: &'a [usize],
    pub pixels: &'a [u8],
    /// The probability of each label; NaN for unknown ones.
    pub targets: &'a [f32],
    /// The targets of the images that are mixed into these, and the share of each image that is its own.
    pub partners: Option<(&'a [f32], f32)>,
}

impl<'a> Shard<'a> {
    /// Splits a batch into at most `parts` shards of about the same size, at least two images each: a single image has no
    /// variance.
    pub fn split(batch: &'a Batch, partners: Option<(&'a [f32], f32)>, parts: usize) -> Vec<Self> {
        let images = batch.indices.len();
        let parts = parts.min(images / 2).max(1);
        let (values, attributes) = (batch.size.pixels() * 3, batch.targets.len() / images.max(1));
        let shard = |part: usize| {
            let (from, to) = (images * part / parts, images * (part + 1) / parts);
            let targets = from * attributes..to * attributes;
            Self {
                indices: &batch.indices[from..to],
                pixels: &batch.pixels[from * values..to * values],
                targets: &batch.targets[targets.clone()],
                partners: partners.map(|(partners, share)| (&partners[targets], share)),
            }
        };
        (0..parts).map(shard).collect()
    }
}
