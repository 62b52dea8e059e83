//! Replays the seeds of the fuzz target `read_graph`.

#[path = "../../../fuzz/entry_points/read_graph.rs"]
mod read_graph;
#[path = "../../../fuzz/entry_points/replay.rs"]
mod replay;

#[test]
fn graphs_do_not_panic() {
    replay::seeds("read_graph", read_graph::run);
}
