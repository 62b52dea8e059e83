//! Replays the seeds of the fuzz target `read_model`.

#[path = "../../../fuzz/entry_points/read_model.rs"]
mod read_model;
#[path = "../../../fuzz/entry_points/replay.rs"]
mod replay;

#[test]
fn no_seed_of_a_model_panics() {
    replay::seeds("read_model", read_model::run);
}
