//! What the server counts of itself, as Prometheus reads it.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// What [`Metrics::text`] is.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    latency: Family<Route, Histogram, fn() -> Histogram>,
    images: Family<Name, Counter>,
    batch_images: Family<Name, Histogram, fn() -> Histogram>,
    inference: Family<Name, Histogram, fn() -> Histogram>,
    decoding: Histogram,
    loads: Family<Load, Counter>,
    /// Images that were accepted and not yet answered.
    pub(crate) queue: Gauge,
    /// Connections that are open.
    pub(crate) connections: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Name {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Load {
    model: String,
    result: &'static str,
}

/// From half a millisecond to 16 seconds, each twice the one before.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.000_5, 2.0, 16))
}

/// From 1 to 128.
fn numbers() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 8))
}

impl Metrics {
    pub(crate) fn new() -> Self {
        fn family<L: Clone + std::hash::Hash + Eq>(make: fn() -> Histogram) -> Family<L, Histogram, fn() -> Histogram>
        where
            fn() -> Histogram: MetricConstructor<Histogram>,
        {
            Family::new_with_constructor(make)
        }

        let mut registry = Registry::with_prefix("visage");
        let metrics = Self {
            requests: Family::default(),
            latency: family(seconds),
            images: Family::default(),
            batch_images: family(numbers),
            inference: family(seconds),
            decoding: seconds(),
            loads: Family::default(),
            queue: Gauge::default(),
            connections: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("requests", "Requests answered", metrics.requests.clone());
        registry.register_with_unit(
            "request",
            "From a request's head to its answer",
            Unit::Seconds,
            metrics.latency.clone(),
        );
        registry.register("images", "Images answered about", metrics.images.clone());
        registry.register("batch_images", "Images that went through a network together", metrics.batch_images.clone());
        registry.register_with_unit("inference", "A batch in its network", Unit::Seconds, metrics.inference.clone());
        registry.register_with_unit(
            "decode",
            "The images of a request decoded and prepared",
            Unit::Seconds,
            metrics.decoding.clone(),
        );
        registry.register("model_loads", "Model files read", metrics.loads.clone());
        registry.register("queue_images", "Images accepted and not yet answered", metrics.queue.clone());
        registry.register("connections", "Open connections", metrics.connections.clone());
        Self { registry, ..metrics }
    }

    /// A request was answered.
    pub(crate) fn answered(&self, route: &str, status: u16, took: Duration) {
        let route = route.to_owned();
        self.latency.get_or_create(&Route { route: route.clone() }).observe(took.as_secs_f64());
        self.requests.get_or_create(&Request { route, status }).inc();
    }

    /// The images of a request were decoded.
    pub(crate) fn decoded(&self, took: Duration) {
        self.decoding.observe(took.as_secs_f64());
    }

    /// A batch went through its network.
    pub(crate) fn inferred(&self, model: &str, images: usize, took: Duration) {
        let name = Name { model: model.to_owned() };
        self.images.get_or_create(&name).inc_by(images as u64);
        self.batch_images.get_or_create(&name).observe(images as f64);
        self.inference.get_or_create(&name).observe(took.as_secs_f64());
    }

    /// A model file was read, or was not.
    pub(crate) fn loaded(&self, model: &str, succeeded: bool) {
        let result = if succeeded { "loaded" } else { "refused" };
        self.loads.get_or_create(&Load { model: model.to_owned(), result }).inc();
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Fails only where a string cannot be written to.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}
