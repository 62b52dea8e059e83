//! Any bytes as a safetensors or PyTorch file: whole tensors, or an error.
#![no_main]

mod scratch;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = visage_weights::read(&scratch::file("weights", bytes)) {
        for (name, tensor) in &file.tensors {
            assert_eq!(tensor.shape.iter().product::<usize>(), tensor.data.len(), "{name}");
        }
    }
});
