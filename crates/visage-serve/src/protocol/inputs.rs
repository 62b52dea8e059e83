//! Input tensors: the images of an inference request.

use axum::body::Bytes;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use visage_data::Preparation;

use super::request::{Data, InferRequest, RequestInput};
use crate::engine::Images;
use crate::problem::Problem;

/// The input with image files: BYTES `[images]`.
pub(crate) const FILES: &str = "images";
/// The input with RGB bytes of the model's size: UINT8 `[images, height, width, 3]`.
pub(crate) const PIXELS: &str = "pixels";
/// The input with normalised values of the model's size: FP32 `[images, height, width, 3]` or `[images, 3, height, width]`.
pub(crate) const NORMALISED: &str = "normalised";

#[derive(Debug)]
pub(crate) enum InputImages {
    Files(Vec<Bytes>),
    /// `count` images that the client prepared.
    Prepared {
        images: Images,
        count: usize,
    },
}

impl InputImages {
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Files(files) => files.len(),
            Self::Prepared { count, .. } => *count,
        }
    }
}

/// The images of a request, at most `max`, for a model with this preparation.
pub(crate) fn images(request: &InferRequest, preparation: &Preparation, max: usize) -> Result<InputImages, Problem> {
    let [input] = request.inputs.as_slice() else {
        return Err(Problem::malformed(format!(
            "send one input, {FILES}, {PIXELS} or {NORMALISED}, and not {}",
            request.inputs.len()
        )));
    };
    let datatype = match input.name.as_str() {
        FILES => "BYTES",
        PIXELS => "UINT8",
        NORMALISED => "FP32",
        other => {
            return Err(Problem::malformed(format!(
                "there is no input {other:?}: there are {FILES}, {PIXELS} and {NORMALISED}"
            )));
        }
    };
    if input.datatype != datatype {
        return Err(Problem::malformed(format!("input {} must be {datatype}, not {}", input.name, input.datatype)));
    }
    let count = input.shape.first().copied().unwrap_or_default();
    if count == 0 {
        return Err(Problem::malformed(format!("input {} has no images: its shape is {:?}", input.name, input.shape)));
    }
    if count > max {
        return Err(Problem::too_large(format!("a request may have at most {max} images")));
    }
    if input.name == FILES { files(input, count) } else { prepared(input, count, preparation) }
}

fn files(input: &RequestInput, count: usize) -> Result<InputImages, Problem> {
    if !matches!(input.shape.as_slice(), [_] | [_, 1]) {
        return Err(Problem::malformed(format!(
            "input {FILES} must have the shape [images] or [images, 1], not {:?}",
            input.shape
        )));
    }
    let files: Vec<Bytes> = match (&input.bytes, &input.data) {
        (Some(bytes), _) => elements(bytes.clone(), count)?,
        (None, Some(Data::Strings(strings))) => {
            let decoded = strings.iter().map(|string| BASE64_STANDARD.decode(string).map(Bytes::from));
            decoded.collect::<Result<_, _>>().map_err(|error| {
                Problem::malformed(format!("{FILES} must be strings in base64 (RFC 4648, with padding): {error}"))
            })?
        }
        _ => return Err(Problem::malformed(format!("in JSON, {FILES} must be strings in base64"))),
    };
    check_length(input, files.len(), count)?;
    Ok(InputImages::Files(files))
}

/// Splits a BYTES tensor into its elements, of which each follows its length as a little-endian 32-bit number.
fn elements(mut bytes: Bytes, max: usize) -> Result<Vec<Bytes>, Problem> {
    let mut elements = Vec::new();
    while !bytes.is_empty() {
        let length = bytes.first_chunk().map(|length| u32::from_le_bytes(*length) as usize);
        let Some(length) = length.filter(|&length| length <= bytes.len() - 4 && elements.len() < max) else {
            return Err(Problem::malformed(format!(
                "the binary data of {FILES} is not {max} elements, each preceded by its length in four bytes"
            )));
        };
        let _ = bytes.split_to(4);
        elements.push(bytes.split_to(length));
    }
    Ok(elements)
}

