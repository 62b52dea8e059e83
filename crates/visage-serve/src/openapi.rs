//! Parts of the OpenAPI document that several endpoints share. The rest of the document stands at the handlers and at the types of
//! requests and responses.

use std::collections::BTreeMap;

use axum::http::{HeaderName, StatusCode, header};
use utoipa::openapi::path::Paths;
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, Header, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoParams, IntoResponses, Modify, ToSchema};
use utoipa_axum::router::UtoipaMethodRouter;

use crate::faces::FaceSelection;
use crate::problem::{self, ProblemDetails};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "visage",
        description = "Classifies many yes/no attributes of an image. Images are processed in memory and not stored. \
                       Faces in photographs are found where a request asks for it, and never recognised.",
    ),
    components(schemas(AttributeName, FaceSelection, ProblemDetails, ModelName)),
    security(("token" = []), ()),
    modifiers(&TokenScheme),
)]
pub(crate) struct Document;

struct TokenScheme;

impl Modify for TokenScheme {
    fn modify(&self, document: &mut OpenApi) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("Required if the server was started with a token.".to_owned());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

/// Name of a model. The running server adds the names as an `enum`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct ModelName(String);

/// Name of an attribute. The running server adds the names as an `enum`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct AttributeName(String);

/// Any bytes.
#[derive(ToSchema)]
#[schema(value_type = String, content_media_type = "application/octet-stream")]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Octets(Vec<u8>);

/// The parameter of every path with `{model}`.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) struct ModelInPath {
    /// Name of a model, as listed by `/v1/models`.
    model: ModelName,
}

/// Adds a second path to the routes of `/v1/ACTION?model=NAME`: `/v1/models/NAME/ACTION`, with the same handler and description.
pub(crate) fn with_model_in_path<S>((schemas, mut paths, handler): UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S> {
    let mut second = Paths::new();
    for (path, item) in &paths.paths {
        let mut item = item.clone();
        if let Some(operation) = &mut item.post {
            operation.operation_id = operation.operation_id.take().map(|id| format!("{id}OfModel"));
            let parameters = operation.parameters.get_or_insert_default();
            parameters.retain(|parameter| !matches!(parameter, RefOr::T(parameter) if parameter.name == "model"));
            parameters.splice(0..0, ModelInPath::into_params(|| None).into_iter().map(RefOr::T));
        }
        second.paths.insert(path.replacen("/v1", "/v1/models/{model}", 1), item);
    }
    paths.paths.append(&mut second.paths);
    (schemas, paths, handler)
}

pub(crate) fn always() -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true])).build()
}

pub(crate) fn probabilities() -> Array {
    let one = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0)).maximum(Some(1));
    ArrayBuilder::new().items(one).build()
}

/// A point in pixels: x and y.
pub(crate) fn point() -> Array {
    ArrayBuilder::new().items(number()).min_items(Some(2)).max_items(Some(2)).build()
}

/// The box of a face, in pixels.
pub(crate) fn face_box() -> Object {
    let sides = ["x", "y", "width", "height"];
    sides.iter().fold(ObjectBuilder::new(), |object, side| object.property(*side, number()).required(*side)).build()
}

fn number() -> Object {
    ObjectBuilder::new().schema_type(Type::Number).build()
}

/// The shape of a tensor, with -1 for any number of images.
pub(crate) fn any_shape() -> Array {
    ArrayBuilder::new().items(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(-1))).build()
}

/// The shape of a tensor that is not empty.
pub(crate) fn nonempty_shape() -> Array {
    let side = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    ArrayBuilder::new().items(side).min_items(Some(1)).build()
}

/// An error status: what it means, and the type of its additional header.
type ErrorStatus = (StatusCode, &'static str, Option<(HeaderName, Type)>);

const ERRORS: [ErrorStatus; 11] = [
    (StatusCode::BAD_REQUEST, "The request is invalid; `detail` says where.", None),
    (StatusCode::UNAUTHORIZED, "The token is missing or wrong.", Some((header::WWW_AUTHENTICATE, Type::String))),
    (
        StatusCode::FORBIDDEN,
        "A browser sent the request for a page of another site, or the server is addressed by a name that is not local.",
        None,
    ),
    (StatusCode::NOT_FOUND, "There is no such model or attribute.", None),
    (StatusCode::REQUEST_TIMEOUT, "The request did not arrive in time.", None),
    (StatusCode::PAYLOAD_TOO_LARGE, "The body has too many bytes, or too many images or pixels.", None),
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body has a media type that this endpoint does not read.", None),
    (StatusCode::UNPROCESSABLE_ENTITY, "The image cannot be decoded or classified, or has no face.", None),
    (
        StatusCode::TOO_MANY_REQUESTS,
        "The queue is full: retry after the number of seconds in `Retry-After`.",
        Some((header::RETRY_AFTER, Type::Integer)),
    ),
    (StatusCode::INTERNAL_SERVER_ERROR, "A bug in visage.", None),
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "The server is shutting down, or the faces were not found in time.",
        Some((header::RETRY_AFTER, Type::Integer)),
    ),
];

fn error_responses(is_included: impl Fn(StatusCode) -> bool) -> BTreeMap<String, RefOr<Response>> {
    let content = Content::new(Some(Ref::from_schema_name(ProblemDetails::name())));
    let included = ERRORS.into_iter().filter(|(status, ..)| is_included(*status));
    let responses = included.map(|(status, meaning, header)| {
        let response = ResponseBuilder::new().description(meaning).content(problem::CONTENT_TYPE, content.clone());
        let response = match header {
            Some((name, kind)) => response.header(name.as_str(), Header::new(ObjectBuilder::new().schema_type(kind))),
            None => response,
        };
        (status.as_str().to_owned(), response.build().into())
    });
    responses.collect()
}

/// Declares types that stand for sets of error responses in `#[utoipa::path]`.
macro_rules! error_sets {
    ($($(#[$doc:meta])* $name:ident: $statuses:pat,)+) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                error_responses(|status| matches!(status, $statuses))
            }
        }
    )+};
}

error_sets! {
    /// Of endpoints that receive images.
    ImageErrors: _,
    /// Of endpoints about one model.
    ModelErrors: StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND,
    /// Of endpoints that only need the token.
    TokenErrors: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN,
    /// Of health checks.
    ReadinessErrors: StatusCode::FORBIDDEN | StatusCode::SERVICE_UNAVAILABLE,
}
