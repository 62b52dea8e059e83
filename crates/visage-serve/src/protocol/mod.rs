//! The Open Inference Protocol, version 2, as KServe and Triton speak it: over HTTP with the binary tensor extension, and over gRPC.
//!
//! Specifications: <https://github.com/kserve/open-inference-protocol> and, for binary tensors,
//! <https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md>.

#[cfg(feature = "grpc")]
pub(crate) mod grpc;
pub(crate) mod health;
pub(crate) mod infer;
mod inputs;
#[cfg(feature = "grpc")]
mod messages;
pub(crate) mod metadata;
mod outputs;
mod request;