fn prepared(input: &RequestInput, count: usize, preparation: &Preparation) -> Result<InputImages, Problem> {
    let size = preparation.output_size();
    let (height, width) = (size.height, size.width);
    let is_planar = input.name == NORMALISED && input.shape[1..] == [3, height, width];
    if !is_planar && input.shape[1..] != [height, width, 3] {
        let or = if input.name == NORMALISED { format!(" or [images, 3, {height}, {width}]") } else { String::new() };
        return Err(Problem::malformed(format!(
            "input {} must have the shape [images, {height}, {width}, 3]{or}, not {:?}",
            input.name, input.shape
        )));
    }
    // Cannot overflow: the number of images and the size of a model are bounded.
    let expected = count * size.pixels() * 3;
    let images = if input.name == PIXELS {
        let pixels = bytes_of(input)?;
        check_length(input, pixels.len(), expected)?;
        Images::Pixels(pixels)
    } else {
        let values = floats_of(input)?;
        check_length(input, values.len(), expected)?;
        if values.iter().any(|value| !value.is_finite()) {
            return Err(Problem::malformed(format!("{NORMALISED} must be finite numbers")));
        }
        Images::Normalised(if is_planar { interleaved(&values, size.pixels()) } else { values })
    };
    Ok(InputImages::Prepared { images, count })
}

fn check_length(input: &RequestInput, found: usize, expected: usize) -> Result<(), Problem> {
    if found == expected {
        return Ok(());
    }
    Err(Problem::malformed(format!("input {} has {found} values, but the shape {:?}", input.name, input.shape)))
}

fn bytes_of(input: &RequestInput) -> Result<Vec<u8>, Problem> {
    let byte = |&number: &f32| {
        let byte = number as u8;
        (f32::from(byte) == number).then_some(byte)
    };
    let bytes = match (&input.bytes, &input.data) {
        (Some(bytes), _) => Some(bytes.to_vec()),
        (None, Some(Data::Numbers(numbers))) => numbers.iter().map(byte).collect(),
        _ => None,
    };
    bytes.ok_or_else(|| Problem::malformed(format!("{PIXELS} must be whole numbers from 0 to 255")))
}

fn floats_of(input: &RequestInput) -> Result<Vec<f32>, Problem> {
    match (&input.bytes, &input.data) {
        (Some(bytes), _) => {
            let (numbers, rest) = bytes.as_chunks();
            if !rest.is_empty() {
                return Err(Problem::malformed("FP32 values have four bytes each"));
            }
            Ok(numbers.iter().map(|&number| f32::from_le_bytes(number)).collect())
        }
        (None, Some(Data::Numbers(numbers))) => Ok(numbers.clone()),
        _ => Err(Problem::malformed(format!("{NORMALISED} must be numbers"))),
    }
}

/// Transposes `[images, 3, pixels]` to `[images, pixels, 3]`.
fn interleaved(planes: &[f32], pixels: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(planes.len());
    for image in planes.chunks_exact(3 * pixels) {
        let (red, rest) = image.split_at(pixels);
        let (green, blue) = rest.split_at(pixels);
        values.extend(red.iter().zip(green).zip(blue).flat_map(|((&red, &green), &blue)| [red, green, blue]));
    }
    values
}

#[cfg(test)]
mod tests {
    use visage_data::Size;

    use super::*;

    fn of(
        name: &str,
        datatype: &str,
        shape: &[usize],
        data: Option<Data>,
        bytes: &[u8],
    ) -> Result<InputImages, String> {
        let bytes = (!bytes.is_empty()).then(|| Bytes::copy_from_slice(bytes));
        let input = RequestInput {
            name: name.into(),
            datatype: datatype.into(),
            shape: shape.into(),
            parameters: Default::default(),
            data,
            bytes,
        };
        let request =
            InferRequest { id: None, parameters: Default::default(), inputs: vec![input], outputs: Vec::new() };
        let preparation = Preparation::exact(Size { height: 1, width: 2 });
        super::images(&request, &preparation, 4).map_err(|problem| problem.detail().to_owned())
    }

    fn numbers(numbers: impl IntoIterator<Item = u8>) -> Option<Data> {
        Some(Data::Numbers(numbers.into_iter().map(f32::from).collect()))
    }

