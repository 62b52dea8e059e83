//! Any bytes as a model file, and any text as a model's card: a model, or an error.
#![no_main]

mod scratch;

use std::collections::BTreeMap;

use burn::tensor::Device;
use libfuzzer_sys::fuzz_target;
use visage_model::Model;
use visage_weights::TensorFile;

fuzz_target!(|bytes: &[u8]| {
    let path = scratch::file("model.safetensors", bytes);
    let device = Device::flex();
    let _ = Model::read(&path, &device);
    if let Ok(card) = std::str::from_utf8(bytes) {
        let metadata = BTreeMap::from([("visage".to_owned(), card.to_owned())]);
        let _ = Model::from_file(&path, TensorFile { tensors: BTreeMap::new(), metadata }, &device);
    }
});
