//! What an address asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use utoipa::ToSchema;

use crate::app::App;
use crate::models::Loaded;
use crate::problem::Problem;

/// Name of a model; the server fills in those it has.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is only described")]
pub(crate) struct ModelName(String);

/// Name of an attribute; the server fills in those its models have.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is only described")]
pub(crate) struct AttributeName(String);

/// The model that an address names, in its path or as `?model=`; the first where it names none.
pub(crate) struct Asked {
    pub(crate) model: Arc<Loaded>,
    /// The `?attribute=`.
    pub(crate) attribute: Option<String>,
}

impl FromRequestParts<Arc<App>> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|error| Problem::malformed(format!("the address cannot be read: {error}")))?;
        let (mut model, mut attribute) = (None, None);
        for (key, value) in pairs {
            let place = match key.as_str() {
                "model" => &mut model,
                "attribute" => &mut attribute,
                _ => {
                    return Err(Problem::malformed(format!(
                        "?{key}= means nothing here: there are model and attribute"
                    )));
                }
            };
            if place.replace(value).is_some() {
                return Err(Problem::malformed(format!("?{key}= stands there twice")));
            }
        }
        // Only the addresses of one model have a part of their path to give.
        if let Ok(Path(mut named)) = Path::<BTreeMap<String, String>>::from_request_parts(parts, app).await
            && let Some(named) = named.remove("model")
        {
            if model.is_some() {
                return Err(Problem::malformed("the address names a model already: leave out ?model="));
            }
            model = Some(named);
        }
        Ok(Self { model: app.models.get(model.as_deref())?, attribute })
    }
}
