//! Finding faces in photographs of any size.

use image::{RgbImage, imageops};
use serde::{Deserialize, Serialize};
use visage_data::{ImageError, Landmarks, Point};

use crate::detector::{Detection, Detector};
use crate::error::FacesError;
use crate::geometry::{FaceBox, Pixels};
use crate::landmarks::Mesh;
use crate::store::{DETECTOR, MESH, Store};

/// Photographs whose longer side has more pixels are also searched in parts: the detector sees 256.
const WHOLE: u32 = 256;
/// The parts of the longer side that the detector sees at once.
const WINDOWS: [u32; 2] = [2, 4];
/// Faces of different scales that share more than this of their area are one.
const SAME_FACE: f64 = 0.3;
/// A box of which more than this lies in a larger face is a part of it.
const PART: f64 = 0.5;

/// A face that shares less than this of its area with a known box is another one.
const IN_BOX: f64 = 0.1;

/// A face in a photograph.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Face {
    /// Its box.
    #[serde(rename = "box")]
    pub face_box: FaceBox,
    /// The detector's score, between 0 and 1.
    pub score: f64,
    /// Its eyes and mouth.
    #[serde(flatten)]
    pub landmarks: Landmarks,
}

impl Face {
    /// The left and upper edge, the width and the height of its box, in pixels.
    #[must_use]
    pub fn rectangle(&self) -> [f64; 4] {
        let FaceBox { x, y, width, height } = self.face_box;
        [x, y, width, height]
    }
}

/// How a photograph is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// In windows of a half and a quarter of the longer side as well, for small faces in large photographs.
    pub windows: bool,
    /// Also turned by quarters, where no face is found.
    pub any_rotation: bool,
}

impl Default for Search {
    fn default() -> Self {
        Search { windows: true, any_rotation: false }
    }
}

/// Finds faces. Threads may share it; each search runs on the calling thread.
#[derive(Debug)]
pub struct FaceFinder {
    detector: Detector,
    mesh: Mesh,
}

impl FaceFinder {
    /// The finder with the networks in `store`.
    ///
    /// # Errors
    ///
    /// When they are not installed or damaged.
    pub fn new(store: &Store) -> Result<Self, FacesError> {
        let damaged = |name: &str| FacesError::Damaged { path: store.folder().join(name) };
        let detector = Detector::read(&store.read(DETECTOR)?).ok_or_else(|| damaged(DETECTOR.name))?;
        let mesh = Mesh::read(&store.read(MESH)?).ok_or_else(|| damaged(MESH.name))?;
        Ok(FaceFinder { detector, mesh })
    }

    /// The faces in a photograph, the largest first.
    ///
    /// # Errors
    ///
    /// When the photograph cannot be resized.
    pub fn find(&self, photograph: &RgbImage, search: Search) -> Result<Vec<Face>, ImageError> {
        visage_kernels::alone(|| {
            let found = self.find_upright(photograph, search)?;
            if !found.is_empty() || !search.any_rotation {
                return Ok(found);
            }
            for turn in [Turn::Right, Turn::Left, Turn::Half] {
                let found = self.find_upright(&turn.of(photograph), search)?;
                if !found.is_empty() {
                    let (width, height) = photograph.dimensions();
                    return Ok(found.into_iter().map(|face| turn.back(face, width, height)).collect());
                }
            }
            Ok(found)
        })
    }

    /// The largest face in a photograph. Windows are only searched if the photograph as a whole shows none.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub fn largest(&self, photograph: &RgbImage, search: Search) -> Result<Option<Face>, ImageError> {
        let whole = self.find(photograph, Search { windows: false, any_rotation: false })?;
        let faces = if whole.is_empty() { self.find(photograph, search)? } else { whole };
        Ok(faces.into_iter().next())
    }

    /// The face in a box that is known: the one found there, or else where FaceMesh sees one in the middle of the box.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub fn in_box(&self, photograph: &RgbImage, known: FaceBox) -> Result<Option<Face>, ImageError> {
        for windows in [false, true] {
            let faces = self.find(photograph, Search { windows, any_rotation: false })?;
            if let Some(face) = overlapping(&faces, &known) {
                return Ok(Some(face));
            }
        }
        let ([x, y], side) = (known.centre(), known.width.min(known.height));
        let face_box = FaceBox { x: x - side / 2.0, y: y - side / 2.0, width: side, height: side };
        // Level eyes: nothing says how the face is turned.
        let detection = Detection { face: face_box, score: 0.0, is_oversized: false, points: [[x, y]; 6] };
        let pixels = Pixels {
            bytes: photograph.as_raw(),
            width: photograph.width() as usize,
            height: photograph.height() as usize,
        };
        let landmarks = visage_kernels::alone(|| self.mesh.landmarks(pixels, &detection));
        Ok(landmarks.map(|landmarks| Face { face_box, score: 0.0, landmarks }))
    }

    fn find_upright(&self, photograph: &RgbImage, search: Search) -> Result<Vec<Face>, ImageError> {
        let (width, height) = photograph.dimensions();
        let mut detections = Vec::new();
        for parts in scales(width, height, search) {
            detections.extend(self.detector.detect(photograph, parts)?);
        }
        let pixels = Pixels { bytes: photograph.as_raw(), width: width as usize, height: height as usize };
        let mut found = distinct(detections);
        found.sort_by(|a, b| b.face.area().total_cmp(&a.face.area()));
        let mut faces: Vec<Face> = Vec::new();
        for detection in found {
            let face = detection.face;
            // A part of a larger face, which has landmarks: it needs none.
            if faces.iter().any(|larger| face.shared(&larger.face_box) > PART * face.area()) {
                continue;
            }
            let landmarks = self.mesh.landmarks(pixels, &detection);
            faces.extend(landmarks.map(|landmarks| Face { face_box: face, score: detection.score, landmarks }));
        }
        Ok(faces)
    }
}

