//! `POST /v2/models/{model}/infer`: inference.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use visage_data::Preparation;

use super::inputs::{self, InputImages};
use super::outputs::{self, FaceRows, InferResponse, Rows, SelectedOutput};
use super::request::{self, InferRequest, JSON_LENGTH};
use crate::client::Client;
use crate::engine::{Admission, Images};
use crate::extract::Selection;
use crate::faces::{FaceSelection, Which};
use crate::models::ServedModel;
use crate::openapi::{ImageErrors, ModelInPath, Octets};
use crate::problem::Problem;
use crate::state::Pipeline;

/// Memory that parsing a request takes, as a multiple of its body: numbers of four bytes from digits with commas, and their images.
pub(crate) const PARSED_SIZE: usize = 8;

/// Open Inference Protocol: inference
///
/// Supports the binary tensor extension. A request has one of the inputs `images` (BYTES [images]: image files, in JSON as
/// base64), `pixels` (UINT8 [images, height, width, 3]: RGB of the model's size) and `normalised` (FP32
/// [images, height, width, 3] or [images, 3, height, width]).
///
/// With the parameter `faces` of the request, `all` or `largest`, the faces in the photographs of `images` are found and aligned. The
/// outputs then have a row for each face, and there are two more: `image_index` (INT64 [faces]: the number of the face's photograph,
/// from 0) and `face_boxes` (FP32 [faces, 4]: left, top, width and height in pixels of the photograph).
#[utoipa::path(
    post,
    path = "/v2/models/{model}/infer",
    params(
        ModelInPath,
        (
            "Inference-Header-Content-Length" = Option<usize>,
            Header,
            description = "Number of JSON bytes in the body, if binary tensors follow.",
        ),
    ),
    request_body(content((InferRequest = "application/json"), (Octets = "application/octet-stream"))),
    responses(
        (
            status = 200,
            description = "The selected outputs; all of them by default.",
            content((InferResponse = "application/json"), (Octets = "application/octet-stream")),
            headers(("Inference-Header-Content-Length" = usize, description = "Number of JSON bytes, if binary tensors follow.")),
        ),
        ImageErrors,
    ),
)]
pub(crate) async fn infer(
    State(pipeline): State<Arc<Pipeline>>,
    client: Client,
    Selection { model, faces, face, .. }: Selection,
    request: Request,
) -> Result<Response, Problem> {
    if faces.is_some() || face.is_some() {
        return Err(Problem::malformed("send faces among the parameters of the request, not in its URL"));
    }
    check_content_type(request.headers())?;
    let json_length = json_length(request.headers())?;
    let party = client.asks(&model);
    let body = pipeline.read(&party, request).await?;
    let memory = body.bytes.len().saturating_mul(PARSED_SIZE);
    // Of one image, until it is known how many there are.
    let mut admission = pipeline.queue.admit(&party, 1)?;
    let (parsed_for, max_images) = (Arc::clone(&model), pipeline.max_images);
    // Moves the body, so that its memory counts as used until it is parsed.
    let parse = move || {
        let request = request::parse(&body.bytes, json_length)?;
        Inference::new(request, &parsed_for.card().preparation, max_images)
    };
    let Inference { id, outputs, input, which } = admission.keep(pipeline.decoding.run(&party, memory, parse)).await?;
    let rows = run(&pipeline, &model, input, which, admission).await?;
    outputs::response(&model, id.as_deref(), &rows, &outputs)
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let value = value.to_str().unwrap_or_default().to_ascii_lowercase();
    match value.split(';').next().unwrap_or_default().trim() {
        "application/json" | "application/octet-stream" => Ok(()),
        _ => Err(Problem::unsupported(
            "send inference requests as application/json, or as application/octet-stream with binary tensors",
        )),
    }
}

fn json_length(headers: &HeaderMap) -> Result<Option<usize>, Problem> {
    let Some(value) = headers.get(JSON_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| Problem::malformed(format!("{JSON_LENGTH} must be a number of bytes")))
}

pub(crate) struct Inference {
    pub(crate) id: Option<String>,
    pub(crate) outputs: Vec<SelectedOutput>,
    pub(crate) input: InputImages,
    /// The faces of the input's photographs that are classified; `None` for the images themselves.
    pub(crate) which: Option<Which>,
}

impl Inference {
    /// Validates a request for a model with this preparation.
    pub(crate) fn new(request: InferRequest, preparation: &Preparation, max_images: usize) -> Result<Self, Problem> {
        let which = request.parameters.faces.and_then(FaceSelection::which);
        let outputs = outputs::selected(&request, which.is_some())?;
        let input = inputs::images(&request, preparation, max_images)?;
        if which.is_some() && !matches!(input, InputImages::Files(_)) {
            return Err(Problem::malformed(format!(
                "faces are found in photographs: send the input {}",
                inputs::FILES
            )));
        }
        Ok(Self { id: request.id, outputs, input, which })
    }
}

