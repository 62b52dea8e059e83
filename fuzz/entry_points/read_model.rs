//! Reads any bytes as a model file, and any text as a model's card: a model, or an error.
use std::collections::BTreeMap;

use burn::tensor::Device;
use visage_model::Model;
use visage_weights::TensorFile;

#[path = "scratch.rs"]
mod scratch;

pub fn run(bytes: &[u8]) {
    let device = Device::flex();
    scratch::with_file("model.safetensors", bytes, |path| {
        let _ = Model::read(path, &device);
        if let Ok(card) = std::str::from_utf8(bytes) {
            let metadata = BTreeMap::from([("visage".to_owned(), card.to_owned())]);
            let _ = Model::from_file(path, TensorFile { tensors: BTreeMap::new(), metadata }, &device);
        }
    });
}
