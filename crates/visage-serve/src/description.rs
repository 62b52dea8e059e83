//! `GET /openapi.json`: what can be asked, as OpenAPI 3.1. It is put together from what stands at each handler, and from the types that
//! requests are read into and answers written from.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::app::App;
use crate::asked::{AttributeName, ModelName};
use crate::attributes::json as answer;
use crate::models::{Loaded, Slot};
use crate::problem::{Body, Problem};

/// What stands above the addresses.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "visage",
        description = "Many yes/no questions about one image, answered by a model. Images are answered about and forgotten.",
    ),
    components(schemas(AttributeName, Body, ModelName)),
    security(("token" = []), ()),
    modifiers(&Token),
)]
pub(crate) struct Description;

struct Token;

impl Modify for Token {
    fn modify(&self, described: &mut utoipa::openapi::OpenApi) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("Needed where the server was started with a token.".to_owned());
        let components = described.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

/// This description
#[utoipa::path(
    get,
    path = "/openapi.json",
    responses((status = 200, body = Object, content_type = "application/json", description = "OpenAPI 3.1.")),
    security(()),
)]
pub(crate) async fn openapi(
    State(app): State<Arc<App>>,
    Extension(described): Extension<Arc<utoipa::openapi::OpenApi>>,
) -> Response {
    let Ok(mut described) = serde_json::to_value(&*described) else { return Problem::bug().into_response() };
    // The names of the models and attributes that there are now.
    let loaded: Vec<Arc<Loaded>> = app.models.slots().iter().map(Slot::current).collect();
    let names: Vec<&str> = loaded.iter().map(|loaded| loaded.name.as_str()).collect();
    let attributes: BTreeSet<&str> =
        loaded.iter().flat_map(|loaded| loaded.model.card.attributes.iter().map(String::as_str)).collect();
    let schemas = &mut described["components"]["schemas"];
    schemas["ModelName"]["enum"] = json!(names);
    schemas["AttributeName"]["enum"] = json!(attributes);
    answer(&described)
}

/// Bounds that no type states: a flag that is never down.
pub(crate) fn always() -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true])).build()
}

/// A number from 0 to 1 for each attribute.
pub(crate) fn probabilities() -> Array {
    let one = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0)).maximum(Some(1));
    ArrayBuilder::new().items(one).build()
}

/// A tensor's shape, with -1 for any number of images.
pub(crate) fn any_shape() -> Array {
    ArrayBuilder::new().items(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(-1))).build()
}

/// The shape of a tensor with something in it.
pub(crate) fn whole_shape() -> Array {
    let side = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    ArrayBuilder::new().items(side).min_items(Some(1)).build()
}
