//! BlazeFace (Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019), the model for back
//! cameras: boxes and six points of faces in a square of 256 pixels.
//!
//! Anchors, thresholds and the weighted suppression are MediaPipe's
//! (`modules/face_detection/face_detection_back_desktop_live.pbtxt`).

use std::sync::Mutex;

use image::RgbImage;
use visage_data::{ImageError, Point, Size, resize_region};
use visage_kernels::PlanarRows;

use crate::blazeface::{BlazeFace, GRAIN, Maps};
use crate::geometry::FaceBox;
use crate::tflite::Graph;

/// The side of the network's input in its file.
const SIDE: usize = 256;
/// The least score of a face.
const MIN_SCORE: f64 = 0.5;
/// Pixels of the input from which on a face has at least a quarter of a window of the next coarser scale.
const OVERSIZED: f64 = SIDE as f64 / 2.0;
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
    /// Whether a coarser scale shows it large enough, and with more of its surroundings.
    pub(crate) is_oversized: bool,
}

/// The detector.
#[derive(Debug)]
pub(crate) struct Detector {
    network: BlazeFace,
    /// Maps that no search uses at the moment, the latest last.
    maps: Mutex<Vec<Maps>>,
    /// The input's values for bytes.
    levels: [f32; 256],
}

impl Detector {
    /// The detector in a file; `None` if it is another network.
    pub(crate) fn read(file: &[u8]) -> Option<Self> {
        let graph = Graph::read(file)?;
        (graph.tensors[graph.input].shape == [1, SIDE, SIDE, 3]).then_some(())?;
        let levels = std::array::from_fn(|byte| byte as f32 / 127.5 - 1.0);
        Some(Detector { network: BlazeFace::of(&graph)?, maps: Mutex::default(), levels })
    }

    /// The faces in an image whose longer side is scaled to `parts` times the network's 256 pixels, best first.
    ///
    /// The whole image, of one part, is in the middle of a black square, as MediaPipe has it. Others are only filled up to multiples of
    /// the coarsest map's pixels.
    pub(crate) fn detect(&self, image: &RgbImage, parts: u32) -> Result<Vec<Detection>, ImageError> {
        let [width, height] = [image.width(), image.height()].map(f64::from);
        let longer = width.max(height);
        let target = SIDE * parts as usize;
        let content = [width, height].map(|side| ((target as f64 * side / longer).round() as usize).max(1));
        let region = [0, 0, image.width(), image.height()];
        let pixels = resize_region(image, region, Size { height: content[1], width: content[0] })?;
        let size = if parts == 1 { [SIDE; 2] } else { content.map(|side| side.next_multiple_of(GRAIN)) };
        let margin = [0, 1].map(|axis| (size[axis] - content[axis]) / 2);
        let mut maps = self.take_maps([size[1], size[0]]);
        let fill = |[y, colour, first]: [usize; 3], columns: &mut [f32]| {
            self.fill(&pixels, content, [margin[0], y.wrapping_sub(margin[1])], [colour, first], columns);
        };
        let found = suppress(candidates(self.network.run(&mut maps, fill)));
        self.put_back(maps);
        // From the input to the image.
        let scale = [width / content[0] as f64, height / content[1] as f64];
        let to_image = |[x, y]: Point| [(x - margin[0] as f64) * scale[0], (y - margin[1] as f64) * scale[1]];
        let in_image = |detection: Detection| {
            let FaceBox { x, y, width, height } = detection.face;
            let [x, y] = to_image([x, y]);
            let face = FaceBox { x, y, width: width * scale[0], height: height * scale[1] };
            let is_oversized = parts > 1 && detection.face.width > OVERSIZED;
            Detection { face, points: detection.points.map(to_image), is_oversized, ..detection }
        };
        Ok(found.into_iter().map(in_image).collect())
    }

    /// Every second column of the input, from column `first` on: those of row `y` of the content, if it exists, which begins at column
    /// `left`, and black.
    fn fill(
        &self,
        pixels: &[u8],
        [width, height]: [usize; 2],
        [left, y]: [usize; 2],
        [colour, first]: [usize; 2],
        columns: &mut [f32],
    ) {
        if y >= height {
            columns.fill(-1.0);
            return;
        }
        let (row, _) = pixels[y * width * 3..(y + 1) * width * 3].as_chunks::<3>();
        // The columns before the content, in it and after it.
        let at = |column: usize| column.saturating_sub(first).div_ceil(2).min(columns.len());
        let [start, end] = [at(left), at(left + width)];
        let (before, rest) = columns.split_at_mut(start);
        let (inside, after) = rest.split_at_mut(end - start);
        before.fill(-1.0);
        after.fill(-1.0);
        let pixels = row[(first + 2 * start).saturating_sub(left).min(width)..].iter().step_by(2);
        for (value, pixel) in inside.iter_mut().zip(pixels) {
            *value = self.levels[usize::from(pixel[colour])];
        }
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

/// The boxes that score high enough, in pixels of the input, from the maps of scores and boxes of each layer of anchors.
fn candidates(layers: &[PlanarRows]) -> Vec<Detection> {
    let mut found = Vec::new();
    for (rows, (distance, anchors)) in layers.iter().zip(ANCHORS) {
        for y in 0..rows.height() {
            for anchor in 0..anchors {
                for x in 0..rows.width() {
                    let score = rows.value(y, anchor, x);
                    let score = 1.0 / (1.0 + (-f64::from(score)).clamp(-80.0, 80.0).exp());
                    if score.is_nan() || score <= MIN_SCORE {
                        continue;
                    }
                    let centre = [x, y].map(|cell| (cell as f64 + 0.5) * distance as f64);
                    let value = |index: usize| f64::from(rows.value(y, anchors + anchor * BOX + index, x));
                    let point = |index: usize| [value(index) + centre[0], value(index + 1) + centre[1]];
                    let ([x, y], [width, height]) = (point(0), [value(2), value(3)]);
                    if width > 0.0 && height > 0.0 {
                        let face = FaceBox { x: x - width / 2.0, y: y - height / 2.0, width, height };
                        let points = std::array::from_fn(|index| point(4 + 2 * index));
                        found.push(Detection { face, score, points, is_oversized: false });
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
