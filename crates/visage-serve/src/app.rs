//! What every request is answered from, and which address leads where.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use tokio::sync::Semaphore;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::description::{self, Description};
use crate::engine::Engine;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::options::Limits;
use crate::problem::Problem;
use crate::token::Token;
use crate::{attributes, guard, heat, page, protocol, status};

/// What all requests share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) models: Arc<Models>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    pub(crate) token: Option<Token>,
    /// A permit for each thread that may decode.
    pub(crate) decoders: Arc<Semaphore>,
    /// A permit for each KiB of request bodies that may be held.
    pub(crate) held: Arc<Semaphore>,
    leaving: AtomicBool,
    pub(crate) ids: guard::RequestIds,
}

impl App {
    pub(crate) fn new(
        models: Arc<Models>,
        engine: Arc<Engine>,
        metrics: Arc<Metrics>,
        limits: Limits,
        token: Option<Token>,
        decoders: NonZeroUsize,
    ) -> Self {
        let kibibytes = (limits.held_bytes >> 10).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            models,
            engine,
            metrics,
            limits,
            token,
            decoders: Arc::new(Semaphore::new(decoders.get())),
            held: Arc::new(Semaphore::new(kibibytes)),
            leaving: AtomicBool::new(false),
            ids: guard::RequestIds::new(),
        }
    }

    /// From now on the server says that it is not ready.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }
}

/// What is asked goes from here to its handler, past the guard.
pub(crate) fn router(app: Arc<App>) -> Router {
    let (router, described) = addresses().split_for_parts();
    #[cfg(feature = "grpc")]
    let router = protocol::grpc::add(router);
    router
        .layer(Extension(Arc::new(described)))
        .fallback(async || Problem::not_found("nothing is here: see /openapi.json for what there is"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(from_fn_with_state(Arc::clone(&app), guard::guard))
        .with_state(app)
}

/// Every address with its description.
fn addresses() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(page::page))
        .routes(routes!(description::openapi))
        .routes(routes!(status::metrics))
        .routes(routes!(status::models))
        .routes(routes!(attributes::attributes))
        .routes(routes!(attributes::attributes_of_model))
        .routes(routes!(heat::heat))
        .routes(routes!(heat::heat_of_model))
        .routes(routes!(protocol::metadata::server))
        .routes(routes!(status::live))
        .routes(routes!(status::ready))
        .routes(routes!(protocol::metadata::model))
        .routes(routes!(status::model_ready))
        .routes(routes!(protocol::infer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_token_is_described_so() {
        let described = serde_json::to_value(addresses().into_openapi()).unwrap();
        let paths = described["paths"].as_object().unwrap();
        let open: Vec<&str> = paths
            .iter()
            .filter(|(_, path)| path["get"]["security"] == serde_json::json!([{}]))
            .map(|(address, _)| address.as_str())
            .collect();
        assert_eq!(open, guard::OPEN);
        assert_eq!(described["info"]["version"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn what_the_description_refers_to_is_in_it() {
        let described = serde_json::to_value(addresses().into_openapi()).unwrap();
        let text = described.to_string();
        let references: Vec<&str> =
            text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(!references.is_empty());
        for reference in references {
            assert!(described.pointer(reference).is_some(), "{reference}");
        }
    }
}
