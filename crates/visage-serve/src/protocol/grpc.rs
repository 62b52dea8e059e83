//! The protocol over gRPC, without a gRPC library.
//!
//! All methods are unary. A call is then an HTTP/2 request whose body is one message behind a five-byte prefix. The response has the
//! same form, with the status in the trailers (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>). Calls pass the same
//! middleware and limits as other requests.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http_body_util::{BodyExt, Full};
use prost::Message;

use super::infer::{self, Inference};
use super::messages::{
    Empty, InferInputTensor, InferParameter, ModelInferRequest, ModelInferResponse, ModelMetadataResponse,
    ModelRequest, ParameterChoice, ServerMetadataResponse, Status, TensorMetadata,
};
use super::metadata::{self, EXTENSIONS, PLATFORM, SERVER_NAME, VERSION, inputs, outputs};
use super::request::{Data, InferRequest, RequestInput, RequestOutput, RequestParameters};
use crate::body::BufferedBody;
use crate::client::{Client, Party};
use crate::faces::FaceSelection;
use crate::problem::Problem;
use crate::state::AppState;

const CONTENT_TYPE: (HeaderName, HeaderValue) = (header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Length of the prefix: a byte that says whether the message is compressed, and the message's length.
const PREFIX: usize = 5;

pub(crate) fn add(router: Router<AppState>) -> Router<AppState> {
    router.route("/inference.GRPCInferenceService/{method}", post(call))
}

async fn call(State(state): State<AppState>, Path(method): Path<String>, request: Request) -> Response {
    match answer(&state, &method, request).await {
        Ok(message) => {
            let length = (message.len() as u32).to_be_bytes();
            let framed = [&[0], &length[..], &message].concat();
            let status = HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))]);
            let body = Full::from(framed).with_trailers(ready(Some(Ok::<_, Infallible>(status))));
            ([CONTENT_TYPE], Body::new(body)).into_response()
        }
        Err(problem) => {
            let message = percent_encoded(problem.detail());
            ([CONTENT_TYPE, (STATUS, status_code(&problem)), (MESSAGE, message)], ()).into_response()
        }
    }
}

async fn answer(state: &AppState, method: &str, request: Request) -> Result<Vec<u8>, Problem> {
    let (mut parts, body) = request.into_parts();
    let Ok(client) = Client::from_request_parts(&mut parts, state).await;
    let body = state.pipeline.bodies.read(client, Request::from_parts(parts, body)).await?;
    let model = |request: ModelRequest| state.models.get(Some(&request.name));
    let status = |is_ok| Ok(Status { is_ok }.encode_to_vec());
    let is_ready = || state.readiness.check().is_ok();
    match method {
        "ServerLive" => decode::<Empty>(&body).and_then(|_| status(state.readiness.is_alive().is_ok())),
        "ServerReady" => decode::<Empty>(&body).and_then(|_| status(is_ready())),
        "ModelReady" => decode(&body).and_then(model).and_then(|_| status(is_ready())),
        "ServerMetadata" => {
            decode::<Empty>(&body)?;
            let metadata = ServerMetadataResponse {
                name: SERVER_NAME.to_owned(),
                version: VERSION.to_owned(),
                extensions: EXTENSIONS.map(str::to_owned).to_vec(),
            };
            Ok(metadata.encode_to_vec())
        }
        "ModelMetadata" => {
            let model = decode(&body).and_then(model)?;
            let metadata = ModelMetadataResponse {
                name: model.name.clone(),
                platform: PLATFORM.to_owned(),
                inputs: inputs(&model).map(TensorMetadata::from).to_vec(),
                outputs: outputs(&model, state.pipeline.faces.is_available())
                    .into_iter()
                    .map(TensorMetadata::from)
                    .collect(),
            };
            Ok(metadata.encode_to_vec())
        }
        "ModelInfer" => infer(state, client, body).await,
        _ => Err(Problem::method_not_allowed()),
    }
}

impl From<metadata::TensorMetadata> for TensorMetadata {
    fn from(tensor: metadata::TensorMetadata) -> Self {
        Self { name: tensor.name.to_owned(), datatype: tensor.datatype.to_owned(), shape: tensor.shape }
    }
}

async fn infer(state: &AppState, client: Client, body: BufferedBody) -> Result<Vec<u8>, Problem> {
    let pipeline = &state.pipeline;
    let memory = body.bytes.len().saturating_mul(infer::PARSED_SIZE);
    // The message names its model, so that this is of none yet.
    let unparsed = Party { model: String::new(), client };
    let (models, max_images) = (Arc::clone(&state.models), pipeline.max_images);
    // Moves the body, so that its memory counts as used until it is parsed.
    let parse = move || {
        let message: ModelInferRequest = decode(&body)?;
        let model = models.get(Some(&message.model_name))?;
        let inference = Inference::new(infer_request(message)?, &model.card().preparation, max_images)?;
        Ok((model, inference))
    };
    let (model, inference) = pipeline.decoding.run(&unparsed, memory, parse).await?;
    let admission = pipeline.queue.admit(&client.asks(&model), 1)?;
    let rows = infer::run(pipeline, &model, inference.input, inference.which, admission).await?;
    let tensors = inference.outputs.iter().map(|selected| TensorMetadata {
        name: selected.kind.name().to_owned(),
        datatype: selected.kind.datatype().to_owned(),
        shape: rows.shape(selected.kind, &model).into_iter().map(|side| side as i64).collect(),
    });
    let response = ModelInferResponse {
        model_name: model.name.clone(),
        id: inference.id.unwrap_or_default(),
        outputs: tensors.collect(),
        raw_output_contents: inference.outputs.iter().map(|selected| rows.values(selected.kind).bytes()).collect(),
    };
    Ok(response.encode_to_vec())
}