pub(crate) async fn run(
    pipeline: &Pipeline,
    model: &Arc<ServedModel>,
    input: InputImages,
    which: Option<Which>,
    mut admission: Admission,
) -> Result<Rows, Problem> {
    pipeline.faces.check(which)?;
    admission.resize(input.count())?;
    let party = admission.party().clone();
    let images = match (input, which) {
        (InputImages::Files(files), Some(which)) => {
            let (photographs, output) = pipeline.classify_faces(model, files, which, admission).await?;
            return Ok(Rows { output, faces: Some(FaceRows::of(&photographs)) });
        }
        (InputImages::Files(files), None) => {
            Images::Pixels(admission.keep(pipeline.decoding.images(model, &party, files)).await?.pixels)
        }
        (InputImages::Prepared { images, .. }, _) => images,
    };
    let output = pipeline.queue.predict(model, images, admission).await?;
    if output.logits.iter().chain(&output.probabilities).any(|value| !value.is_finite()) {
        return Err(Problem::unusable("the input's values are so large that the network computes NaN or infinity"));
    }
    Ok(Rows { output, faces: None })
}

/// Parses and validates the body of an inference request, of which the first `json_length` bytes are JSON, or all. Returns the
/// number of images. For fuzzing.
///
/// # Errors
///
/// The detail of the problem.
pub fn read_request(
    body: &[u8],
    json_length: Option<usize>,
    preparation: &Preparation,
    max_images: usize,
) -> Result<usize, String> {
    let inference = request::parse(&Bytes::copy_from_slice(body), json_length)
        .and_then(|request| Inference::new(request, preparation, max_images));
    inference.map(|inference| inference.input.count()).map_err(|problem| problem.detail().to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use visage_data::{Preparation, Size};

    use super::read_request;

    const VALID: [(&str, &[u8]); 3] = [
        (
            r#"{"inputs":[{"name":"images","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":6}}]}"#,
            b"\x02\0\0\0hi",
        ),
        (
            r#"{"id":"a","inputs":[{"name":"pixels","datatype":"UINT8","shape":[1,1,1,3],"data":[[1,2,3]]}],"outputs":[{"name":"logits"}]}"#,
            b"",
        ),
        (
            r#"{"inputs":[{"name":"images","datatype":"BYTES","shape":[1],"data":["aGk="]}],"parameters":{"binary_data_output":true}}"#,
            b"",
        ),
    ];

    fn read(body: &[u8], json_length: Option<usize>) -> Result<usize, String> {
        read_request(body, json_length, &Preparation::exact(Size::square(1)), 4)
    }

    #[test]
    fn valid_requests_are_read() {
        for (json, bytes) in VALID {
            assert_eq!(read(&[json.as_bytes(), bytes].concat(), Some(json.len())), Ok(1), "{json}");
        }
    }

    #[test]
    fn faces_are_found_in_files_alone_and_have_outputs_of_their_own() {
        let ask = |name: &str, datatype: &str, shape: &str, data: &str, rest: &str| {
            let input = format!(r#"{{"name":"{name}","datatype":"{datatype}","shape":{shape},"data":{data}}}"#);
            read(format!(r#"{{"inputs":[{input}]{rest}}}"#).as_bytes(), None)
        };
        let files = |rest: &str| ask("images", "BYTES", "[1]", r#"["aGk="]"#, rest);
        let pixels = |rest: &str| ask("pixels", "UINT8", "[1,1,1,3]", "[1,2,3]", rest);
        assert_eq!(files(r#","parameters":{"faces":"largest"},"outputs":[{"name":"face_boxes"}]"#), Ok(1));
        assert_eq!(pixels(r#","parameters":{"faces":"off"}"#), Ok(1));
        assert!(pixels(r#","parameters":{"faces":"all"}"#).unwrap_err().contains("send the input images"));
        let without = files(r#","outputs":[{"name":"image_index"}]"#).unwrap_err();
        assert!(without.contains("parameter faces"), "{without}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body: Vec<u8>, length: Option<usize>) {
            let _ = read(&body, length);
        }

        #[test]
        fn a_damaged_request_is_read_or_refused(
            which in 0..VALID.len(),
            damage in prop::collection::vec((0..200_usize, any::<u8>()), 1..4),
            cut in 0..200_usize,
            length in prop::option::of(0..200_usize),
        ) {
            let (json, bytes) = VALID[which];
            let mut body = [json.as_bytes(), bytes].concat();
            for (at, byte) in damage {
                let at = at % body.len();
                body[at] = byte;
            }
            body.truncate(body.len().saturating_sub(cut / 8));
            if let Ok(images) = read(&body, Some(length.unwrap_or(json.len()))) {
                prop_assert!((1..=4).contains(&images));
            }
        }
    }
}
