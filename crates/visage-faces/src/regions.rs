//! The parts of an image that are searched at a finer scale.

use visage_data::Point;

use crate::blazeface::GRAIN;
use crate::geometry::FaceBox;

/// Pixels of the input around a box that its region has as well. The windows of all layers together reach further, but what decides
/// about a small face is the face and a little around it. With 32 pixels, three times as many faces of collages differ from those that
/// a search of everything finds.
const MARGIN: f64 = 64.0;
/// Pixels of the input along the edges of a region in which faces are left out: there they may be cut.
const BORDER: f64 = 32.0;

/// A rectangle of the network's input. Its edges are at multiples of the coarsest map's pixels, so that its anchors are those of the
/// whole input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Region {
    /// The left and upper edge.
    pub(crate) start: [usize; 2],
    /// The right and lower edge.
    pub(crate) end: [usize; 2],
}

impl Region {
    /// The whole input, of a width and a height.
    pub(crate) fn whole(size: [usize; 2]) -> Self {
        Region { start: [0; 2], end: size }
    }

    /// The width and the height.
    pub(crate) fn size(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.end[axis] - self.start[axis])
    }

    pub(crate) fn area(&self) -> usize {
        let [width, height] = self.size();
        width * height
    }

    /// The region of a box in an input of a width and a height.
    fn of(face: &FaceBox, size: [usize; 2]) -> Self {
        let (from, length) = ([face.x, face.y], [face.width, face.height]);
        let edge = |at: f64, axis: usize| (at.max(0.0) as usize).min(size[axis]);
        let start = [0, 1].map(|axis| edge(from[axis] - MARGIN, axis) / GRAIN * GRAIN);
        let end = [0, 1].map(|axis| edge((from[axis] + length[axis] + MARGIN).ceil(), axis).next_multiple_of(GRAIN));
        Region { start, end }
    }

    fn joined(&self, other: &Region) -> Self {
        let start = [0, 1].map(|axis| self.start[axis].min(other.start[axis]));
        let end = [0, 1].map(|axis| self.end[axis].max(other.end[axis]));
        Region { start, end }
    }

    /// Whether a point of the input is far enough from the edges at which the region is cut out.
    pub(crate) fn is_inside(&self, point: Point, size: [usize; 2]) -> bool {
        [0, 1].into_iter().all(|axis| {
            let [start, end] = [self.start[axis], self.end[axis]].map(|edge| edge as f64);
            (self.start[axis] == 0 || point[axis] >= start + BORDER)
                && (self.end[axis] == size[axis] || point[axis] <= end - BORDER)
        })
    }
}

/// Regions that contain boxes, in an input of a width and a height. Two are joined if that has no more pixels.
pub(crate) fn regions(boxes: impl IntoIterator<Item = FaceBox>, size: [usize; 2]) -> Vec<Region> {
    let mut regions: Vec<Region> = Vec::new();
    for face in boxes {
        let mut region = Region::of(&face, size);
        let is_joined = |region: &Region, other: &Region| region.joined(other).area() <= region.area() + other.area();
        while let Some(index) = regions.iter().position(|other| is_joined(&region, other)) {
            region = region.joined(&regions.swap_remove(index));
        }
        if region.area() > 0 {
            regions.push(region);
        }
    }
    let whole = Region::whole(size);
    if regions.iter().map(Region::area).sum::<usize>() < whole.area() { regions } else { vec![whole] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(x: f64, y: f64, side: f64) -> FaceBox {
        FaceBox { x, y, width: side, height: side }
    }

    #[test]
    fn every_box_lies_in_a_region_with_its_margin() {
        let size = [1024, 704];
        let mut seed = 1_u64;
        let mut random = |below: f64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as f64 / f64::from(1_u32 << 31) * below
        };
        for count in [1, 2, 5, 9] {
            // Some reach beyond the input.
            let boxes: Vec<_> =
                (0..count).map(|_| face(random(1020.0) - 10.0, random(700.0) - 10.0, random(70.0))).collect();
            let regions = regions(boxes.iter().copied(), size);
            for region in &regions {
                assert!(region.start.iter().chain(&region.end).all(|edge| edge.is_multiple_of(GRAIN)), "{region:?}");
            }
            for place in boxes {
                let has_all = |region: &&Region| {
                    [(place.x, place.width), (place.y, place.height)].into_iter().enumerate().all(
                        |(axis, (at, side))| {
                            let last = size[axis] as f64;
                            region.start[axis] as f64 <= (at - MARGIN).max(0.0)
                                && region.end[axis] as f64 >= (at + side + MARGIN).min(last)
                        },
                    )
                };
                let region = regions.iter().find(has_all).unwrap_or_else(|| panic!("{place:?} in {regions:?}"));
                assert!(region.is_inside(place.centre(), size), "{place:?} {region:?}");
            }
        }
    }

    #[test]
    fn regions_are_joined_where_that_saves_pixels() {
        let count = |boxes: &[FaceBox]| regions(boxes.iter().copied(), [1024, 1024]).len();
        let (a, near, far) = (face(200.0, 200.0, 20.0), face(230.0, 200.0, 20.0), face(800.0, 700.0, 20.0));
        assert_eq!(
            [count(&[]), count(&[a]), count(&[a, near]), count(&[a, far]), count(&[a, far, near])],
            [0, 1, 1, 2, 2]
        );
        let crowd: Vec<_> =
            (0..400).map(|index| face(f64::from(index % 20) * 50.0, f64::from(index / 20) * 50.0, 20.0)).collect();
        assert_eq!(regions(crowd, [1024, 1024]), [Region::whole([1024, 1024])]);
    }

    #[test]
    fn only_edges_that_cut_the_input_are_left_out() {
        let region = Region { start: [0, 64], end: [256, 320] };
        let is_inside = |x: f64, y: f64| region.is_inside([x, y], [256, 512]);
        assert!(is_inside(1.0, 64.0 + BORDER) && is_inside(255.0, 320.0 - BORDER));
        assert!(!is_inside(1.0, 63.0 + BORDER) && !is_inside(1.0, 321.0 - BORDER));
    }
}
