//! Finding faces in photographs of any size.

use image::{RgbImage, imageops};
use serde::{Deserialize, Serialize};
use visage_data::{ImageError, Landmarks, Point};

use crate::detector::{Detection, Detector};
use crate::error::FacesError;
use crate::geometry::{FaceBox, Pixels};
use crate::landmarks::Mesh;
use crate::store::{DETECTOR, MESH, Store};

/// Photographs whose longer side has more pixels are also searched at finer scales: the detector sees 256.
const WHOLE: u32 = 256;
/// How much finer they are.
const FINER: [u32; 2] = [2, 4];
/// Boxes of different scales that share more than this of their area are one.
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
    /// Also at two and four times the scale, for small faces in large photographs.
    pub finer_scales: bool,
    /// Also turned by quarters, where no face is found.
    pub any_rotation: bool,
}

impl Default for Search {
    fn default() -> Self {
        Search { finer_scales: true, any_rotation: false }
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
        self.find_until(photograph, search, |_| false)
    }

    /// The largest face in a photograph. Finer scales are only searched if the photograph as a whole shows none.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub fn largest(&self, photograph: &RgbImage, search: Search) -> Result<Option<Face>, ImageError> {
        let faces = self.find_until(photograph, search, |faces| !faces.is_empty())?;
        Ok(faces.into_iter().next())
    }

    /// The face in a box that is known: the one found there, or else where FaceMesh sees one in the middle of the box.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub fn in_box(&self, photograph: &RgbImage, known: FaceBox) -> Result<Option<Face>, ImageError> {
        let is_found = |faces: &[Face]| overlapping(faces, &known).is_some();
        let faces = self.find_until(photograph, Search::default(), is_found)?;
        if let Some(face) = overlapping(&faces, &known) {
            return Ok(Some(face));
        }
        let ([x, y], side) = (known.centre(), known.width.min(known.height));
        let face_box = FaceBox { x: x - side / 2.0, y: y - side / 2.0, width: side, height: side };
        // Level eyes: nothing says how the face is turned.
        let detection = Detection { face: face_box, score: 0.0, points: [[x, y]; 6] };
        let landmarks = visage_kernels::alone(|| self.mesh.landmarks(Pixels::of(photograph), &detection));
        Ok(landmarks.map(|landmarks| Face { face_box, score: 0.0, landmarks }))
    }

    /// As [`find`](Self::find), but finer scales and turns are only searched while the faces are not enough.
    fn find_until(
        &self,
        photograph: &RgbImage,
        search: Search,
        is_enough: impl Fn(&[Face]) -> bool,
    ) -> Result<Vec<Face>, ImageError> {
        visage_kernels::alone(|| {
            let found = self.find_upright(photograph, search, &is_enough)?;
            if !found.is_empty() || !search.any_rotation {
                return Ok(found);
            }
            for turn in [Turn::Right, Turn::Left, Turn::Half] {
                let found = self.find_upright(&turn.of(photograph), search, &is_enough)?;
                if !found.is_empty() {
                    let (width, height) = photograph.dimensions();
                    return Ok(found.into_iter().map(|face| turn.back(face, width, height)).collect());
                }
            }
            Ok(found)
        })
    }

    /// From the coarsest scale to the finest. A finer scale is searched where small things are that may be faces, unless they are parts
    /// of faces already found.
    fn find_upright(
        &self,
        photograph: &RgbImage,
        search: Search,
        is_enough: impl Fn(&[Face]) -> bool,
    ) -> Result<Vec<Face>, ImageError> {
        let (width, height) = photograph.dimensions();
        let (mut faces, mut small, mut places) = (Vec::new(), Vec::new(), None::<Vec<FaceBox>>);
        for parts in scales(width, height, search) {
            let found = self.detector.detect(photograph, parts, places.as_deref())?;
            self.confirm(photograph, found.large, &mut faces);
            small.push(found.small);
            let mut next = found.places;
            next.retain(|place| is_other(&faces, place));
            if next.is_empty() || is_enough(&faces) {
                break;
            }
            places = Some(next);
        }
        // A small face is best where the scale is finest.
        for found in small.into_iter().rev() {
            self.confirm(photograph, found, &mut faces);
        }
        faces.sort_by(|a, b| b.face_box.area().total_cmp(&a.face_box.area()));
        Ok(faces)
    }

    /// Adds the detections that are other faces, and in which FaceMesh sees one.
    fn confirm(&self, photograph: &RgbImage, mut found: Vec<Detection>, faces: &mut Vec<Face>) {
        found.sort_by(|a, b| b.face.area().total_cmp(&a.face.area()));
        for detection in found {
            if is_other(faces, &detection.face) {
                let landmarks = self.mesh.landmarks(Pixels::of(photograph), &detection);
                let (face_box, score) = (detection.face, detection.score);
                faces.extend(landmarks.map(|landmarks| Face { face_box, score, landmarks }));
            }
        }
    }
}

/// The scales at which a photograph is searched: the parts of its longer side that the detector sees at once.
fn scales(width: u32, height: u32, search: Search) -> impl Iterator<Item = u32> {
    let longer = width.max(height);
    // At most twice as large as the photograph.
    let is_finer = move |parts: &u32| search.finer_scales && longer / parts * 2 > WHOLE;
    std::iter::once(1).chain(FINER.into_iter().take_while(is_finer))
}

/// Whether a box is neither one of the faces nor a part of one.
fn is_other(faces: &[Face], face: &FaceBox) -> bool {
    faces.iter().all(|known| {
        let known = &known.face_box;
        face.overlap(known) <= SAME_FACE && face.shared(known) <= PART * face.area()
    })
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
    fn a_part_of_a_face_is_no_other_face() {
        let face_box = |x: f64, side: f64| FaceBox { x, y: 0.0, width: side, height: side };
        let points = Landmarks { left_eye: [0.0; 2], right_eye: [0.0; 2], left_mouth: [0.0; 2], right_mouth: [0.0; 2] };
        let faces = [Face { face_box: face_box(0.0, 100.0), score: 0.9, landmarks: points }];
        // Inside; half inside, and a little less; the same at another scale; apart.
        let cases = [(40.0, 20.0), (89.0, 20.0), (91.0, 20.0), (-10.0, 130.0), (110.0, 20.0)];
        assert_eq!(cases.map(|(x, side)| is_other(&faces, &face_box(x, side))), [false, false, true, false, true]);
        assert!(is_other(&[], &face_box(0.0, 10.0)));
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
        let of = |width: u32, height: u32, finer_scales: bool| -> Vec<u32> {
            scales(width, height, Search { finer_scales, any_rotation: false }).collect()
        };
        assert_eq!(of(200, 100, true), [1]);
        assert_eq!(of(300, 400, true), [1, 2]);
        assert_eq!(of(4000, 3000, true), [1, 2, 4]);
        assert_eq!(of(4000, 3000, false), [1]);
    }
}
