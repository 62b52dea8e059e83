//! Reads any bytes as a safetensors or PyTorch file: whole tensors, or an error.
#[path = "scratch.rs"]
mod scratch;

pub fn run(bytes: &[u8]) {
    scratch::with_file("weights", bytes, |path| {
        let Ok(file) = visage_weights::read(path) else { return };
        for (name, tensor) in &file.tensors {
            assert_eq!(tensor.shape.iter().product::<usize>(), tensor.data.len(), "{name}");
        }
    });
}
