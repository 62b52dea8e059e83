//! The endpoints.

use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::handlers::{attributes, document, heat, models};
use crate::middleware::{self, Middleware};
use crate::openapi::{Document, with_model_in_path};
use crate::problem::Problem;
#[cfg(feature = "grpc")]
use crate::protocol::grpc;
use crate::protocol::{health, infer, metadata};
use crate::state::AppState;
use crate::{metrics, page};

pub(crate) fn router(state: AppState, middleware: Arc<Middleware>) -> Router {
    let (router, document) = endpoints().split_for_parts();
    #[cfg(feature = "grpc")]
    let router = grpc::add(router);
    router
        .layer(Extension(Arc::new(document)))
        .fallback(async || Problem::not_found("no such endpoint: see /openapi.json"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(from_fn_with_state(middleware, middleware::around))
        .with_state(state)
}

fn endpoints() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(page::page))
        .routes(routes!(document::openapi))
        .routes(routes!(metrics::metrics))
        .routes(routes!(models::models))
        .routes(with_model_in_path(routes!(attributes::attributes)))
        .routes(with_model_in_path(routes!(heat::heat)))
        .routes(routes!(metadata::server))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(metadata::model))
        .routes(routes!(health::model_ready))
        .routes(routes!(infer::infer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_paths_are_described_as_such() {
        let document = serde_json::to_value(endpoints().into_openapi()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let public: Vec<&str> = paths
            .iter()
            .filter(|(_, path)| path["get"]["security"] == serde_json::json!([{}]))
            .map(|(path, _)| path.as_str())
            .collect();
        assert_eq!(public, middleware::PUBLIC_PATHS);
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn references_in_the_document_resolve() {
        let document = serde_json::to_value(endpoints().into_openapi()).unwrap();
        let text = document.to_string();
        let references: Vec<&str> =
            text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(!references.is_empty());
        for reference in references {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }
}
