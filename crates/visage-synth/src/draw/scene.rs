//! What the parts of the drawing share.

use super::palette::Palette;
use crate::attribute::Attribute;
use crate::face::Face;
use crate::geometry::Geometry;
use tiny_skia::Mask;

pub(super) struct Scene<'a> {
    pub(super) face: &'a Face,
    pub(super) geometry: &'a Geometry,
    pub(super) palette: &'a Palette,
    pub(super) mask: Option<&'a Mask>,
}

impl Scene<'_> {
    pub(super) fn has(&self, attribute: Attribute) -> bool {
        self.face.attributes.has(attribute)
    }
}

/// The left and the right side, as the sign of x.
pub(super) const SIDES: [f32; 2] = [-1.0, 1.0];
