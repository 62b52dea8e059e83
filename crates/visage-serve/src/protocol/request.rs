//! The body of an inference request: JSON, followed by the data of binary tensors.

use std::borrow::Cow;
use std::fmt;

use axum::body::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::faces::FaceSelection;
use crate::openapi::nonempty_shape;
use crate::problem::Problem;

/// The header with the number of JSON bytes in a body. Binary data follows them.
pub(crate) const JSON_LENGTH: &str = "inference-header-content-length";

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct InferRequest {
    #[schema(value_type = String, required = false)]
    pub(crate) id: Option<String>,
    #[serde(default)]
    pub(crate) parameters: RequestParameters,
    #[schema(min_items = 1, max_items = 1)]
    pub(crate) inputs: Vec<RequestInput>,
    #[serde(default)]
    #[schema(max_items = 4)]
    pub(crate) outputs: Vec<RequestOutput>,
}

/// An input tensor.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct RequestInput {
    #[schema(pattern = "^(images|pixels|normalised)$")]
    pub(crate) name: String,
    #[schema(schema_with = nonempty_shape)]
    pub(crate) shape: Vec<usize>,
    #[schema(pattern = "^(BYTES|UINT8|FP32)$")]
    pub(crate) datatype: String,
    #[serde(default)]
    pub(crate) parameters: RequestParameters,
    #[serde(default)]
    #[schema(value_type = Data)]
    pub(crate) data: Option<Data>,
    /// Binary data from behind the JSON.
    #[serde(skip)]
    pub(crate) bytes: Option<Bytes>,
}

/// An output tensor that the request selects.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct RequestOutput {
    #[schema(pattern = "^(probabilities|logits|image_index|face_boxes)$")]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) parameters: RequestParameters,
}

/// The supported parameters. Unknown ones are ignored, except those that would change the meaning of the response.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct RequestParameters {
    /// Of an input: number of bytes of its binary data.
    #[serde(default)]
    #[schema(value_type = usize)]
    pub(crate) binary_data_size: Option<usize>,
    /// Of an output: whether to return it as binary data.
    #[serde(default)]
    #[schema(value_type = bool)]
    pub(crate) binary_data: Option<bool>,
    /// Of a request: whether to return outputs as binary data by default.
    #[serde(default)]
    #[schema(value_type = bool)]
    pub(crate) binary_data_output: Option<bool>,
    /// Of a request: whether the faces in photographs are found, and each is classified.
    #[serde(default)]
    #[schema(value_type = FaceSelection)]
    pub(crate) faces: Option<FaceSelection>,
    /// An extension of Triton that is refused.
    #[serde(default)]
    #[schema(ignore)]
    shared_memory_region: Option<serde::de::IgnoredAny>,
    /// An extension of Triton that is refused.
    #[serde(default)]
    #[schema(ignore)]
    classification: Option<serde::de::IgnoredAny>,
}

impl RequestParameters {
    #[cfg(feature = "grpc")]
    pub(crate) fn with_faces(faces: Option<FaceSelection>) -> Self {
        Self { faces, ..Self::default() }
    }

    /// Checks the parameters of an input or output.
    fn check_tensor(&self, name: &str) -> Result<(), Problem> {
        if self.faces.is_some() {
            return Err(Problem::malformed(format!("faces is a parameter of the request, not of {name}")));
        }
        self.check()
    }

    fn check(&self) -> Result<(), Problem> {
        if self.shared_memory_region.is_some() {
            return Err(Problem::malformed("shared memory is not supported: send the data itself"));
        }
        if self.classification.is_some() {
            return Err(Problem::malformed(
                "the classification extension is not supported: it ranks exclusive classes, and attributes are independent",
            ));
        }
        Ok(())
    }
}

/// Parses a body, of which the first `json_length` bytes are JSON, or all.
pub(crate) fn parse(body: &Bytes, json_length: Option<usize>) -> Result<InferRequest, Problem> {
    let json_length = json_length.unwrap_or(body.len());
    let Some((json, _)) = body.split_at_checked(json_length) else {
        return Err(Problem::malformed(format!(
            "the body has {} bytes, but {JSON_LENGTH} is {json_length}",
            body.len()
        )));
    };
    let mut request: InferRequest = serde_json::from_slice(json)
        .map_err(|error| Problem::malformed(format!("this is not an inference request: {error}")))?;
    request.parameters.check()?;
    request.outputs.iter().try_for_each(|output| output.parameters.check_tensor(&output.name))?;
    let mut rest = body.slice(json_length..);
    for input in &mut request.inputs {
        input.parameters.check_tensor(&input.name)?;
        let Some(size) = input.parameters.binary_data_size else { continue };
        if size > rest.len() {
            return Err(Problem::malformed(format!(
                "input {} declares {size} bytes of binary data, but {} follow",
                input.name,
                rest.len()
            )));
        }
        if input.data.is_some() {
            return Err(Problem::malformed(format!(
                "input {} is given twice: as JSON data and as binary data",
                input.name
            )));
        }
        input.bytes = Some(rest.split_to(size));
    }
    if !rest.is_empty() {
        return Err(Problem::malformed(format!("{} bytes follow the data of the last input", rest.len())));
    }
    Ok(request)
}

