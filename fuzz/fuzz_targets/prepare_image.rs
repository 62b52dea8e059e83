#![no_main]

#[path = "../entry_points/prepare_image.rs"]
mod prepare_image;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| prepare_image::run(bytes));
