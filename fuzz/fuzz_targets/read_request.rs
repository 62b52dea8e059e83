#![no_main]

#[path = "../entry_points/read_request.rs"]
mod read_request;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| read_request::run(bytes));
