//! `Resize` of images, the one kind that visage writes: linear, antialiased, without what is outside the image.

use super::{Inputs, Reason, count, integer, integers, text};
use crate::onnx::schema::NodeProto;
use crate::onnx::tensor::Array;

/// The pixels of a row that a resized pixel is a mean of: the first one, and the weight of each.
struct Contribution {
    first: usize,
    weights: Vec<f32>,
}

impl Contribution {
    /// The mean of values that lie `step` apart.
    fn mean(&self, values: &[f32], step: usize) -> f32 {
        let contributing = values[self.first * step..].iter().step_by(step);
        contributing.zip(&self.weights).map(|(value, weight)| value * weight).sum()
    }
}

/// A triangle that widens with the reduction, over the centres of the pixels.
fn contributions(from: usize, to: usize) -> Vec<Contribution> {
    let scale = from as f64 / to as f64;
    let reach = scale.max(1.0);
    let contribution = |target: usize| {
        let centre = (target as f64 + 0.5) * scale;
        let first = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(from);
        let weights: Vec<f64> =
            (first..end).map(|pixel| (1.0 - ((pixel as f64 + 0.5 - centre) / reach).abs()).max(0.0)).collect();
        let sum: f64 = weights.iter().sum();
        Contribution { first, weights: weights.into_iter().map(|weight| (weight / sum) as f32).collect() }
    };
    (0..to).map(contribution).collect()
}

pub(super) fn resize(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let is_known = text(node, "mode") == b"linear"
        && integer(node, "antialias", 0) == 1
        && integer(node, "exclude_outside", 0) == 1
        && matches!(text(node, "coordinate_transformation_mode"), b"" | b"half_pixel");
    if !is_known || integers::<2>(node, "axes")? != [1, 2] {
        return Err("it is another kind of resize than visage writes".to_owned());
    }
    let (shape, values) = inputs.floats(0)?;
    let (&[batch, height, width, channels], &[to_height, to_width]) = (shape, inputs.indices(3)?.as_slice()) else {
        return Err("it does not resize the height and the width of images".to_owned());
    };
    if [height, width, channels, to_height, to_width].contains(&0) {
        return Err("a side of the images, or their number of channels, is 0".to_owned());
    }
    let to = [batch, to_height, to_width, channels];
    count(&to)?;
    count(&[batch, height, to_width, channels])?;
    let (columns, rows) = (contributions(width, to_width), contributions(height, to_height));
    let mut out = Vec::with_capacity(batch * to_height * to_width * channels);
    for image in values.chunks(height * width * channels) {
        let mut narrow = Vec::with_capacity(height * to_width * channels);
        for row in image.chunks(width * channels) {
            for column in &columns {
                narrow.extend((0..channels).map(|channel| column.mean(&row[channel..], channels)));
            }
        }
        for row in &rows {
            out.extend((0..to_width * channels).map(|value| row.mean(&narrow[value..], to_width * channels)));
        }
    }
    Ok(Array::floats(to, out))
}

#[cfg(test)]
mod tests {
    use visage_data::{Preparation, Size};

    use super::*;
    use crate::onnx::builder::Builder;
    use crate::onnx::graph;

    #[test]
    fn images_are_resized_as_in_their_preparation() {
        let pixel = |at: usize| ((at * 7919 + at / 13 * 131) % 256) as u8;
        for ([height, width], [to_height, to_width]) in
            [([50, 41], [32, 32]), ([31, 90], [64, 20]), ([16, 16], [16, 16]), ([9, 7], [30, 40]), ([200, 3], [10, 2])]
        {
            let bytes: Vec<u8> = (0..height * width * 3).map(pixel).collect();
            let images = Array::floats([1, height, width, 3], bytes.iter().map(|&byte| f32::from(byte)).collect());
            let size = Size { height: to_height, width: to_width };
            let mut builder = Builder::default();
            graph::resize(&mut builder, "images", size);
            let sizes = Array::of(&builder.constants[0]).unwrap();
            let inputs = Inputs(vec![Some(&images), None, None, Some(&sizes)]);
            let found = resize(&builder.nodes[0], &inputs).unwrap();
            let image = image::RgbImage::from_raw(width as u32, height as u32, bytes).unwrap();
            let expected = Preparation::exact(size).image(image).unwrap();
            let found = found.as_floats().unwrap();
            assert_eq!(found.len(), expected.len());
            for (at, (&byte, value)) in expected.iter().zip(found).enumerate() {
                let name = format!("{height}x{width} to {to_height}x{to_width}, value {at}");
                assert!((value.round() - f32::from(byte)).abs() <= 1.0, "{name}: {value} instead of {byte}");
            }
        }
    }
}
