//! The Open Inference Protocol, version 2, over HTTP, with its binary tensor extension: what KServe and Triton speak.
//!
//! After <https://github.com/kserve/open-inference-protocol> and Triton's
//! <https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md>.

#[cfg(feature = "grpc")]
pub(crate) mod grpc;
#[cfg(feature = "grpc")]
mod messages;
pub(crate) mod metadata;
pub(crate) mod outputs;
pub(crate) mod request;
pub(crate) mod tensors;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::Response;

use self::outputs::Wanted;
use self::tensors::Given;
use crate::app::App;
use crate::asked::{Asked, ModelName};
use crate::body::{self, Octets};
use crate::decode;
use crate::engine::Images;
use crate::models::Loaded;
use crate::problem::{Problem, Refused};

/// How many bytes of a body are JSON: binary tensors follow.
const JSON_LENGTH: &str = "inference-header-content-length";

/// Open Inference Protocol: inference
///
/// With the binary tensor extension. Give one of the inputs `images` (BYTES [images]: files, in JSON as base64), `pixels`
/// (UINT8 [images, height, width, 3]: RGB of the model's size) and `normalised` (FP32 [images, height, width, 3] or
/// [images, 3, height, width]).
#[utoipa::path(
    post,
    path = "/v2/models/{model}/infer",
    params(
        ("model" = ModelName, Path, description = "Name of a model, as /v1/models lists it."),
        (
            "Inference-Header-Content-Length" = Option<usize>,
            Header,
            description = "How many bytes of the body are JSON, where binary tensors follow.",
        ),
    ),
    request_body(content((request::Request = "application/json"), (Octets = "application/octet-stream"))),
    responses(
        (
            status = 200,
            description = "The outputs that were asked for; all if none was.",
            content((outputs::Body = "application/json"), (Octets = "application/octet-stream")),
            headers(("Inference-Header-Content-Length" = usize, description = "How many bytes are JSON, where binary tensors follow.")),
        ),
        Refused,
    ),
)]
pub(crate) async fn infer(State(app): State<Arc<App>>, asked: Asked, request: Request) -> Result<Response, Problem> {
    let headers = request.headers();
    let kind = headers.get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or("?").to_ascii_lowercase());
    if let Some(kind) = &kind
        && !["application/json", "application/octet-stream"]
            .contains(&kind.split(';').next().unwrap_or_default().trim())
    {
        return Err(Problem::unsupported(
            "inference requests are application/json, or application/octet-stream with binary tensors",
        ));
    }
    let json_length = headers.get(JSON_LENGTH).map(|length| {
        let length = length.to_str().ok().and_then(|text| text.parse::<usize>().ok());
        length.ok_or_else(|| Problem::malformed(format!("{JSON_LENGTH} must be a number of bytes")))
    });
    let json_length = json_length.transpose()?;
    if app.engine.is_full() {
        return Err(Problem::busy("the queue is full"));
    }
    let body = body::read(&app, request).await?;
    let (model, most) = (Arc::clone(&asked.model), app.limits.images);
    // The body counts among those held until it was read into numbers.
    let read = move || {
        let request = request::read(&body.bytes, json_length)?;
        let wanted = outputs::wanted(&request)?;
        let given = tensors::given(&request, &model.model.card.preparation, most)?;
        Ok((request.id, wanted, given))
    };
    let (id, wanted, given) = decode::aside(&app, read).await?;
    let (images, answers) = answered(&app, &asked.model, given).await?;
    outputs::response(&asked.model, id.as_deref(), images, &answers, &wanted)
}

/// How many images were given, and what the model says of them: only numbers.
pub(crate) async fn answered(
    app: &App,
    model: &Arc<Loaded>,
    given: Given,
) -> Result<(usize, visage_model::ModelOutput), Problem> {
    let images = given.images();
    let place = app.engine.admit(images)?;
    let prepared = match given {
        Given::Files(files) => Images::Pixels(decode::pixels(app, model, files).await?),
        Given::Prepared { images, .. } => images,
    };
    let answers = app.engine.answers(Arc::clone(model), prepared, place).await?;
    if answers.logits.iter().chain(&answers.probabilities).any(|value| !value.is_finite()) {
        return Err(Problem::unusable("the numbers are so far from an image's that the answer is none"));
    }
    Ok((images, answers))
}

/// The outputs a model has, in the order in which they are given where nobody asks for some of them.
pub(crate) const OUTPUTS: [Wanted; 2] = [
    Wanted { output: outputs::Output::Probabilities, is_binary: false },
    Wanted { output: outputs::Output::Logits, is_binary: false },
];

/// How many images an inference request gives a model of this preparation, at most `most`: the whole of reading a request, apart from
/// any server. The first `json_length` bytes of `body` are JSON, or all of them.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn read_request(
    body: &[u8],
    json_length: Option<usize>,
    preparation: &visage_data::Preparation,
    most: usize,
) -> Result<usize, String> {
    let read = || {
        let request = request::read(&axum::body::Bytes::copy_from_slice(body), json_length)?;
        outputs::wanted(&request)?;
        tensors::given(&request, preparation, most).map(|given| given.images())
    };
    read().map_err(|problem: Problem| problem.detail().to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use visage_data::{Preparation, Size};

    use super::read_request;

    /// A request that is answered, of each kind.
    const WHOLE: [(&str, &[u8]); 3] = [
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
    fn whole_requests_are_read() {
        for (json, bytes) in WHOLE {
            assert_eq!(read(&[json.as_bytes(), bytes].concat(), Some(json.len())), Ok(1), "{json}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_are_not(body: Vec<u8>, length: Option<usize>) {
            let _ = read(&body, length);
        }

        #[test]
        fn a_damaged_request_is_read_or_refused(
            which in 0..WHOLE.len(),
            damage in prop::collection::vec((0..200_usize, any::<u8>()), 1..4),
            cut in 0..200_usize,
            length in prop::option::of(0..200_usize),
        ) {
            let (json, bytes) = WHOLE[which];
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
