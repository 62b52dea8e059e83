//! BlazeFace (Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019), the model for back
//! cameras: boxes and six points of faces in a square of 256 pixels.
//!
//! Anchors, thresholds and the weighted suppression are MediaPipe's
//! (`modules/face_detection/face_detection_back_desktop_live.pbtxt`).

use image::RgbImage;
use visage_data::{ImageError, Point, Size, resize_region};

use crate::geometry::FaceBox;
use crate::network::Network;

/// The side of the network's input.
const SIDE: usize = 256;
/// The least score of a face.
const MIN_SCORE: f64 = 0.5;
/// Boxes that share more than this of their area are one face.
const SAME_FACE: f64 = 0.3;
/// The layers of anchors: the distance between two of them in pixels of the input, and how many share a place.
const ANCHORS: [(usize, usize); 2] = [(16, 2), (32, 6)];
/// Numbers of a box: its centre, size, and six points.
const BOX: usize = 16;

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
    network: Network,
    anchors: Vec<Point>,
}

/// A rectangle of whole pixels: left, top, width and height.
pub(crate) type Region = [u32; 4];

impl Detector {
    /// The detector in a file; `None` if it is another network.
    pub(crate) fn read(file: &[u8]) -> Option<Self> {
        let network = Network::read(file)?;
        (network.input_shape() == [SIDE, SIDE, 3]).then(|| Detector { network, anchors: anchors() })
    }

    /// The faces in a region of an image, best first.
    pub(crate) fn detect(&self, image: &RgbImage, region: Region) -> Result<Vec<Detection>, ImageError> {
        let [left, top, width, height] = region.map(f64::from);
        let longer = width.max(height);
        let content = [width, height].map(|side| ((SIDE as f64 * side / longer).round() as usize).max(1));
        let pixels = resize_region(image, region, Size { height: content[1], width: content[0] })?;
        let margin = content.map(|side| (SIDE - side) / 2);
        let input = letterboxed(&pixels, content, margin);
        let outputs = self.network.run(input);
        let found = suppress(self.candidates(&outputs[0], &outputs[1]));
        // From the input to the image.
        let scale = [width / content[0] as f64, height / content[1] as f64];
        let to_image =
            |[x, y]: Point| [left + (x - margin[0] as f64) * scale[0], top + (y - margin[1] as f64) * scale[1]];
        let in_image = |detection: Detection| {
            let FaceBox { x, y, width, height } = detection.face;
            let [x, y] = to_image([x, y]);
            let face = FaceBox { x, y, width: width * scale[0], height: height * scale[1] };
            Detection { face, points: detection.points.map(to_image), ..detection }
        };
        Ok(found.into_iter().map(in_image).collect())
    }

    /// The boxes that score high enough, in pixels of the input.
    fn candidates(&self, boxes: &[f32], scores: &[f32]) -> Vec<Detection> {
        let decoded = |((values, &score), anchor): ((&[f32], &f32), &Point)| {
            let score = 1.0 / (1.0 + (-f64::from(score)).clamp(-80.0, 80.0).exp());
            let value = |index: usize| f64::from(values[index]);
            let point = |index: usize| [value(index) + anchor[0], value(index + 1) + anchor[1]];
            let ([x, y], [width, height]) = (point(0), [value(2), value(3)]);
            let face = FaceBox { x: x - width / 2.0, y: y - height / 2.0, width, height };
            let points = std::array::from_fn(|index| point(4 + 2 * index));
            (score > MIN_SCORE && width > 0.0 && height > 0.0).then_some(Detection { face, score, points })
        };
        boxes.chunks_exact(BOX).zip(scores).zip(&self.anchors).filter_map(decoded).collect()
    }
}

/// The centres of the anchors, in pixels of the input.
fn anchors() -> Vec<Point> {
    let layer = |&(distance, repeats): &(usize, usize)| {
        let cells = SIDE / distance;
        let centre = move |cell: usize| (cell as f64 + 0.5) * distance as f64;
        (0..cells * cells)
            .flat_map(move |cell| std::iter::repeat_n([centre(cell % cells), centre(cell / cells)], repeats))
    };
    ANCHORS.iter().flat_map(layer).collect()
}

/// The network's input: the content in the middle of black, scaled to -1 to 1.
fn letterboxed(pixels: &[u8], [width, height]: [usize; 2], [left, top]: [usize; 2]) -> Vec<f32> {
    let mut input = vec![-1.0; SIDE * SIDE * 3];
    for y in 0..height {
        let row = &pixels[y * width * 3..(y + 1) * width * 3];
        let to = ((y + top) * SIDE + left) * 3;
        input[to..to + row.len()].iter_mut().zip(row).for_each(|(value, &byte)| *value = f32::from(byte) / 127.5 - 1.0);
    }
    input
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