/// The values of a tensor in row-major order. In JSON they may be flat or nested.
#[derive(Debug, PartialEq)]
pub(crate) enum Data {
    Numbers(Vec<f32>),
    Strings(Vec<String>),
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut values = Values::default();
        deserializer.deserialize_seq(Array(&mut values))?;
        match (values.numbers.is_empty(), values.strings.is_empty()) {
            (_, true) => Ok(Self::Numbers(values.numbers)),
            (true, false) => Ok(Self::Strings(values.strings)),
            (false, false) => Err(Error::custom("numbers and strings in one tensor")),
        }
    }
}

impl PartialSchema for Data {
    fn schema() -> RefOr<Schema> {
        let one = |kind| ObjectBuilder::new().schema_type(kind);
        let row = Ref::from_schema_name(Self::name());
        let items = AnyOfBuilder::new().item(one(Type::Number)).item(one(Type::String)).item(row);
        let description = "Values, flat or nested: numbers, or strings in base64.";
        ArrayBuilder::new().items(items).description(Some(description)).into()
    }
}

impl ToSchema for Data {
    fn name() -> Cow<'static, str> {
        "Data".into()
    }
}

#[derive(Default)]
struct Values {
    numbers: Vec<f32>,
    strings: Vec<String>,
}

/// Flattens an array into the values.
struct Array<'a>(&'a mut Values);

impl<'de> Visitor<'de> for Array<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers or strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while array.next_element_seed(Element(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

/// Reads an element of an array: a value or another array.
struct Element<'a>(&'a mut Values);

impl<'de> serde::de::DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a string or an array of them")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.0.numbers.push(value as f32);
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.visit_f64(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.visit_f64(value as f64)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.0.strings.push(value.to_owned());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<(), A::Error> {
        Array(self.0).visit_seq(array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"{"inputs":[{"name":"a","shape":[2],"datatype":"FP32""#;

    fn read(json: &str, bytes: &[u8]) -> Result<InferRequest, String> {
        let body = Bytes::from([json.as_bytes(), bytes].concat());
        parse(&body, (!bytes.is_empty()).then_some(json.len())).map_err(|problem| problem.detail().to_owned())
    }

    #[test]
    fn nested_arrays_are_flattened() {
        let data =
            |text: &str| read(&format!(r#"{HEAD},"data":{text}}}]}}"#), &[]).map(|mut r| r.inputs.remove(0).data);
        assert_eq!(data("[[1,2.5],[[-3]],[]]"), Ok(Some(Data::Numbers(vec![1.0, 2.5, -3.0]))));
        assert_eq!(data(r#"["a",["b"]]"#), Ok(Some(Data::Strings(vec!["a".into(), "b".into()]))));
        for wrong in ["3", "[null]", "[true]", r#"[1,"a"]"#, &"[".repeat(100_000), r#"[{"a":1}]"#] {
            assert!(data(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn faces_is_a_parameter_of_the_request() {
        let request = |parameters: &str| read(&format!(r#"{HEAD}}}],"parameters":{parameters}}}"#), &[]);
        assert_eq!(request(r#"{"faces":"all"}"#).unwrap().parameters.faces, Some(FaceSelection::All));
        assert_eq!(request("{}").unwrap().parameters.faces, None);
        for wrong in [r#""some""#, r#""""#, "true", "1"] {
            let error = request(&format!(r#"{{"faces":{wrong}}}"#)).unwrap_err();
            assert!(error.contains("not an inference request"), "{error}");
        }
        let misplaced = read(&format!(r#"{HEAD},"parameters":{{"faces":"all"}}}}]}}"#), &[]).unwrap_err();
        assert!(misplaced.contains("a parameter of the request"), "{misplaced}");
    }

    #[test]
    fn binary_data_is_assigned_to_inputs() {
        let two = r#","parameters":{"binary_data_size":2}},{"name":"b","shape":[1],"datatype":"UINT8","parameters":{"binary_data_size":1}}]}"#;
        let request = read(&format!("{HEAD}{two}"), b"xyz").unwrap();
        assert_eq!(request.inputs[0].bytes.as_deref(), Some(&b"xy"[..]));
        assert_eq!(request.inputs[1].bytes.as_deref(), Some(&b"z"[..]));
        let error = |json: &str, bytes: &[u8]| read(json, bytes).unwrap_err();
        assert!(error(&format!("{HEAD}{two}"), b"xyzz").contains("1 bytes follow"));
        assert!(error(&format!("{HEAD}{two}"), b"xy").contains("declares 1 bytes of binary data, but 0 follow"));
        assert!(
            error(&format!(r#"{HEAD},"data":[1],"parameters":{{"binary_data_size":1}}}}]}}"#), b"x").contains("twice")
        );
        let beyond = parse(&Bytes::from_static(b"{}"), Some(3)).unwrap_err();
        assert!(beyond.detail().contains("2 bytes, but inference-header-content-length is 3"));
    }
}