/// The request as it would be over HTTP.
fn infer_request(message: ModelInferRequest) -> Result<InferRequest, Problem> {
    let (raw, inputs) = (message.raw_input_contents, message.inputs);
    if !raw.is_empty() && raw.len() != inputs.len() {
        return Err(Problem::malformed("the numbers of raw contents and of inputs differ"));
    }
    let mut raw = raw.into_iter();
    let inputs = inputs.into_iter().map(|input| request_input(input, raw.next())).collect::<Result<_, _>>()?;
    let output = |name| RequestOutput { name, parameters: RequestParameters::default() };
    Ok(InferRequest {
        id: Some(message.id),
        parameters: RequestParameters::with_faces(faces(&message.parameters)?),
        inputs,
        outputs: message.outputs.into_iter().map(|selected| output(selected.name)).collect(),
    })
}

/// The parameter `faces`. Others are ignored, as over HTTP.
fn faces(parameters: &HashMap<String, InferParameter>) -> Result<Option<FaceSelection>, Problem> {
    let Some(parameter) = parameters.get("faces") else { return Ok(None) };
    match &parameter.choice {
        Some(ParameterChoice::Text(text)) => FaceSelection::parse(text).map(Some),
        _ => Err(Problem::malformed("the parameter faces must be a string: all, largest or off")),
    }
}

fn request_input(input: InferInputTensor, raw: Option<Bytes>) -> Result<RequestInput, Problem> {
    let shape = input.shape.iter().map(|&side| usize::try_from(side)).collect::<Result<_, _>>();
    let shape =
        shape.map_err(|_| Problem::malformed(format!("input {} has the shape {:?}", input.name, input.shape)))?;
    let contents = input.contents.unwrap_or_default();
    let (mut data, mut bytes) = (None, raw);
    if bytes.is_none() {
        if !contents.bytes_contents.is_empty() {
            // As raw contents: each element follows its length.
            let element = |file: &Bytes| [&(file.len() as u32).to_le_bytes()[..], file].concat();
            bytes = Some(contents.bytes_contents.iter().flat_map(element).collect());
        } else if !contents.uint_contents.is_empty() {
            data = Some(Data::Numbers(contents.uint_contents.iter().map(|&value| value as f32).collect()));
        } else {
            data = Some(Data::Numbers(contents.fp32_contents));
        }
    }
    let parameters = RequestParameters::default();
    Ok(RequestInput { name: input.name, shape, datatype: input.datatype, parameters, data, bytes })
}

fn decode<M: Message + Default>(body: &BufferedBody) -> Result<M, Problem> {
    let malformed = |reason: &str| Problem::malformed(format!("the body is not one gRPC message: {reason}"));
    let bytes = &body.bytes;
    let Some(&[is_compressed, a, b, c, d]) = bytes.first_chunk::<PREFIX>() else {
        return Err(malformed("it is shorter than the prefix"));
    };
    if is_compressed != 0 {
        return Err(malformed("compression is not supported"));
    }
    if u32::from_be_bytes([a, b, c, d]) as usize != bytes.len() - PREFIX {
        return Err(malformed("its length differs from the prefix"));
    }
    M::decode(bytes.slice(PREFIX..)).map_err(|error| malformed(&error.to_string()))
}

/// The gRPC status code of a problem (<https://grpc.github.io/grpc/core/md_doc_statuscodes.html>).
fn status_code(problem: &Problem) -> HeaderValue {
    HeaderValue::from(match problem.status().as_u16() {
        400 | 415 | 422 => 3,
        401 => 16,
        403 => 7,
        404 => 5,
        405 => 12,
        408 => 4,
        413 | 429 => 8,
        503 => 14,
        _ => 13_u16,
    })
}

/// Percent-encodes text for a header.
fn percent_encoded(text: &str) -> HeaderValue {
    let escape = |byte: u8| match byte {
        b'%' => "%25".to_owned(),
        0x20..=0x7E => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let escaped: String = text.bytes().map(escape).collect();
    HeaderValue::try_from(escaped).unwrap_or(HeaderValue::from_static("?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameter_faces_is_read() {
        let read = |choice: Option<ParameterChoice>| {
            let message = ModelInferRequest {
                parameters: HashMap::from([("faces".to_owned(), InferParameter { choice })]),
                ..ModelInferRequest::default()
            };
            let decoded = ModelInferRequest::decode(message.encode_to_vec().as_slice()).unwrap();
            infer_request(decoded)
                .map(|request| request.parameters.faces)
                .map_err(|problem| problem.detail().to_owned())
        };
        assert_eq!(read(Some(ParameterChoice::Text("largest".into()))), Ok(Some(FaceSelection::Largest)));
        assert!(read(Some(ParameterChoice::Text("some".into()))).unwrap_err().contains("all, largest or off"));
        for wrong in [None, Some(ParameterChoice::Bool(true)), Some(ParameterChoice::Integer(1))] {
            assert!(read(wrong).unwrap_err().contains("must be a string"));
        }
        assert_eq!(infer_request(ModelInferRequest::default()).unwrap().parameters.faces, None);
    }
}
