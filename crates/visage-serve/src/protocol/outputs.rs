//! Output tensors: which of them a request selects, and the response.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use visage_model::ModelOutput;

use super::request::{InferRequest, JSON_LENGTH};
use crate::models::ServedModel;
use crate::problem::Problem;
use crate::response::json;

/// An output tensor, FP32 `[images, attributes]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputKind {
    /// Calibrated, if the model has a calibration.
    Probabilities,
    Logits,
}

impl OutputKind {
    /// All outputs, in the order of a response whose request selects none.
    pub(crate) const ALL: [Self; 2] = [Self::Probabilities, Self::Logits];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Probabilities => "probabilities",
            Self::Logits => "logits",
        }
    }

    fn from_name(name: &str) -> Result<Self, Problem> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(" and ");
            Problem::malformed(format!("there is no output {name:?}: there are {names}"))
        })
    }

    pub(crate) fn values(self, output: &ModelOutput) -> &[f32] {
        match self {
            Self::Probabilities => &output.probabilities,
            Self::Logits => &output.logits,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SelectedOutput {
    pub(crate) kind: OutputKind,
    /// Whether its values follow the JSON as bytes.
    pub(crate) is_binary: bool,
}

/// The outputs that a request selects; all of them if it names none.
pub(crate) fn selected(request: &InferRequest) -> Result<Vec<SelectedOutput>, Problem> {
    let default = request.parameters.binary_data_output.unwrap_or(false);
    if request.outputs.is_empty() {
        return Ok(OutputKind::ALL.map(|kind| SelectedOutput { kind, is_binary: default }).to_vec());
    }
    if request.outputs.len() > OutputKind::ALL.len() {
        return Err(Problem::malformed("the request selects an output twice"));
    }
    let selected = request.outputs.iter().map(|output| {
        let is_binary = output.parameters.binary_data.unwrap_or(default);
        Ok(SelectedOutput { kind: OutputKind::from_name(&output.name)?, is_binary })
    });
    selected.collect()
}

#[derive(Serialize, ToSchema)]
pub(crate) struct InferResponse<'a> {
    model_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    id: Option<&'a str>,
    outputs: Vec<OutputTensor<'a>>,
}

#[derive(Serialize, ToSchema)]
struct OutputTensor<'a> {
    name: &'static str,
    #[schema(pattern = "^FP32$")]
    datatype: &'static str,
    #[schema(min_items = 2, max_items = 2)]
    shape: [usize; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = OutputParameters)]
    parameters: Option<OutputParameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<f32>)]
    data: Option<&'a [f32]>,
}

#[derive(Serialize, ToSchema)]
struct OutputParameters {
    binary_data_size: usize,
}

pub(crate) fn response(
    model: &ServedModel,
    id: Option<&str>,
    images: usize,
    output: &ModelOutput,
    selected: &[SelectedOutput],
) -> Result<Response, Problem> {
    let shape = [images, model.card().attributes.len()];
    let tensor = |&SelectedOutput { kind, is_binary }: &SelectedOutput| {
        let values = kind.values(output);
        OutputTensor {
            name: kind.name(),
            datatype: "FP32",
            shape,
            parameters: is_binary.then_some(OutputParameters { binary_data_size: size_of_val(values) }),
            data: (!is_binary).then_some(values),
        }
    };
    let body = InferResponse { model_name: &model.name, id, outputs: selected.iter().map(tensor).collect() };
    if selected.iter().all(|selected| !selected.is_binary) {
        return Ok(json(&body));
    }
    let mut bytes = serde_json::to_vec(&body).map_err(|_| Problem::bug())?;
    let length = bytes.len().to_string();
    for SelectedOutput { kind, .. } in selected.iter().filter(|selected| selected.is_binary) {
        bytes.extend(kind.values(output).iter().flat_map(|value| value.to_le_bytes()));
    }
    Ok(([(header::CONTENT_TYPE.as_str(), "application/octet-stream"), (JSON_LENGTH, &length)], bytes).into_response())
}
