//! Replays the seeds of the fuzz target `read_graph`.

#[path = "../../../fuzz/entry_points/read_graph.rs"]
mod read_graph;
#[path = "../../../fuzz/entry_points/replay.rs"]
mod replay;

#[test]
fn no_seed_of_a_graph_panics() {
    replay::seeds("read_graph", read_graph::run);
}
