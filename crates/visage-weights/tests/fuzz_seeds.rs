//! Replays the seeds of the fuzz target `read_weights`.

#[path = "../../../fuzz/entry_points/read_weights.rs"]
mod read_weights;
#[path = "../../../fuzz/entry_points/replay.rs"]
mod replay;

#[test]
fn no_seed_of_weights_panics() {
    replay::seeds("read_weights", read_weights::run);
}
