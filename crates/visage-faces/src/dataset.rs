//! The faces of a dataset's photographs.

use rayon::prelude::*;
use visage_data::{Dataset, Similarity};

use crate::error::FacesError;
use crate::finder::{FaceFinder, Search};
use crate::geometry::FaceBox;
use crate::store::Store;

/// Photographs that are searched before progress is reported.
const CHUNK: usize = 16;

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
        Some([x, y, width, height]) => finder.in_box(&decoded.image, FaceBox { x, y, width, height })?,
    };
    Ok(face.and_then(|face| Similarity::aligning(&face.landmarks)))
}