/// The scales at which a photograph is searched: the parts of its longer side that the detector sees at once.
fn scales(width: u32, height: u32, search: Search) -> impl Iterator<Item = u32> {
    let longer = width.max(height);
    // Windows of fewer pixels than the detector sees would only be enlarged.
    let is_finer = move |parts: &u32| search.windows && longer / parts * 2 > WHOLE;
    std::iter::once(1).chain(WINDOWS.into_iter().take_while(is_finer))
}

/// The best detections of those that are of one face.
fn distinct(mut detections: Vec<Detection>) -> Vec<Detection> {
    // A face is best where it is neither small nor oversized. What only an oversized detection finds stays.
    detections.sort_by(|a, b| a.is_oversized.cmp(&b.is_oversized).then(b.score.total_cmp(&a.score)));
    let mut kept: Vec<Detection> = Vec::new();
    for detection in detections {
        if kept.iter().all(|known| known.face.overlap(&detection.face) <= SAME_FACE) {
            kept.push(detection);
        }
    }
    kept
}

/// The face that overlaps a box most, if it does so by more than chance.
fn overlapping(faces: &[Face], known: &FaceBox) -> Option<Face> {
    let overlap = |face: &&Face| face.face_box.overlap(known);
    faces.iter().max_by(|a, b| overlap(a).total_cmp(&overlap(b))).filter(|face| overlap(face) >= IN_BOX).copied()
}

/// A turn of a photograph.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// By a quarter, clockwise.
    Right,
    /// By a quarter, counterclockwise.
    Left,
    Half,
}

impl Turn {
    fn of(self, photograph: &RgbImage) -> RgbImage {
        match self {
            Turn::Right => imageops::rotate90(photograph),
            Turn::Left => imageops::rotate270(photograph),
            Turn::Half => imageops::rotate180(photograph),
        }
    }

    /// A face of the turned photograph in the photograph of this size.
    fn back(self, face: Face, width: u32, height: u32) -> Face {
        let [width, height] = [width, height].map(f64::from);
        let point = |[x, y]: Point| match self {
            Turn::Right => [y, height - x],
            Turn::Left => [width - y, x],
            Turn::Half => [width - x, height - y],
        };
        let FaceBox { x, y, width, height } = face.face_box;
        let [a, b] = [point([x, y]), point([x + width, y + height])];
        let least = [0, 1].map(|axis| a[axis].min(b[axis]));
        let size = [0, 1].map(|axis| (a[axis] - b[axis]).abs());
        let Landmarks { left_eye, right_eye, left_mouth, right_mouth } = face.landmarks;
        let [left_eye, right_eye, left_mouth, right_mouth] = [left_eye, right_eye, left_mouth, right_mouth].map(point);
        Face {
            face_box: FaceBox { x: least[0], y: least[1], width: size[0], height: size[1] },
            landmarks: Landmarks { left_eye, right_eye, left_mouth, right_mouth },
            ..face
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turned_face_is_where_it_was() {
        let image = RgbImage::from_fn(30, 20, |x, y| image::Rgb([x as u8, y as u8, 0]));
        for turn in [Turn::Right, Turn::Left, Turn::Half] {
            let turned = turn.of(&image);
            let landmarks = Landmarks {
                left_eye: [3.5, 7.5],
                right_eye: [9.5, 2.5],
                left_mouth: [1.5, 1.5],
                right_mouth: [8.5, 8.5],
            };
            let face_box = FaceBox { x: 2.25, y: 3.25, width: 4.0, height: 5.0 };
            let back = turn.back(Face { face_box, score: 1.0, landmarks }, 30, 20);
            let colour = |image: &RgbImage, [x, y]: Point| *image.get_pixel(x as u32, y as u32);
            assert_eq!(colour(&image, back.landmarks.left_eye), colour(&turned, landmarks.left_eye), "{turn:?}");
            assert_eq!(colour(&image, back.landmarks.right_mouth), colour(&turned, landmarks.right_mouth));
            assert_eq!(back.face_box.area(), face_box.area());
            assert_eq!(colour(&image, back.face_box.centre()), colour(&turned, face_box.centre()));
        }
    }

    #[test]
    fn the_face_in_a_box_overlaps_it_most() {
        let face_box = |x: f64| FaceBox { x, y: 10.0, width: 20.0, height: 20.0 };
        let face = |x: f64| Face {
            face_box: face_box(x),
            score: 0.9,
            landmarks: Landmarks { left_eye: [x; 2], right_eye: [x; 2], left_mouth: [x; 2], right_mouth: [x; 2] },
        };
        let faces = [face(10.0), face(100.0)];
        let known = |x: f64| FaceBox { x, y: 5.0, width: 30.0, height: 40.0 };
        assert_eq!(overlapping(&faces, &known(12.0)), Some(faces[0]));
        assert_eq!(overlapping(&faces, &known(95.0)), Some(faces[1]));
        assert_eq!(overlapping(&faces, &known(300.0)), None);
        assert_eq!(overlapping(&[], &known(300.0)), None);
    }

    #[test]
    fn large_photographs_are_searched_in_finer_scales() {
        let of = |width: u32, height: u32, windows: bool| -> Vec<u32> {
            scales(width, height, Search { windows, any_rotation: false }).collect()
        };
        assert_eq!(of(200, 100, true), [1]);
        assert_eq!(of(300, 400, true), [1, 2]);
        assert_eq!(of(4000, 3000, true), [1, 2, 4]);
        assert_eq!(of(4000, 3000, false), [1]);
    }
}
