#![no_main]

#[path = "../entry_points/read_weights.rs"]
mod read_weights;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| read_weights::run(bytes));