    #[test]
    fn pixels_are_bytes_or_numbers() {
        for (data, bytes) in [(numbers(0..6), &[][..]), (None, &[0, 1, 2, 3, 4, 5])] {
            let input = of("pixels", "UINT8", &[1, 1, 2, 3], data, bytes).unwrap();
            assert!(
                matches!(input, InputImages::Prepared { images: Images::Pixels(pixels), count: 1 } if pixels == [0, 1, 2, 3, 4, 5])
            );
        }
        let wrong =
            |number: f32| of("pixels", "UINT8", &[1, 1, 2, 3], Some(Data::Numbers(vec![number; 6])), &[]).is_err();
        assert!([-1.0, 0.5, 256.0, f32::NAN, f32::INFINITY].into_iter().all(wrong));
        assert!(of("pixels", "UINT8", &[1, 1, 2, 3], numbers(0..5), &[]).unwrap_err().contains("5 values"));
        assert!(
            of("pixels", "UINT8", &[1, 2, 1, 3], numbers(0..6), &[]).unwrap_err().contains("[images, 1, 2, 3], not")
        );
        assert!(
            of("pixels", "INT8", &[1, 1, 2, 3], numbers(0..6), &[]).unwrap_err().contains("must be UINT8, not INT8")
        );
    }

    #[test]
    fn the_shape_distinguishes_planar_from_interleaved_values() {
        let values = |images: InputImages| match images {
            InputImages::Prepared { images: Images::Normalised(values), .. } => values,
            other => panic!("{other:?}"),
        };
        let planes = of("normalised", "FP32", &[1, 3, 1, 2], numbers(0..6), &[]).map(values);
        assert_eq!(planes.unwrap(), [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
        let pixels = of("normalised", "FP32", &[1, 1, 2, 3], numbers(0..6), &[]).map(values);
        assert_eq!(pixels.unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let bytes = [1.5_f32; 6].map(f32::to_le_bytes).concat();
        assert_eq!(of("normalised", "FP32", &[1, 3, 1, 2], None, &bytes).map(values).unwrap(), [1.5; 6]);
        assert!(
            of("normalised", "FP32", &[1, 3, 1, 2], None, &[f32::NAN; 6].map(f32::to_le_bytes).concat())
                .unwrap_err()
                .contains("finite")
        );
        assert!(of("normalised", "FP32", &[1, 3, 1, 2], None, &bytes[1..]).unwrap_err().contains("four bytes"));
    }

    #[test]
    fn files_are_length_prefixed_or_in_base64() {
        let files = |images: InputImages| match images {
            InputImages::Files(files) => files,
            other => panic!("{other:?}"),
        };
        let bytes = of("images", "BYTES", &[2], None, b"\x02\0\0\0hi\x01\0\0\0!").map(files);
        assert_eq!(bytes.unwrap(), [&b"hi"[..], b"!"]);
        let string =
            |text: &str| of("images", "BYTES", &[1, 1], Some(Data::Strings(vec![text.into()])), &[]).map(files);
        assert_eq!(string("aGk=").unwrap(), [&b"hi"[..]]);
        assert!(string("a b").unwrap_err().contains("base64"));
        for cut in [&b"\x02\0\0\0h"[..], b"\x02\0", b"\xFF\xFF\xFF\xFFhi", b"\x01\0\0\0a\x01\0\0\0b\x01\0\0\0c"] {
            assert!(of("images", "BYTES", &[2], None, cut).is_err(), "{cut:?}");
        }
    }

    #[test]
    fn the_number_of_images_is_bounded() {
        assert!(of("pixels", "UINT8", &[0, 1, 2, 3], numbers(0..0), &[]).unwrap_err().contains("no images"));
        assert!(of("pixels", "UINT8", &[], numbers(0..0), &[]).unwrap_err().contains("no images"));
        assert!(of("pixels", "UINT8", &[usize::MAX, 1, 2, 3], numbers(0..0), &[]).unwrap_err().contains("4 images"));
        assert!(of("other", "UINT8", &[1], None, &[]).unwrap_err().contains("no input \"other\""));
    }
}
