//! FaceMesh (Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", 2019): 468 points of one
//! face, of which eyes and mouth are used.

use visage_data::{Landmarks, Point};

use crate::detector::Detection;
use crate::geometry::Pixels;
use crate::network::Network;

/// The side of the network's input.
const SIDE: usize = 192;
/// How much larger than the face its cut-out is.
const MARGIN: f64 = 1.5;
/// The least probability that there is a face.
const MIN_FLAG: f64 = 0.5;
/// Points around the eyes, left in the image and right.
const LEFT_EYE: [usize; 8] = [33, 133, 160, 159, 158, 144, 145, 153];
const RIGHT_EYE: [usize; 8] = [263, 362, 387, 386, 385, 373, 374, 380];
/// The corners of the mouth.
const MOUTH: [usize; 2] = [61, 291];

/// The network of the points.
#[derive(Debug)]
pub(crate) struct Mesh {
    network: Network,
}

impl Mesh {
    /// The network in a file; `None` if it is another network.
    pub(crate) fn read(file: &[u8]) -> Option<Self> {
        let network = Network::read(file)?;
        (network.input_shape() == [SIDE, SIDE, 3]).then_some(Mesh { network })
    }

    /// The landmarks of a detected face; `None` where there is none after all.
    pub(crate) fn landmarks(&self, image: Pixels<'_>, detection: &Detection) -> Option<Landmarks> {
        let cut_out = CutOut::of(detection);
        let mut input = Vec::with_capacity(SIDE * SIDE * 3);
        for y in 0..SIDE {
            for x in 0..SIDE {
                let [u, v] = [x, y].map(|at| (at as f64 + 0.5) / SIDE as f64);
                // Bytes, without rounding, as Pillow transforms images.
                input.extend(image.bilinear(cut_out.point([u, v])).map(|value| (value.floor() / 255.0) as f32));
            }
        }
        let outputs = self.network.run(input);
        let (points, flag) = (outputs.iter().max_by_key(|o| o.len())?, outputs.iter().min_by_key(|o| o.len())?);
        let flag = 1.0 / (1.0 + (-f64::from(*flag.first()?)).exp());
        if flag.is_nan() || flag <= MIN_FLAG {
            return None;
        }
        let point = |index: usize| {
            let [x, y] = [0, 1].map(|axis| f64::from(points[3 * index + axis]) / SIDE as f64);
            cut_out.point([x, y])
        };
        let mean = |indices: &[usize]| {
            let sum = indices.iter().map(|&index| point(index)).fold([0.0; 2], |[x, y], [a, b]| [x + a, y + b]);
            sum.map(|coordinate| coordinate / indices.len() as f64)
        };
        let [left_mouth, right_mouth] = MOUTH.map(point);
        Some(Landmarks { left_eye: mean(&LEFT_EYE), right_eye: mean(&RIGHT_EYE), left_mouth, right_mouth })
    }
}

/// The square around a face that the network sees, turned so that the eyes are level.
struct CutOut {
    centre: Point,
    side: f64,
    /// The direction of the upper edge.
    cosine: f64,
    sine: f64,
}

impl CutOut {
    fn of(detection: &Detection) -> Self {
        let [left, right, ..] = detection.points;
        let angle = (right[1] - left[1]).atan2(right[0] - left[0]);
        let side = detection.face.width.max(detection.face.height) * MARGIN;
        CutOut { centre: detection.face.centre(), side, cosine: angle.cos(), sine: angle.sin() }
    }

    /// The point of the image at a position in the square, each coordinate from 0 to 1.
    fn point(&self, position: [f64; 2]) -> Point {
        let [x, y] = position.map(|coordinate| (coordinate - 0.5) * self.side);
        [self.centre[0] + x * self.cosine - y * self.sine, self.centre[1] + x * self.sine + y * self.cosine]
    }
}
