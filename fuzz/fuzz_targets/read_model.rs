#![no_main]

#[path = "../entry_points/read_model.rs"]
mod read_model;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| read_model::run(bytes));
