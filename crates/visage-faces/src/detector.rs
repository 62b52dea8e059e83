//! BlazeFace (Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019), the model for back
//! cameras: boxes and six points of faces in a square of 256 pixels.
//!
//! Anchors, thresholds and the weighted suppression are MediaPipe's
//! (`modules/face_detection/face_detection_back_desktop_live.pbtxt`).

use std::sync::Mutex;

use image::RgbImage;
use visage_data::{ImageError, Point};
use visage_kernels::PlanarRows;

use crate::blazeface::{BlazeFace, Maps};
use crate::geometry::FaceBox;
use crate::input::{Input, SIDE};
use crate::regions::{Region, regions};
use crate::tflite::Graph;

/// The least score of a face.
const MIN_SCORE: f64 = 0.5;
/// The least score of a place in which a finer scale may show a face. Textures have lower ones: from 0.02 on, nearly all of a
/// photograph would be searched. From 0.1 on, twice as many small faces of collages are lost as from 0.05 on.
const WEAK: f64 = 0.08;
/// Pixels of the input up to which a finer scale shows a face better.
const SMALL: f64 = 32.0;
/// Boxes that share more than this of their area are one face.
const SAME_FACE: f64 = 0.3;
/// The layers of anchors: the distance between two of them in pixels of the input, and how many share a place.
const ANCHORS: [(usize, usize); 2] = [(16, 2), (32, 6)];
/// Numbers of a box: its centre, size, and six points.
const BOX: usize = 16;
/// Maps of different sizes that are kept for reuse.
const KEPT_MAPS: usize = 16;

/// A face as the detector finds it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Detection {
    pub(crate) face: FaceBox,
    /// Between 0 and 1.
    pub(crate) score: f64,
    /// The left eye (in the image), the right eye, the tip of the nose, the mouth, the left and the right ear.
    pub(crate) points: [Point; 6],
}

/// What the detector responds to.
#[derive(Debug)]
pub(crate) struct Responses {
    /// Faces, best first.
    pub(crate) large: Vec<Detection>,
    /// Faces that a finer scale shows better, best first.
    pub(crate) small: Vec<Detection>,
    /// Boxes in which a finer scale may show a face, those of small faces among them.
    pub(crate) places: Vec<FaceBox>,
}

/// The detector.
#[derive(Debug)]
pub(crate) struct Detector {
    network: BlazeFace,
    /// Maps that no search uses at the moment, the latest last.
    maps: Mutex<Vec<Maps>>,
}

impl Detector {
    /// The detector in a file; `None` if it is another network.
    pub(crate) fn read(file: &[u8]) -> Option<Self> {
        let graph = Graph::read(file)?;
        (graph.tensors[graph.input].shape == [1, SIDE, SIDE, 3]).then_some(())?;
        Some(Detector { network: BlazeFace::of(&graph)?, maps: Mutex::default() })
    }

    /// Searches an image whose longer side is scaled to `parts` times the network's 256 pixels, everywhere or around `places`, which
    /// are boxes in the image.
    pub(crate) fn detect(
        &self,
        image: &RgbImage,
        parts: u32,
        places: Option<&[FaceBox]>,
    ) -> Result<Responses, ImageError> {
        let input = Input::new(image, parts)?;
        let regions = match places {
            Some(places) => regions(places.iter().map(|place| input.of_image(place)), input.size()),
            None => vec![Region::whole(input.size())],
        };
        let mut found: Vec<_> = regions.iter().flat_map(|region| self.responses(&input, region)).collect();
        let is_small = |found: &Detection| found.face.width <= SMALL;
        let places = found.iter().filter(|found| is_small(found)).map(|found| input.to_image(&found.face)).collect();
        found.retain(|found| found.score > MIN_SCORE);
        let (small, large): (Vec<_>, Vec<_>) = suppress(found).into_iter().partition(is_small);
        let in_image = |detection: Detection| {
            let points = detection.points.map(|point| input.point_to_image(point));
            Detection { face: input.to_image(&detection.face), points, ..detection }
        };
        let all_in_image = |found: Vec<Detection>| found.into_iter().map(in_image).collect();
        Ok(Responses { large: all_in_image(large), small: all_in_image(small), places })
    }

    /// The responses in a region of the input, away from the edges at which it is cut out.
    fn responses(&self, input: &Input, region: &Region) -> Vec<Detection> {
        let [width, height] = region.size();
        let mut maps = self.take_maps([height, width]);
        let layers = self.network.run(&mut maps, |place, columns| input.fill(region.start, place, columns));
        let mut found = candidates(layers, region.start);
        found.retain(|found| region.is_inside(found.face.centre(), input.size()));
        self.put_back(maps);
        found
    }

