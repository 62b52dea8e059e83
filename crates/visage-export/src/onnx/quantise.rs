//! The graph in int8.
