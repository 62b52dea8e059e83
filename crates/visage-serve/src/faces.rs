//! Faces in photographs: which of them a request asks about, and finding and aligning them for a model.
//!
//! Faces are found, never recognised, and like their photographs they stay in memory only.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use serde::Deserialize;
use tokio::time::timeout;
use utoipa::ToSchema;
use visage_data::{Preparation, Similarity, Size, Truncated, decode};
use visage_faces::{Face, FaceFinder, Search};
use visage_model::ModelOutput;

use crate::client::Party;
use crate::decode::{DecodePool, log_truncated, problem};
use crate::engine::{Admission, Images};
use crate::metrics::Metrics;
use crate::models::ServedModel;
use crate::options::FaceOptions;
use crate::problem::Problem;
use crate::state::Pipeline;

/// The parameter `faces` of a request: what is classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(rename_all = "lowercase")]
pub(crate) enum FaceSelection {
    /// The images as they are.
    Off,
    /// Every face found in them.
    All,
    /// The largest face of each.
    Largest,
}

impl FaceSelection {
    pub(crate) const NAMES: [&str; 3] = ["off", "all", "largest"];

    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "off" => Ok(Self::Off),
            "all" => Ok(Self::All),
            "largest" => Ok(Self::Largest),
            _ => Err(Problem::malformed(format!("faces must be all, largest or off, not {text:?}"))),
        }
    }

    /// The faces that are classified; `None` if images are classified as they are.
    pub(crate) fn which(self) -> Option<Which> {
        match self {
            Self::Off => None,
            Self::All => Some(Which::All),
            Self::Largest => Some(Which::Number(0)),
        }
    }
}

impl TryFrom<String> for FaceSelection {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).map_err(|problem| problem.detail().to_owned())
    }
}

/// Faces of a photograph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    /// The face of this number, from 0 for the largest.
    Number(usize),
}

/// A photograph and those of its faces that a request asks about.
#[derive(Debug)]
pub(crate) struct Photograph {
    pub(crate) size: Size,
    /// Number of faces found.
    pub(crate) found: usize,
    pub(crate) faces: Vec<AlignedFace>,
}

/// A face that is aligned and prepared for a model.
#[derive(Debug)]
pub(crate) struct AlignedFace {
    pub(crate) face: Face,
    /// Takes pixels of the photograph to pixels of the aligned face.
    pub(crate) alignment: Similarity,
    /// RGB pixels of the model's size.
    pub(crate) pixels: Vec<u8>,
}

/// Finds the faces of photographs, if the server was started so.
#[derive(Debug)]
pub(crate) struct FaceSearch {
    options: Option<FaceOptions>,
    metrics: Arc<Metrics>,
}

impl FaceSearch {
    pub(crate) fn new(options: Option<FaceOptions>, metrics: Arc<Metrics>) -> Self {
        Self { options, metrics }
    }

    pub(crate) fn is_available(&self) -> bool {
        self.options.is_some()
    }

    /// Largest number of faces that are answered of a photograph.
    pub(crate) fn max_faces(&self) -> usize {
        self.options.as_ref().map_or(0, |options| options.max_faces.get())
    }

    /// Refuses a request that asks about faces, if they cannot be found.
    pub(crate) fn check(&self, which: Option<Which>) -> Result<(), Problem> {
        if which.is_some() { self.required().map(|_| ()) } else { Ok(()) }
    }

    fn required(&self) -> Result<&FaceOptions, Problem> {
        let missing = "this server does not find faces: start it with `visage serve --faces`";
        self.options.as_ref().ok_or_else(|| Problem::malformed(missing))
    }

    /// The faces of photographs, aligned and prepared for a model.
    ///
    /// A search cannot be interrupted. When the time is over, the request is refused, and photographs that are not being searched
    /// yet are left out; the search of one photograph is bounded by the limit on its pixels.
    pub(crate) async fn find(
        &self,
        pool: &DecodePool,
        model: &Arc<ServedModel>,
        party: &Party,
        files: Vec<Bytes>,
        which: Which,
    ) -> Result<Vec<Photograph>, Problem> {
        let options = self.required()?;
        let began = Instant::now();
        let (finder, max_faces) = (Arc::clone(&options.finder), options.max_faces.get());
        let (model, truncated) = (Arc::clone(model), pool.truncated);
        let search =
            move |file: &[u8]| photograph(&finder, &model.card().preparation, file, truncated, which, max_faces);
        let found = timeout(options.timeout, pool.each(party, files, search)).await;
        let photographs = found.unwrap_or_else(|_| Err(Problem::slow_search(options.timeout)))?;
        self.metrics.searched(began.elapsed());
        Ok(photographs)
    }
}