    fn take_maps(&self, size: [usize; 2]) -> Maps {
        let kept = self.maps.lock().ok().and_then(|mut maps| {
            let index = maps.iter().position(|maps| maps.size() == size)?;
            Some(maps.remove(index))
        });
        kept.unwrap_or_else(|| self.network.maps(size))
    }

    fn put_back(&self, maps: Maps) {
        if let Ok(mut kept) = self.maps.lock() {
            if kept.len() == KEPT_MAPS {
                kept.remove(0);
            }
            kept.push(maps);
        }
    }
}

/// The boxes that score high enough, in pixels of the input, from the maps of scores and boxes of each layer of anchors, of which the
/// first is at `start`.
fn candidates(layers: &[PlanarRows], start: [usize; 2]) -> Vec<Detection> {
    let mut found = Vec::new();
    for (rows, (distance, anchors)) in layers.iter().zip(ANCHORS) {
        for y in 0..rows.height() {
            for anchor in 0..anchors {
                for x in 0..rows.width() {
                    let score = rows.value(y, anchor, x);
                    let score = 1.0 / (1.0 + (-f64::from(score)).clamp(-80.0, 80.0).exp());
                    if score.is_nan() || score <= WEAK {
                        continue;
                    }
                    let centre = [(x, start[0]), (y, start[1])]
                        .map(|(cell, start)| (cell as f64 + 0.5) * distance as f64 + start as f64);
                    let value = |index: usize| f64::from(rows.value(y, anchors + anchor * BOX + index, x));
                    let point = |index: usize| [value(index) + centre[0], value(index + 1) + centre[1]];
                    let ([x, y], [width, height]) = (point(0), [value(2), value(3)]);
                    if width > 0.0 && height > 0.0 {
                        let face = FaceBox { x: x - width / 2.0, y: y - height / 2.0, width, height };
                        let points = std::array::from_fn(|index| point(4 + 2 * index));
                        found.push(Detection { face, score, points });
                    }
                }
            }
        }
    }
    found
}

/// Joins boxes of one face: their mean, weighted by their scores. The score is that of the best.
fn suppress(mut left: Vec<Detection>) -> Vec<Detection> {
    left.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut faces = Vec::new();
    while let Some(best) = left.first().cloned() {
        let (same, others): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|other| other.face.overlap(&best.face) > SAME_FACE);
        let total: f64 = same.iter().map(|detection| detection.score).sum();
        let mean = |value: &dyn Fn(&Detection) -> f64| same.iter().map(|d| value(d) * d.score).sum::<f64>() / total;
        let face = FaceBox {
            x: mean(&|d| d.face.x),
            y: mean(&|d| d.face.y),
            width: mean(&|d| d.face.width),
            height: mean(&|d| d.face.height),
        };
        let points = std::array::from_fn(|point| [0, 1].map(|axis| mean(&|d| d.points[point][axis])));
        faces.push(Detection { face, points, ..best });
        left = others;
    }
    faces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blazeface::tests::graph;

    #[test]
    fn a_region_responds_as_the_whole_away_from_its_edges() {
        let network = BlazeFace::of(&graph([SIDE; 2])).unwrap();
        let detector = Detector { network, maps: Mutex::default() };
        let image = RgbImage::from_fn(1024, 700, |x, y| {
            image::Rgb([x * 7919 + y * 104_729, x * y, x * x + 3 * y].map(|value| (value % 251) as u8))
        });
        let input = Input::new(&image, 4).unwrap();
        // The windows of the drawn network reach less than 112 pixels.
        let core = Region { start: [128, 160], end: [576, 544] };
        let is_core = |found: &Detection| {
            let [x, y] = found.face.centre();
            x > 240.0 && x < 464.0 && y > 272.0 && y < 432.0
        };
        let responses =
            |region: &Region| -> Vec<_> { detector.responses(&input, region).into_iter().filter(is_core).collect() };
        let (expected, found) = (responses(&Region::whole(input.size())), responses(&core));
        assert!(expected.len() > 20, "{} responses", expected.len());
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            let numbers = |detection: &Detection| {
                let FaceBox { x, y, width, height } = detection.face;
                [detection.score, x, y, width, height, detection.points[5][1]]
            };
            for (found, expected) in numbers(found).into_iter().zip(numbers(expected)) {
                assert!((found - expected).abs() < 1e-3, "{found} {expected}");
            }
        }
    }
}
