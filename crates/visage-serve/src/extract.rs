//! The extractor of the model and attribute that a URL selects.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRef, FromRequestParts, Path, Query};
use axum::http::request::Parts;

use crate::faces::FaceSelection;
use crate::models::{Models, ServedModel};
use crate::problem::Problem;

pub(crate) struct Selection {
    /// The model in the path or in `?model=`; the first model if there is neither.
    pub(crate) model: Arc<ServedModel>,
    pub(crate) attribute: Option<String>,
    pub(crate) faces: Option<FaceSelection>,
    /// The number of a face of a photograph.
    pub(crate) face: Option<usize>,
}

impl<S: Send + Sync> FromRequestParts<S> for Selection
where
    Arc<Models>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|error| Problem::malformed(format!("the URL's query cannot be read: {error}")))?;
        let (mut model, mut attribute, mut faces, mut face) = (None, None, None, None);
        for (key, value) in pairs {
            let known = match key.as_str() {
                "model" => &mut model,
                "attribute" => &mut attribute,
                "faces" => &mut faces,
                "face" => &mut face,
                _ => {
                    let detail = format!("unknown query parameter ?{key}=: there are model, attribute, faces and face");
                    return Err(Problem::malformed(detail));
                }
            };
            if known.replace(value).is_some() {
                return Err(Problem::malformed(format!("the query parameter ?{key}= is given twice")));
            }
        }
        let in_path = match Path::<BTreeMap<String, String>>::from_request_parts(parts, state).await {
            Ok(Path(mut in_path)) => in_path.remove("model"),
            // A path without parameters.
            Err(PathRejection::MissingPathParams(_)) => None,
            Err(_) => {
                let detail = format!("the model's name in the path {} is not UTF-8", parts.uri.path());
                return Err(Problem::malformed(detail));
            }
        };
        if let Some(name) = in_path
            && model.replace(name).is_some()
        {
            return Err(Problem::malformed("the path names a model already: leave out ?model="));
        }
        let number = |text: String| {
            text.parse().map_err(|_| Problem::malformed(format!("face must be a number from 0, not {text:?}")))
        };
        Ok(Self {
            model: Arc::<Models>::from_ref(state).get(model.as_deref())?,
            attribute,
            faces: faces.map(|text| FaceSelection::parse(&text)).transpose()?,
            face: face.map(number).transpose()?,
        })
    }
}