/// The faces of a photograph that are asked about, the largest first and at most `max_faces`.
fn photograph(
    finder: &FaceFinder,
    preparation: &Preparation,
    file: &[u8],
    truncated: Truncated,
    which: Which,
    max_faces: usize,
) -> Result<Photograph, Problem> {
    let decoded = decode(file, truncated).map_err(|error| problem(&error))?;
    if decoded.is_truncated {
        log_truncated(file);
    }
    let image = &decoded.image;
    let found = finder.find(image, Search::default()).map_err(|error| problem(&error))?;
    // A face whose landmarks are one point cannot be aligned.
    let found: Vec<_> =
        found.into_iter().filter_map(|face| Some((face, Similarity::aligning(&face.landmarks)?))).collect();
    let wanted = wanted(which, found.len(), max_faces)?;
    let faces = found[wanted].iter().map(|&(face, alignment)| {
        let pixels = preparation.image(alignment.aligned(image)).map_err(|error| problem(&error))?;
        Ok(AlignedFace { face, alignment, pixels })
    });
    let faces = faces.collect::<Result<_, Problem>>()?;
    let size = Size { height: image.height() as usize, width: image.width() as usize };
    Ok(Photograph { size, found: found.len(), faces })
}

/// Which of `found` faces are asked about.
fn wanted(which: Which, found: usize, max_faces: usize) -> Result<std::ops::Range<usize>, Problem> {
    match which {
        Which::All => Ok(0..found.min(max_faces)),
        Which::Number(number) if number < found => Ok(number..number + 1),
        Which::Number(_) if found == 0 => Err(Problem::no_face("no face was found in the photograph".to_owned())),
        Which::Number(number) => Err(Problem::no_face(format!(
            "the photograph has no face {number}: {found} were found, numbered from 0, the largest first"
        ))),
    }
}

impl Pipeline {
    /// Classifies the faces of photographs. The output has a row for each face, photograph after photograph.
    pub(crate) async fn classify_faces(
        &self,
        model: &Arc<ServedModel>,
        files: Vec<Bytes>,
        which: Which,
        mut admission: Admission,
    ) -> Result<(Vec<Photograph>, ModelOutput), Problem> {
        let party = admission.party().clone();
        let photographs = admission.keep(self.faces.find(&self.decoding, model, &party, files, which)).await?;
        let pixels: Vec<&[u8]> =
            photographs.iter().flat_map(|photograph| &photograph.faces).map(|face| face.pixels.as_slice()).collect();
        if pixels.is_empty() {
            return Ok((photographs, ModelOutput { logits: Vec::new(), probabilities: Vec::new() }));
        }
        admission.resize(pixels.len())?;
        let output = self.queue.predict(model, Images::Pixels(pixels.concat()), admission).await?;
        Ok((photographs, output))
    }
}

/// What a client should know about images that were classified as they are: that they do not look like the aligned faces of which
/// the model was trained.
pub(crate) fn unaligned_warning(model: &ServedModel, originals: &[Size], finds_faces: bool) -> Option<String> {
    let preparation = &model.card().preparation;
    let index = originals.iter().position(|&size| preparation.misses_alignment(size))?;
    let image = if originals.len() == 1 { "the image".to_owned() } else { format!("image {}", index + 1) };
    let Size { height, width } = originals[index];
    let start = if finds_faces { "" } else { ", on a server that was started with --faces" };
    Some(format!(
        "model {} was trained on aligned faces of 178x218 pixels, and {image} has {width}x{height}: ?faces=largest finds its face \
         and aligns it{start}",
        model.name
    ))
}

/// Which photograph has more faces than are answered.
pub(crate) fn too_many_warning(photographs: &[Photograph], which: Which, max_faces: usize) -> Option<String> {
    if which != Which::All {
        return None;
    }
    let index = photographs.iter().position(|photograph| photograph.found > max_faces)?;
    let photograph = if photographs.len() == 1 { "the photograph".to_owned() } else { format!("image {}", index + 1) };
    let found = photographs[index].found;
    Some(format!("{photograph} has {found} faces: the {max_faces} largest are answered (`visage serve --max-faces`)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_parsed_and_others_are_refused() {
        for name in FaceSelection::NAMES {
            let read: FaceSelection = serde_json::from_value(name.into()).unwrap();
            assert_eq!(FaceSelection::parse(name).unwrap(), read, "{name}");
        }
        for wrong in ["", "ALL", "none", "1", "all,largest"] {
            assert!(FaceSelection::parse(wrong).unwrap_err().detail().contains("all, largest or off"), "{wrong}");
        }
        assert_eq!(FaceSelection::Off.which(), None);
        assert_eq!(FaceSelection::Largest.which(), Some(Which::Number(0)));
    }

    #[test]
    fn faces_are_bounded_and_a_missing_one_is_an_error() {
        assert_eq!(wanted(Which::All, 0, 3).unwrap(), 0..0);
        assert_eq!(wanted(Which::All, 5, 3).unwrap(), 0..3);
        assert_eq!(wanted(Which::Number(4), 5, 3).unwrap(), 4..5);
        assert!(wanted(Which::Number(0), 0, 3).unwrap_err().detail().contains("no face was found"));
        assert!(wanted(Which::Number(2), 2, 3).unwrap_err().detail().contains("no face 2: 2 were found"));
    }

    #[test]
    fn a_server_without_networks_says_how_to_start_it() {
        let search = FaceSearch::new(None, Arc::new(Metrics::new()));
        assert!(search.check(None).is_ok());
        assert!(search.check(Some(Which::All)).unwrap_err().detail().contains("visage serve --faces"));
    }
}
