//! An inference request as it comes: JSON, and behind it the tensors that are given as bytes.

use std::borrow::Cow;
use std::fmt;

use axum::body::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::description::whole_shape;
use crate::problem::Problem;

/// What is asked.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = InferRequest)]
pub(crate) struct Request {
    #[schema(value_type = String, required = false)]
    pub(crate) id: Option<String>,
    #[serde(default)]
    pub(crate) parameters: Parameters,
    #[schema(min_items = 1, max_items = 1)]
    pub(crate) inputs: Vec<Input>,
    #[serde(default)]
    #[schema(max_items = 2)]
    pub(crate) outputs: Vec<Output>,
}

/// A tensor that is given.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RequestInput)]
pub(crate) struct Input {
    #[schema(pattern = "^(images|pixels|normalised)$")]
    pub(crate) name: String,
    #[schema(schema_with = whole_shape)]
    pub(crate) shape: Vec<usize>,
    #[schema(pattern = "^(BYTES|UINT8|FP32)$")]
    pub(crate) datatype: String,
    #[serde(default)]
    pub(crate) parameters: Parameters,
    #[serde(default)]
    #[schema(value_type = Data)]
    pub(crate) data: Option<Data>,
    /// What follows the JSON, where the tensor is given so.
    #[serde(skip)]
    pub(crate) bytes: Option<Bytes>,
}

/// A tensor that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RequestOutput)]
pub(crate) struct Output {
    #[schema(pattern = "^(probabilities|logits)$")]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) parameters: Parameters,
}

/// The parameters that mean something here; others are passed over, but for those that would change the answer.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = RequestParameters)]
pub(crate) struct Parameters {
    /// Of an input: how many bytes of those behind the JSON are its.
    #[serde(default)]
    #[schema(value_type = usize)]
    pub(crate) binary_data_size: Option<usize>,
    /// Of an output: whether it is wanted as bytes.
    #[serde(default)]
    #[schema(value_type = bool)]
    pub(crate) binary_data: Option<bool>,
    /// Of a request: whether outputs are wanted as bytes.
    #[serde(default)]
    #[schema(value_type = bool)]
    pub(crate) binary_data_output: Option<bool>,
    /// Triton's own.
    #[serde(default)]
    #[schema(ignore)]
    shared_memory_region: Option<serde::de::IgnoredAny>,
    /// Triton's own.
    #[serde(default)]
    #[schema(ignore)]
    classification: Option<serde::de::IgnoredAny>,
}

impl Parameters {
    fn check(&self) -> Result<(), Problem> {
        if self.shared_memory_region.is_some() {
            return Err(Problem::malformed("shared memory is not supported: send the data itself"));
        }
        if self.classification.is_some() {
            return Err(Problem::malformed(
                "the classification extension is not supported: its answers exclude one another, these do not",
            ));
        }
        Ok(())
    }
}

/// Reads the body of a request, of which the first `json_length` bytes are JSON, or all.
pub(crate) fn read(body: &Bytes, json_length: Option<usize>) -> Result<Request, Problem> {
    let json_length = json_length.unwrap_or(body.len());
    let Some((json, _)) = body.split_at_checked(json_length) else {
        return Err(Problem::malformed(format!(
            "the body has {} bytes, and {json_length} of JSON are announced",
            body.len()
        )));
    };
    let mut request: Request = serde_json::from_slice(json)
        .map_err(|error| Problem::malformed(format!("this is not an inference request: {error}")))?;
    request.parameters.check()?;
    request.outputs.iter().try_for_each(|output| output.parameters.check())?;
    let mut rest = body.slice(json_length..);
    for input in &mut request.inputs {
        input.parameters.check()?;
        let Some(size) = input.parameters.binary_data_size else { continue };
        if size > rest.len() {
            return Err(Problem::malformed(format!(
                "input {} announces {size} bytes, of which {} are there",
                input.name,
                rest.len()
            )));
        }
        if input.data.is_some() {
            return Err(Problem::malformed(format!("input {} is given twice: as data and as bytes", input.name)));
        }
        input.bytes = Some(rest.split_to(size));
    }
    if !rest.is_empty() {
        return Err(Problem::malformed(format!("{} bytes follow that belong to no input", rest.len())));
    }
    Ok(request)
}

