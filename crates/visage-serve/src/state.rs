//! What all requests share. Each handler extracts the parts that it needs.

use std::sync::Arc;

use axum::extract::FromRef;

use crate::metrics::Metrics;
use crate::models::Models;
use crate::pipeline::Pipeline;
use crate::readiness::Readiness;

#[derive(Clone, Debug)]
pub(crate) struct AppState {
    pub(crate) models: Arc<Models>,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Arc<Readiness>,
}

macro_rules! parts {
    ($($field:ident: $part:ty),+) => {$(
        impl FromRef<AppState> for Arc<$part> {
            fn from_ref(state: &AppState) -> Self {
                Arc::clone(&state.$field)
            }
        }
    )+};
}

parts!(models: Models, pipeline: Pipeline, metrics: Metrics, readiness: Readiness);
