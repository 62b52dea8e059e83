//! Replays the seeds of the fuzz target `read_model`.

#[path = "../../../fuzz/entry_points/read_model.rs"]
mod read_model;
#[path = "../../../fuzz/entry_points/replay.rs"]
mod replay;

#[test]
fn models_do_not_panic() {
    replay::seeds("read_model", read_model::run);
}