/// The values of a tensor, flat or in rows of rows, in their order.
#[derive(Debug, PartialEq)]
pub(crate) enum Data {
    Numbers(Vec<f32>),
    Texts(Vec<String>),
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut values = Values::default();
        deserializer.deserialize_seq(Rows(&mut values))?;
        match (values.numbers.is_empty(), values.texts.is_empty()) {
            (_, true) => Ok(Self::Numbers(values.numbers)),
            (true, false) => Ok(Self::Texts(values.texts)),
            (false, false) => Err(Error::custom("numbers and texts in one tensor")),
        }
    }
}

impl PartialSchema for Data {
    fn schema() -> RefOr<Schema> {
        let one = |kind| ObjectBuilder::new().schema_type(kind);
        let row = Ref::from_schema_name(Self::name());
        let items = AnyOfBuilder::new().item(one(Type::Number)).item(one(Type::String)).item(row);
        let described = "Values, flat or in rows of rows: numbers, or texts in base64.";
        ArrayBuilder::new().items(items).description(Some(described)).into()
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
    texts: Vec<String>,
}

/// Reads an array into the values.
struct Rows<'a>(&'a mut Values);

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers or of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while array.next_element_seed(Element(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

/// Reads what is in an array: a value, or another array.
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
        f.write_str("a number, a text or an array of them")
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
        self.0.texts.push(value.to_owned());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<(), A::Error> {
        Rows(self.0).visit_seq(array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"{"inputs":[{"name":"a","shape":[2],"datatype":"FP32""#;

    fn read(json: &str, bytes: &[u8]) -> Result<Request, String> {
        let body = Bytes::from([json.as_bytes(), bytes].concat());
        super::read(&body, (!bytes.is_empty()).then_some(json.len())).map_err(|problem| problem.detail().to_owned())
    }

    #[test]
    fn rows_of_rows_are_flat() {
        let data =
            |text: &str| read(&format!(r#"{HEAD},"data":{text}}}]}}"#), &[]).map(|mut r| r.inputs.remove(0).data);
        assert_eq!(data("[[1,2.5],[[-3]],[]]"), Ok(Some(Data::Numbers(vec![1.0, 2.5, -3.0]))));
        assert_eq!(data(r#"["a",["b"]]"#), Ok(Some(Data::Texts(vec!["a".into(), "b".into()]))));
        for wrong in ["3", "[null]", "[true]", r#"[1,"a"]"#, &"[".repeat(100_000), r#"[{"a":1}]"#] {
            assert!(data(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_behind_the_json_are_dealt_out() {
        let two = r#","parameters":{"binary_data_size":2}},{"name":"b","shape":[1],"datatype":"UINT8","parameters":{"binary_data_size":1}}]}"#;
        let request = read(&format!("{HEAD}{two}"), b"xyz").unwrap();
        assert_eq!(request.inputs[0].bytes.as_deref(), Some(&b"xy"[..]));
        assert_eq!(request.inputs[1].bytes.as_deref(), Some(&b"z"[..]));
        let error = |json: &str, bytes: &[u8]| read(json, bytes).unwrap_err();
        assert!(error(&format!("{HEAD}{two}"), b"xyzz").contains("1 bytes follow"));
        assert!(error(&format!("{HEAD}{two}"), b"xy").contains("announces 1 bytes, of which 0"));
        assert!(
            error(&format!(r#"{HEAD},"data":[1],"parameters":{{"binary_data_size":1}}}}]}}"#), b"x").contains("twice")
        );
        let beyond = super::read(&Bytes::from_static(b"{}"), Some(3)).unwrap_err();
        assert!(beyond.detail().contains("2 bytes, and 3 of JSON"));
    }
}
