//! Handlers of visage's own API.

pub(crate) mod attributes;
pub(crate) mod document;
pub(crate) mod heat;
pub(crate) mod models;
