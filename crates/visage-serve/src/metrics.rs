//! Counters and histograms in Prometheus's format.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::openapi::TokenErrors;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    latency: Histograms<RouteLabel>,
    images: Family<ModelLabel, Counter>,
    batch_images: Histograms<ModelLabel>,
    inference: Histograms<ModelLabel>,
    decoding: Histogram,
    face_search: Histogram,
    loads: Family<LoadLabels, Counter>,
    /// Images accepted and not yet answered.
    pub(crate) queue: Gauge,
    pub(crate) connections: Gauge,
    /// Connections that have lost their place to others.
    pub(crate) connections_reclaimed: Counter,
    log_lines_dropped: Counter,
    /// Where the log counts the lines it drops.
    dropped_by_log: Arc<AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabel {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoadLabels {
    model: String,
    result: &'static str,
}

/// Buckets from 0.5 ms to 16 s, each twice the one before.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.000_5, 2.0, 16))
}

/// Buckets from 1 to 128, each twice the one before.
fn batch_sizes() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 8))
}

impl Metrics {
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Self::with_log(Arc::default())
    }

    /// Metrics of a server whose log counts the lines that it drops.
    pub(crate) fn with_log(dropped_by_log: Arc<AtomicU64>) -> Self {
        let mut registry = Registry::with_prefix("visage");
        let metrics = Self {
            requests: Family::default(),
            latency: Family::new_with_constructor(durations),
            images: Family::default(),
            batch_images: Family::new_with_constructor(batch_sizes),
            inference: Family::new_with_constructor(durations),
            decoding: durations(),
            face_search: durations(),
            loads: Family::default(),
            queue: Gauge::default(),
            connections: Gauge::default(),
            connections_reclaimed: Counter::default(),
            log_lines_dropped: Counter::default(),
            dropped_by_log,
            registry: Registry::default(),
        };
        registry.register("requests", "Requests answered", metrics.requests.clone());
        registry.register_with_unit(
            "request",
            "Time from a request's head to its response",
            Unit::Seconds,
            metrics.latency.clone(),
        );
        registry.register("images", "Images classified", metrics.images.clone());
        registry.register("batch_images", "Images in a batch", metrics.batch_images.clone());
        registry.register_with_unit(
            "inference",
            "Time to run the network on a batch",
            Unit::Seconds,
            metrics.inference.clone(),
        );
        registry.register_with_unit(
            "decode",
            "Time to decode and prepare the images of a request",
            Unit::Seconds,
            metrics.decoding.clone(),
        );
        registry.register_with_unit(
            "face_search",
            "Time to decode the photographs of a request, and to find, align and prepare their faces",
            Unit::Seconds,
            metrics.face_search.clone(),
        );
        registry.register("model_loads", "Model files read after a change", metrics.loads.clone());
        registry.register("queue_images", "Images accepted and not yet answered", metrics.queue.clone());
        registry.register("connections", "Open connections", metrics.connections.clone());
        registry.register(
            "connections_reclaimed",
            "Idle or slow connections closed to make room for others",
            metrics.connections_reclaimed.clone(),
        );
        registry.register(
            "log_lines_dropped",
            "Log lines that could not be written, or not in time",
            metrics.log_lines_dropped.clone(),
        );
        Self { registry, ..metrics }
    }

    pub(crate) fn answered(&self, route: &str, status: u16, took: Duration) {
        let route = route.to_owned();
        self.latency.get_or_create(&RouteLabel { route: route.clone() }).observe(took.as_secs_f64());
        self.requests.get_or_create(&RequestLabels { route, status }).inc();
    }

    /// Records how long decoding the images of a request took.
    pub(crate) fn decoded(&self, took: Duration) {
        self.decoding.observe(took.as_secs_f64());
    }

    /// Records how long finding the faces of a request took.
    pub(crate) fn searched(&self, took: Duration) {
        self.face_search.observe(took.as_secs_f64());
    }

    pub(crate) fn inferred(&self, model: &str, images: usize, took: Duration) {
        let label = ModelLabel { model: model.to_owned() };
        self.images.get_or_create(&label).inc_by(images as u64);
        self.batch_images.get_or_create(&label).observe(images as f64);
        self.inference.get_or_create(&label).observe(took.as_secs_f64());
    }

    /// Records that a changed model file was read, or could not be.
    pub(crate) fn loaded(&self, model: &str, succeeded: bool) {
        let result = if succeeded { "loaded" } else { "refused" };
        self.loads.get_or_create(&LoadLabels { model: model.to_owned(), result }).inc();
    }

    pub(crate) fn text(&self) -> String {
        self.log_lines_dropped.inner().store(self.dropped_by_log.load(Ordering::Relaxed), Ordering::Relaxed);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

/// Metrics for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    responses(
        (status = 200, body = String, content_type = "application/openmetrics-text", description = "OpenMetrics text."),
        TokenErrors,
    ),
)]
pub(crate) async fn metrics(State(metrics): State<Arc<Metrics>>) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.text()).into_response()
}
