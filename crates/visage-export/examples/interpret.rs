//! Runs an exported ONNX graph with this crate's interpreter, so that other runtimes can be compared with it.
//!
//! `cargo run --release --example interpret -- GRAPH < PIXELS > PROBABILITIES`
//!
//! GRAPH was exported with `--raw-images`. PIXELS are the bytes of prepared RGB images, one after another. PROBABILITIES are
//! little-endian `float32`, `[images, attributes]`.

use std::error::Error;
use std::io::{Read, Write};

use visage_export::onnx::schema::DimensionValue;
use visage_export::onnx::{Array, Session, Values, decode};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("the path of an ONNX file is missing")?;
    let model = decode(&std::fs::read(path)?)?;
    let input = model.graph.as_ref().and_then(|graph| graph.input.first());
    let shape = input
        .and_then(|input| input.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref())
        .ok_or("the input has no shape")?;
    let known = shape.dim.iter().skip(1).map(|dimension| match dimension.value {
        Some(DimensionValue::DimValue(length)) => usize::try_from(length).ok(),
        _ => None,
    });
    let image: Vec<usize> = known.collect::<Option<_>>().ok_or("the image size is variable")?;
    let session = Session::new(&model)?;
    let mut pixels = Vec::new();
    std::io::stdin().read_to_end(&mut pixels)?;
    for pixels in pixels.chunks(16 * image.iter().product::<usize>()) {
        let mut shape = image.clone();
        shape.insert(0, pixels.len() / image.iter().product::<usize>());
        let outputs = session.run(Array { shape, values: Values::Uint8(pixels.to_vec()) })?;
        let probabilities = outputs.first().and_then(Array::as_floats).ok_or("the graph has no probabilities")?;
        let bytes: Vec<u8> = probabilities.iter().flat_map(|probability| probability.to_le_bytes()).collect();
        std::io::stdout().write_all(&bytes)?;
    }
    Ok(())
}
