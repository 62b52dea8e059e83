//! Output tensors: which of them a request selects, and the response.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use visage_model::ModelOutput;

use super::request::{InferRequest, JSON_LENGTH};
use crate::faces::Photograph;
use crate::models::ServedModel;
use crate::problem::Problem;
use crate::response::json;

/// An output tensor. It has a row for each image, or for each face of photographs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputKind {
    /// FP32 `[rows, attributes]`; calibrated, if the model has a calibration.
    Probabilities,
    /// FP32 `[rows, attributes]`.
    Logits,
    /// INT64 `[rows]`: the number of the face's photograph, from 0.
    ImageIndex,
    /// FP32 `[rows, 4]`: left, top, width and height in pixels of the photograph.
    FaceBoxes,
}

impl OutputKind {
    const ALL: [Self; 4] = [Self::Probabilities, Self::Logits, Self::ImageIndex, Self::FaceBoxes];

    /// All outputs, in the order of a response whose request selects none. Two are of faces alone.
    pub(crate) fn all(with_faces: bool) -> &'static [Self] {
        if with_faces { &Self::ALL } else { &Self::ALL[..2] }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Probabilities => "probabilities",
            Self::Logits => "logits",
            Self::ImageIndex => "image_index",
            Self::FaceBoxes => "face_boxes",
        }
    }

    pub(crate) fn datatype(self) -> &'static str {
        match self {
            Self::ImageIndex => "INT64",
            Self::Probabilities | Self::Logits | Self::FaceBoxes => "FP32",
        }
    }

    /// Number of values in a row; `None` if a row is one value.
    pub(crate) fn columns(self, model: &ServedModel) -> Option<usize> {
        match self {
            Self::Probabilities | Self::Logits => Some(model.card().attributes.len()),
            Self::ImageIndex => None,
            Self::FaceBoxes => Some(4),
        }
    }

    fn from_name(name: &str, with_faces: bool) -> Result<Self, Problem> {
        let Some(kind) = Self::ALL.into_iter().find(|kind| kind.name() == name) else {
            let names = Self::ALL.map(Self::name).join(", ");
            return Err(Problem::malformed(format!("there is no output {name:?}: there are {names}")));
        };
        if !Self::all(with_faces).contains(&kind) {
            let detail = format!("the output {name} comes with the request parameter faces, all or largest, only");
            return Err(Problem::malformed(detail));
        }
        Ok(kind)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SelectedOutput {
    pub(crate) kind: OutputKind,
    /// Whether its values follow the JSON as bytes.
    pub(crate) is_binary: bool,
}

/// The outputs that a request selects; all of them if it names none.
pub(crate) fn selected(request: &InferRequest, with_faces: bool) -> Result<Vec<SelectedOutput>, Problem> {
    let default = request.parameters.binary_data_output.unwrap_or(false);
    let all = OutputKind::all(with_faces);
    if request.outputs.is_empty() {
        return Ok(all.iter().map(|&kind| SelectedOutput { kind, is_binary: default }).collect());
    }
    if request.outputs.len() > all.len() {
        return Err(Problem::malformed("the request selects an output twice"));
    }
    let selected = request.outputs.iter().map(|output| {
        let is_binary = output.parameters.binary_data.unwrap_or(default);
        Ok(SelectedOutput { kind: OutputKind::from_name(&output.name, with_faces)?, is_binary })
    });
    selected.collect()
}

/// What was computed for a request: a row for each image, or for each face of photographs.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) output: ModelOutput,
    pub(crate) faces: Option<FaceRows>,
}

/// Where the faces of the rows are.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct FaceRows {
    image_index: Vec<i64>,
    /// Left, top, width and height of each.
    boxes: Vec<f32>,
}

impl FaceRows {
    pub(crate) fn of(photographs: &[Photograph]) -> Self {
        let mut rows = Self::default();
        for (index, photograph) in photographs.iter().enumerate() {
            for face in &photograph.faces {
                let found = face.face.face_box;
                rows.image_index.push(index as i64);
                rows.boxes.extend([found.x, found.y, found.width, found.height].map(|side| side as f32));
            }
        }
        rows
    }
}

impl Rows {
    pub(crate) fn values(&self, kind: OutputKind) -> Values<'_> {
        let faces = self.faces.as_ref();
        match kind {
            OutputKind::Probabilities => Values::Floats(&self.output.probabilities),
            OutputKind::Logits => Values::Floats(&self.output.logits),
            OutputKind::ImageIndex => Values::Integers(faces.map_or(&[], |faces| &faces.image_index)),
            OutputKind::FaceBoxes => Values::Floats(faces.map_or(&[], |faces| &faces.boxes)),
        }
    }

    pub(crate) fn shape(&self, kind: OutputKind, model: &ServedModel) -> Vec<usize> {
        let rows = self.output.probabilities.len() / model.card().attributes.len();
        [rows].into_iter().chain(kind.columns(model)).collect()
    }
}

/// The values of an output tensor, row by row.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Values<'a> {
    Floats(&'a [f32]),
    Integers(&'a [i64]),
}

impl Values<'_> {
    /// Little-endian.
    pub(crate) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Floats(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Integers(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }

    fn byte_count(self) -> usize {
        match self {
            Self::Floats(values) => size_of_val(values),
            Self::Integers(values) => size_of_val(values),
        }
    }
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
    #[schema(pattern = "^(FP32|INT64)$")]
    datatype: &'static str,
    #[schema(min_items = 1, max_items = 2)]
    shape: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = OutputParameters)]
    parameters: Option<OutputParameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<f64>)]
    data: Option<Values<'a>>,
}

#[derive(Serialize, ToSchema)]
struct OutputParameters {
    binary_data_size: usize,
}

pub(crate) fn response(
    model: &ServedModel,
    id: Option<&str>,
    rows: &Rows,
    selected: &[SelectedOutput],
) -> Result<Response, Problem> {
    let tensor = |&SelectedOutput { kind, is_binary }: &SelectedOutput| {
        let values = rows.values(kind);
        OutputTensor {
            name: kind.name(),
            datatype: kind.datatype(),
            shape: rows.shape(kind, model),
            parameters: is_binary.then_some(OutputParameters { binary_data_size: values.byte_count() }),
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
        bytes.extend(rows.values(*kind).bytes());
    }
    Ok(([(header::CONTENT_TYPE.as_str(), "application/octet-stream"), (JSON_LENGTH, &length)], bytes).into_response())
}
