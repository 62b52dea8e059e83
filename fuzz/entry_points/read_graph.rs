//! Reads any bytes as an ONNX file and runs it: an output, or an error.
use visage_export::onnx::{Array, Session, Values, decode};

pub fn run(bytes: &[u8]) {
    let Ok(model) = decode(bytes) else { return };
    if let Ok(session) = Session::new(&model) {
        let images = Array { shape: vec![1, 32, 32, 3], values: Values::Uint8(vec![90; 32 * 32 * 3]) };
        let _ = session.run(images);
        let _ = session.run(Array::floats([1, 3, 32, 32], vec![0.5; 3 * 32 * 32]));
    }
}
