//! Prepared pixels as the input of a network.

use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData};
use visage_data::Preparation;

use crate::ops::{buffers, has_kernels};

/// Converts the pixels of prepared images, RGB bytes one image after another, to a normalised tensor
/// `[images, height, width, 3]`.
///
/// A GPU receives bytes and normalises them itself: that is a quarter of the data to transfer.
pub fn image_tensor(preparation: &Preparation, pixels: &[u8], device: &Device) -> Tensor<4> {
    let size = preparation.output_size();
    let shape = [pixels.len() / (size.pixels() * 3), size.height, size.width, 3];
    if !has_kernels(device) {
        let bytes = Tensor::<4, Int>::from_data(TensorData::new(pixels.to_vec(), shape), (device, DType::U8));
        let channels = |values: [f32; 3]| Tensor::<1>::from_floats(values, device).unsqueeze::<4>();
        return (bytes.cast(FloatDType::F32) / 255.0 - channels(preparation.mean)) / channels(preparation.std);
    }
    let mut values = buffers::take(pixels.len());
    preparation.normalise(pixels, &mut values);
    Tensor::from_data(values.into_data(shape), device)
}
