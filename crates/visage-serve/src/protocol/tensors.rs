//! The tensors of a request as images.

use axum::body::Bytes;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use visage_data::Preparation;

use super::request::{Data, Input, Request};
use crate::engine::Images;
use crate::problem::Problem;

/// The input of files of images: BYTES `[images]`.
pub(crate) const FILES: &str = "images";
/// The input of RGB bytes of the model's size: UINT8 `[images, height, width, 3]`.
pub(crate) const PIXELS: &str = "pixels";
/// The input of normalised values of the model's size: FP32 `[images, height, width, 3]` or `[images, 3, height, width]`.
pub(crate) const NORMALISED: &str = "normalised";

/// The images of a request.
#[derive(Debug)]
pub(crate) enum Given {
    /// Files to decode.
    Files(Vec<Bytes>),
    /// What needs no preparing.
    Prepared { images: Images, count: usize },
}

impl Given {
    pub(crate) fn images(&self) -> usize {
        match self {
            Self::Files(files) => files.len(),
            Self::Prepared { count, .. } => *count,
        }
    }
}

/// The images that a request gives, at most `most`.
pub(crate) fn given(request: &Request, preparation: &Preparation, most: usize) -> Result<Given, Problem> {
    let [input] = request.inputs.as_slice() else {
        return Err(Problem::malformed(format!(
            "give one input, {FILES}, {PIXELS} or {NORMALISED}, and not {}",
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
        return Err(Problem::malformed(format!("input {} is of {datatype}, not {}", input.name, input.datatype)));
    }
    let count = input.shape.first().copied().unwrap_or_default();
    if count == 0 {
        return Err(Problem::malformed(format!("input {} has no images: its shape is {:?}", input.name, input.shape)));
    }
    if count > most {
        return Err(Problem::too_large(format!("a request may have {most} images")));
    }
    if input.name == FILES { files(input, count) } else { prepared(input, count, preparation) }
}

fn files(input: &Input, count: usize) -> Result<Given, Problem> {
    if !matches!(input.shape.as_slice(), [_] | [_, 1]) {
        return Err(Problem::malformed(format!(
            "input {FILES} has the shape [images] or [images, 1], not {:?}",
            input.shape
        )));
    }
    let files: Vec<Bytes> = match (&input.bytes, &input.data) {
        (Some(bytes), _) => elements(bytes.clone(), count)?,
        (None, Some(Data::Texts(texts))) => {
            let decoded = texts.iter().map(|text| BASE64_STANDARD.decode(text).map(Bytes::from));
            decoded.collect::<Result<_, _>>().map_err(|error| {
                Problem::malformed(format!("in JSON, {FILES} are texts in base64 (RFC 4648, with padding): {error}"))
            })?
        }
        _ => return Err(Problem::malformed(format!("in JSON, {FILES} are texts in base64"))),
    };
    if files.len() != count {
        return Err(Problem::malformed(format!("{} files for a shape of {:?}", files.len(), input.shape)));
    }
    Ok(Given::Files(files))
}

/// Each element of a BYTES tensor stands behind its length in four bytes.
fn elements(mut bytes: Bytes, most: usize) -> Result<Vec<Bytes>, Problem> {
    let mut elements = Vec::new();
    while !bytes.is_empty() {
        let whole = bytes.first_chunk().map(|length| u32::from_le_bytes(*length) as usize);
        let Some(length) = whole.filter(|&length| length <= bytes.len() - 4 && elements.len() < most) else {
            return Err(Problem::malformed(format!(
                "the bytes of {FILES} are not {most} elements, each behind its length"
            )));
        };
        let _ = bytes.split_to(4);
        elements.push(bytes.split_to(length));
    }
    Ok(elements)
}

fn prepared(input: &Input, count: usize, preparation: &Preparation) -> Result<Given, Problem> {
    let size = preparation.output_size();
    let (height, width) = (size.height, size.width);
    let is_planar = input.name == NORMALISED && input.shape[1..] == [3, height, width];
    if !is_planar && input.shape[1..] != [height, width, 3] {
        let or = if input.name == NORMALISED { format!(" or [images, 3, {height}, {width}]") } else { String::new() };
        return Err(Problem::malformed(format!(
            "input {} has the shape [images, {height}, {width}, 3]{or}, not {:?}",
            input.name, input.shape
        )));
    }
    // No more than the bound on images times the largest size of a model.
    let values = count * size.pixels() * 3;
    let differ = |found: usize| {
        Problem::malformed(format!("input {} has {found} values for a shape of {:?}", input.name, input.shape))
    };
    let images = if input.name == PIXELS {
        let pixels: Vec<u8> =
            match (&input.bytes, &input.data) {
                (Some(bytes), _) => bytes.to_vec(),
                (None, Some(Data::Numbers(numbers))) => numbers
                    .iter()
                    .map(|&number| byte(number))
                    .collect::<Option<_>>()
                    .ok_or_else(|| Problem::malformed(format!("{PIXELS} are whole numbers from 0 to 255")))?,
                _ => return Err(Problem::malformed(format!("{PIXELS} are numbers"))),
            };
        if pixels.len() != values {
            return Err(differ(pixels.len()));
        }
        Images::Pixels(pixels)
    } else {
        let numbers: Vec<f32> = match (&input.bytes, &input.data) {
            (Some(bytes), _) => {
                let (numbers, odd) = bytes.as_chunks();
                if !odd.is_empty() {
                    return Err(Problem::malformed("FP32 values have four bytes each"));
                }
                numbers.iter().map(|&number| f32::from_le_bytes(number)).collect()
            }
            (None, Some(Data::Numbers(numbers))) => numbers.clone(),
            _ => return Err(Problem::malformed(format!("{NORMALISED} are numbers"))),
        };
        if numbers.len() != values {
            return Err(differ(numbers.len()));
        }
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(Problem::malformed(format!("{NORMALISED} are finite numbers")));
        }
        Images::Normalised(if is_planar { interleaved(&numbers, size.pixels()) } else { numbers })
    };
    Ok(Given::Prepared { images, count })
}

fn byte(number: f32) -> Option<u8> {
    let byte = number as u8;
    (f32::from(byte) == number).then_some(byte)
}

/// `[images, 3, pixels]` as `[images, pixels, 3]`.
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

    fn of(name: &str, datatype: &str, shape: &[usize], data: Option<Data>, bytes: &[u8]) -> Result<Given, String> {
        let bytes = (!bytes.is_empty()).then(|| Bytes::copy_from_slice(bytes));
        let input = Input {
            name: name.into(),
            datatype: datatype.into(),
            shape: shape.into(),
            parameters: Default::default(),
            data,
            bytes,
        };
        let request = Request { id: None, parameters: Default::default(), inputs: vec![input], outputs: Vec::new() };
        let preparation = Preparation::exact(Size { height: 1, width: 2 });
        given(&request, &preparation, 4).map_err(|problem| problem.detail().to_owned())
    }

    fn numbers(numbers: impl IntoIterator<Item = u8>) -> Option<Data> {
        Some(Data::Numbers(numbers.into_iter().map(f32::from).collect()))
    }

    #[test]
    fn pixels_are_taken_as_bytes_and_as_numbers() {
        for (data, bytes) in [(numbers(0..6), &[][..]), (None, &[0, 1, 2, 3, 4, 5])] {
            let given = of("pixels", "UINT8", &[1, 1, 2, 3], data, bytes).unwrap();
            assert!(
                matches!(given, Given::Prepared { images: Images::Pixels(pixels), count: 1 } if pixels == [0, 1, 2, 3, 4, 5])
            );
        }
        let wrong =
            |number: f32| of("pixels", "UINT8", &[1, 1, 2, 3], Some(Data::Numbers(vec![number; 6])), &[]).is_err();
        assert!([-1.0, 0.5, 256.0, f32::NAN, f32::INFINITY].into_iter().all(wrong));
        assert!(of("pixels", "UINT8", &[1, 1, 2, 3], numbers(0..5), &[]).unwrap_err().contains("5 values"));
        assert!(
            of("pixels", "UINT8", &[1, 2, 1, 3], numbers(0..6), &[]).unwrap_err().contains("[images, 1, 2, 3], not")
        );
        assert!(of("pixels", "INT8", &[1, 1, 2, 3], numbers(0..6), &[]).unwrap_err().contains("of UINT8, not INT8"));
    }

    #[test]
    fn planes_and_pixels_are_told_apart_by_the_shape() {
        let values = |given: Given| match given {
            Given::Prepared { images: Images::Normalised(values), .. } => values,
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
    fn files_are_behind_their_lengths_or_in_base64() {
        let files = |given: Given| match given {
            Given::Files(files) => files,
            other => panic!("{other:?}"),
        };
        let bytes = of("images", "BYTES", &[2], None, b"\x02\0\0\0hi\x01\0\0\0!").map(files);
        assert_eq!(bytes.unwrap(), [&b"hi"[..], b"!"]);
        let text = |text: &str| of("images", "BYTES", &[1, 1], Some(Data::Texts(vec![text.into()])), &[]).map(files);
        assert_eq!(text("aGk=").unwrap(), [&b"hi"[..]]);
        assert!(text("a b").unwrap_err().contains("base64"));
        for cut in [&b"\x02\0\0\0h"[..], b"\x02\0", b"\xFF\xFF\xFF\xFFhi", b"\x01\0\0\0a\x01\0\0\0b\x01\0\0\0c"] {
            assert!(of("images", "BYTES", &[2], None, cut).is_err(), "{cut:?}");
        }
    }

    #[test]
    fn how_many_there_may_be_is_bounded() {
        assert!(of("pixels", "UINT8", &[0, 1, 2, 3], numbers(0..0), &[]).unwrap_err().contains("no images"));
        assert!(of("pixels", "UINT8", &[], numbers(0..0), &[]).unwrap_err().contains("no images"));
        assert!(of("pixels", "UINT8", &[usize::MAX, 1, 2, 3], numbers(0..0), &[]).unwrap_err().contains("4 images"));
        assert!(of("other", "UINT8", &[1], None, &[]).unwrap_err().contains("no input \"other\""));
    }
}
