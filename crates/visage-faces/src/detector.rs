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

/// The detector.
#[derive(Debug)]
pub(crate) struct Detector {
    network: BlazeFace,
    /// Maps that no search uses at the moment, the latest last.
    maps: Mutex<Vec<Maps>>,
    /// The input's values for bytes.
    levels: Vec<f32>,
}

impl Detector {
    /// The detector in a file; `None` if it is another network.
    pub(crate) fn read(file: &[u8]) -> Option<Self> {
        let graph = Graph::read(file)?;
        let levels = (0..=u8::MAX).map(|byte| f32::from(byte) / 127.5 - 1.0).collect();
        (graph.tensors[graph.input].shape == [1, SIDE, SIDE, 3]).then_some(())?;
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
        let fill = |[y, colour, parity]: [usize; 3], columns: &mut [f32]| {
            self.fill(&pixels, content, [margin[0], y.wrapping_sub(margin[1])], colour, parity, columns);
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
            Detection { face, points: detection.points.map(to_image), ..detection }
        };
        Ok(found.into_iter().map(in_image).collect())
    }

    /// The columns of one parity of the input: row `y` of the content, if it exists, from column `left` on, in black.
    fn fill(
        &self,
        pixels: &[u8],
        [width, height]: [usize; 2],
        [left, y]: [usize; 2],
        colour: usize,
        parity: usize,
        columns: &mut [f32],
    ) {
        columns.fill(-1.0);
        if y >= height {
            return;
        }
        let row = &pixels[y * width * 3..(y + 1) * width * 3];
        // The first column of this parity at or after the content's first.
        let column = left + (left + parity) % 2;
        let bytes = row[((column - left) * 3 + colour).min(row.len())..].iter().step_by(6);
        for (value, &byte) in columns[column / 2..].iter_mut().zip(bytes) {
            *value = self.levels[usize::from(byte)];
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
                for (x, &score) in rows.channel(y, anchor).iter().enumerate() {
                    let score = 1.0 / (1.0 + (-f64::from(score)).clamp(-80.0, 80.0).exp());
                    if score.is_nan() || score <= MIN_SCORE {
                        continue;
                    }
                    let centre = [x, y].map(|cell| (cell as f64 + 0.5) * distance as f64);
                    let value = |index: usize| f64::from(rows.channel(y, anchors + anchor * BOX + index)[x]);
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
        faces.push(Detection { face, score: best.score, points });
        left = others;
    }
    faces
}
