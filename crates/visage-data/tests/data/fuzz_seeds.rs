//! Replays the seeds of the fuzz targets `prepare_image` and `read_dataset`.

#[path = "../../../../fuzz/entry_points/prepare_image.rs"]
mod prepare_image;
#[path = "../../../../fuzz/entry_points/read_dataset.rs"]
mod read_dataset;
#[path = "../../../../fuzz/entry_points/replay.rs"]
mod replay;

#[test]
fn no_seed_of_an_image_panics() {
    replay::seeds("prepare_image", prepare_image::run);
}

#[test]
fn no_seed_of_a_dataset_panics() {
    replay::seeds("read_dataset", read_dataset::run);
}
