//! What tract answers: `asks-tract GRAPH < IMAGES > PROBABILITIES`.
//!
//! GRAPH takes normalised floats `[batch, 3, height, width]`; IMAGES and PROBABILITIES are little-endian `float32`, one image after
//! another.

use std::error::Error;
use std::io::{Read, Write};

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name an ONNX file")?;
    let model = tract_onnx::onnx().model_for_path(path)?;
    let shape: Vec<usize> = {
        let fact = model.input_fact(0)?;
        fact.shape.dims().skip(1).map(|dim| dim.concretize().and_then(|dim| dim.to_usize().ok())).collect::<Option<_>>()
    }
    .ok_or("a shape that is not known")?;
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let values: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let mut whole = vec![values.len() / shape.iter().product::<usize>()];
    whole.extend(&shape);
    let model = model.with_input_fact(0, f32::fact(&whole).into())?.into_optimized()?.into_runnable()?;
    let images = Tensor::from_shape(&whole, &values)?;
    let outputs = model.run(tvec!(images.into()))?;
    let probabilities = outputs[0].to_plain_array_view::<f32>()?;
    let bytes: Vec<u8> = probabilities.iter().flat_map(|probability| probability.to_le_bytes()).collect();
    std::io::stdout().write_all(&bytes)?;
    Ok(())
}
