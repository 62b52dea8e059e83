#![no_main]

use std::sync::LazyLock;

#[path = "../entry_points/read_dataset.rs"]
mod read_dataset;

/// The fuzzer's own panic hook aborts, also where `visage_data` catches the panic of a library on a damaged file. Only a panic
/// that is not caught is a fault.
static PANIC_HOOK: LazyLock<()> = LazyLock::new(|| std::panic::set_hook(Box::new(|_| ())));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    LazyLock::force(&PANIC_HOOK);
    read_dataset::run(bytes);
});
