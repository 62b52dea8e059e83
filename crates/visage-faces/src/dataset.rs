//! The faces of a dataset's photographs.

use rayon::prelude::*;
use visage_data::{Dataset, Similarity};

use crate::error::FacesError;
use crate::finder::{Face, FaceFinder, Search};
use crate::geometry::FaceBox;
use crate::store::Store;

/// Photographs that are searched before progress is reported.
const CHUNK: usize = 16;
/// A face that shares less than this of its area with the box of the table is another one.
const SAME_FACE: f64 = 0.1;

/// What aligns each photograph of a dataset: by the landmarks of its table, and otherwise by the face that is found. Of several
/// faces it is the one in the box of the table, or the largest. `None` where there is no face. `progress` is called with the number
/// of photographs done.
///
/// # Errors
///
/// When a photograph without landmarks cannot be read, or the networks in `store` are needed and not installed.
pub fn alignments(
    dataset: &Dataset,
    store: &Store,
    mut progress: impl FnMut(usize),
) -> Result<Vec<Option<Similarity>>, FacesError> {
    let samples = dataset.samples();
    let by_table: Vec<Option<Similarity>> =
        samples.iter().map(|sample| Similarity::aligning(&sample.eyes_and_mouth()?)).collect();
    if by_table.iter().all(Option::is_some) {
        progress(samples.len());
        return Ok(by_table);
    }
    let finder = FaceFinder::new(store)?;
    let mut found = Vec::with_capacity(samples.len());
    for chunk in by_table.chunks(CHUNK * rayon::current_num_threads()) {
        let first = found.len();
        let searched = chunk.par_iter().enumerate().map(|(offset, known)| match known {
            Some(similarity) => Ok(Some(*similarity)),
            None => aligning(&finder, dataset, first + offset),
        });
        found.extend(searched.collect::<Result<Vec<_>, FacesError>>()?);
        progress(found.len());
    }
    Ok(found)
}

/// What aligns the face of one photograph.
fn aligning(finder: &FaceFinder, dataset: &Dataset, index: usize) -> Result<Option<Similarity>, FacesError> {
    let decoded = dataset.image(index)?;
    let face = match dataset.samples()[index].face_box {
        None => finder.largest(&decoded.image, Search::default())?,
        Some(known) => in_box(&finder.find(&decoded.image, Search::default())?, known),
    };
    Ok(face.and_then(|face| Similarity::aligning(&face.landmarks)))
}

/// The face in a box of a table: left, top, width and height.
fn in_box(faces: &[Face], [x, y, width, height]: [f64; 4]) -> Option<Face> {
    let known = FaceBox { x, y, width, height };
    let overlap = |face: &&Face| face.face_box.overlap(&known);
    faces.iter().max_by(|a, b| overlap(a).total_cmp(&overlap(b))).filter(|face| overlap(face) >= SAME_FACE).copied()
}

#[cfg(test)]
mod tests {
    use visage_data::Landmarks;

    use super::*;

    #[test]
    fn the_face_in_a_box_overlaps_it_most() {
        let face = |x: f64| Face {
            face_box: FaceBox { x, y: 10.0, width: 20.0, height: 20.0 },
            score: 0.9,
            landmarks: Landmarks { left_eye: [x; 2], right_eye: [x; 2], left_mouth: [x; 2], right_mouth: [x; 2] },
        };
        let faces = [face(10.0), face(100.0)];
        assert_eq!(in_box(&faces, [12.0, 5.0, 30.0, 40.0]), Some(faces[0]));
        assert_eq!(in_box(&faces, [95.0, 5.0, 30.0, 40.0]), Some(faces[1]));
        assert_eq!(in_box(&faces, [300.0, 5.0, 30.0, 40.0]), None);
        assert_eq!(in_box(&[], [300.0, 5.0, 30.0, 40.0]), None);
    }
}
