//! Points, boxes, and cutting an image to the input of a network.

use image::RgbImage;
use serde::{Deserialize, Serialize};
use visage_data::Point;

/// A box in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaceBox {
    /// The left edge.
    pub x: f64,
    /// The upper edge.
    pub y: f64,
    /// The width.
    pub width: f64,
    /// The height.
    pub height: f64,
}

impl FaceBox {
    pub(crate) fn area(&self) -> f64 {
        self.width.max(0.0) * self.height.max(0.0)
    }

    pub(crate) fn centre(&self) -> Point {
        [self.x + self.width / 2.0, self.y + self.height / 2.0]
    }

    /// The area that two boxes share.
    pub(crate) fn shared(&self, other: &FaceBox) -> f64 {
        let width = (self.x + self.width).min(other.x + other.width) - self.x.max(other.x);
        let height = (self.y + self.height).min(other.y + other.height) - self.y.max(other.y);
        width.max(0.0) * height.max(0.0)
    }

    /// The share of both boxes' area that they have in common (intersection over union).
    pub(crate) fn overlap(&self, other: &FaceBox) -> f64 {
        let shared = self.shared(other);
        let both = self.area() + other.area() - shared;
        if both > 0.0 { shared / both } else { 0.0 }
    }
}

/// An image, RGB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixels<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl<'a> Pixels<'a> {
    pub(crate) fn of(image: &'a RgbImage) -> Self {
        Pixels { bytes: image.as_raw(), width: image.width() as usize, height: image.height() as usize }
    }

    fn pixel(&self, x: usize, y: usize) -> [f64; 3] {
        let at = (y * self.width + x) * 3;
        [self.bytes[at], self.bytes[at + 1], self.bytes[at + 2]].map(f64::from)
    }

    /// The colour at a point, by bilinear interpolation; black outside, as Pillow has it.
    pub(crate) fn bilinear(&self, [x, y]: Point) -> [f64; 3] {
        let inside = |position: f64, size: usize| (0.0..size as f64).contains(&position);
        if !inside(x, self.width) || !inside(y, self.height) {
            return [0.0; 3];
        }
        let axis = |position: f64, size: usize| {
            let position = position - 0.5;
            let first = position.floor();
            let clamp = |value: f64| value.clamp(0.0, size as f64 - 1.0) as usize;
            (clamp(first), clamp(first + 1.0), position - first)
        };
        let ((left, right, across), (top, bottom, down)) = (axis(x, self.width), axis(y, self.height));
        let mix = |a: [f64; 3], b: [f64; 3], share: f64| std::array::from_fn(|c| a[c] + (b[c] - a[c]) * share);
        let upper = mix(self.pixel(left, top), self.pixel(right, top), across);
        let lower = mix(self.pixel(left, bottom), self.pixel(right, bottom), across);
        mix(upper, lower, down)
    }
}
