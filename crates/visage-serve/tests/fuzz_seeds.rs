//! Replays the seeds of the fuzz target `read_request`.

#[path = "../../../fuzz/entry_points/read_request.rs"]
mod read_request;
#[path = "../../../fuzz/entry_points/replay.rs"]
mod replay;

#[test]
fn no_seed_of_a_request_panics() {
    replay::seeds("read_request", read_request::run);
}
