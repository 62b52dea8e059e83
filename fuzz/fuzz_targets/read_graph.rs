#![no_main]

#[path = "../entry_points/read_graph.rs"]
mod read_graph;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| read_graph::run(bytes));
