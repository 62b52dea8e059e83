//! The tensors of an answer.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use visage_model::ModelOutput;

use super::request::Request;
use super::{JSON_LENGTH, OUTPUTS};
use crate::attributes::json;
use crate::models::Loaded;
use crate::problem::Problem;

/// An output, FP32 `[images, attributes]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// With the card's calibration.
    Probabilities,
    /// Before any.
    Logits,
}

impl Output {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Probabilities => "probabilities",
            Self::Logits => "logits",
        }
    }

    /// The output of this name.
    pub(crate) fn named(name: &str) -> Result<Self, Problem> {
        let [probabilities, logits] = [Self::Probabilities, Self::Logits];
        [probabilities, logits].into_iter().find(|output| output.name() == name).ok_or_else(|| {
            Problem::malformed(format!(
                "there is no output {name:?}: there are {} and {}",
                probabilities.name(),
                logits.name()
            ))
        })
    }

    pub(crate) fn of(self, answers: &ModelOutput) -> &[f32] {
        match self {
            Self::Probabilities => &answers.probabilities,
            Self::Logits => &answers.logits,
        }
    }
}

/// An output that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) output: Output,
    /// As bytes behind the JSON.
    pub(crate) is_binary: bool,
}

/// The outputs that a request asks for; all of them if it names none.
pub(crate) fn wanted(request: &Request) -> Result<Vec<Wanted>, Problem> {
    let usual = request.parameters.binary_data_output.unwrap_or(false);
    if request.outputs.is_empty() {
        return Ok(OUTPUTS.into_iter().map(|wanted| Wanted { is_binary: usual, ..wanted }).collect());
    }
    if request.outputs.len() > OUTPUTS.len() {
        return Err(Problem::malformed("an output is asked for twice"));
    }
    let wanted = request.outputs.iter().map(|output| {
        let is_binary = output.parameters.binary_data.unwrap_or(usual);
        Ok(Wanted { output: Output::named(&output.name)?, is_binary })
    });
    wanted.collect()
}

/// The JSON of an answer.
#[derive(Serialize, ToSchema)]
#[schema(as = InferResponse)]
pub(crate) struct Body<'a> {
    model_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    id: Option<&'a str>,
    outputs: Vec<Tensor<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OutputTensor)]
struct Tensor<'a> {
    name: &'static str,
    #[schema(pattern = "^FP32$")]
    datatype: &'static str,
    #[schema(min_items = 2, max_items = 2)]
    shape: [usize; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Parameters)]
    parameters: Option<Parameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<f32>)]
    data: Option<&'a [f32]>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OutputParameters)]
struct Parameters {
    binary_data_size: usize,
}

/// The answer about `images` images.
pub(crate) fn response(
    model: &Loaded,
    id: Option<&str>,
    images: usize,
    answers: &ModelOutput,
    wanted: &[Wanted],
) -> Result<Response, Problem> {
    let shape = [images, model.model.card.attributes.len()];
    let tensor = |&Wanted { output, is_binary }: &Wanted| {
        let values = output.of(answers);
        Tensor {
            name: output.name(),
            datatype: "FP32",
            shape,
            parameters: is_binary.then_some(Parameters { binary_data_size: size_of_val(values) }),
            data: (!is_binary).then_some(values),
        }
    };
    let body = Body { model_name: &model.name, id, outputs: wanted.iter().map(tensor).collect() };
    if wanted.iter().all(|wanted| !wanted.is_binary) {
        return Ok(json(&body));
    }
    let mut bytes = serde_json::to_vec(&body).map_err(|_| Problem::bug())?;
    let length = bytes.len().to_string();
    for Wanted { output, .. } in wanted.iter().filter(|wanted| wanted.is_binary) {
        bytes.extend(output.of(answers).iter().flat_map(|value| value.to_le_bytes()));
    }
    Ok(([(header::CONTENT_TYPE.as_str(), "application/octet-stream"), (JSON_LENGTH, &length)], bytes).into_response())
}
