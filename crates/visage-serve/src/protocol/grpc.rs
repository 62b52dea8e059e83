//! The protocol over gRPC: each method takes one message and gives one, so that a call is a request whose body is a message behind five
//! bytes, and an answer like it whose status comes last (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http_body_util::{BodyExt, Full};
use prost::Message;

use super::messages::{
    InferInputTensor, ModelInferRequest, ModelInferResponse, ModelMetadataResponse, ModelRequest, Nothing,
    ServerMetadataResponse, TensorMetadata, Yes,
};
use super::metadata::{EXTENSIONS, PLATFORM, SERVER, Tensor, VERSION, inputs, outputs};
use super::outputs::wanted;
use super::request::{Data, Input, Output, Parameters, Request as Inference};
use super::{answered, tensors};
use crate::app::App;
use crate::body::{self, Held};
use crate::decode;
use crate::problem::Problem;

const CONTENT_TYPE: (HeaderName, HeaderValue) = (header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Adds the service to what a server answers.
pub(crate) fn add(router: Router<Arc<App>>) -> Router<Arc<App>> {
    router.route("/inference.GRPCInferenceService/{method}", post(call))
}

async fn call(State(app): State<Arc<App>>, Path(method): Path<String>, request: Request) -> Response {
    match answer(&app, &method, request).await {
        Ok(message) => {
            let length = (message.len() as u32).to_be_bytes();
            let framed = [&[0], &length[..], &message].concat();
            let status = HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))]);
            let body = Full::from(framed).with_trailers(ready(Some(Ok::<_, Infallible>(status))));
            ([CONTENT_TYPE], Body::new(body)).into_response()
        }
        Err(problem) => {
            ([CONTENT_TYPE, (STATUS, code(&problem)), (MESSAGE, escaped(problem.detail()))], ()).into_response()
        }
    }
}

/// The message that a method gives.
async fn answer(app: &Arc<App>, method: &str, request: Request) -> Result<Vec<u8>, Problem> {
    let body = body::read(app, request).await?;
    let yes = |yes| Ok(Yes { yes }.encode_to_vec());
    match method {
        "ServerLive" => read::<Nothing>(&body).and_then(|_| yes(true)),
        "ServerReady" => read::<Nothing>(&body).and_then(|_| yes(!app.is_leaving())),
        "ModelReady" => {
            let asked: ModelRequest = read(&body)?;
            app.models.get(Some(&asked.name))?;
            yes(!app.is_leaving())
        }
        "ServerMetadata" => {
            read::<Nothing>(&body)?;
            let about = ServerMetadataResponse {
                name: SERVER.to_owned(),
                version: VERSION.to_owned(),
                extensions: EXTENSIONS.map(str::to_owned).to_vec(),
            };
            Ok(about.encode_to_vec())
        }
        "ModelMetadata" => {
            let asked: ModelRequest = read(&body)?;
            let model = app.models.get(Some(&asked.name))?;
            let about = ModelMetadataResponse {
                name: model.name.clone(),
                platform: PLATFORM.to_owned(),
                inputs: inputs(&model).map(metadata).to_vec(),
                outputs: outputs(&model).map(metadata).to_vec(),
            };
            Ok(about.encode_to_vec())
        }
        "ModelInfer" => infer(app, body).await,
        _ => Err(Problem::method_not_allowed()),
    }
}

fn metadata(Tensor { name, datatype, shape }: Tensor) -> TensorMetadata {
    TensorMetadata { name: name.to_owned(), datatype: datatype.to_owned(), shape }
}

async fn infer(app: &Arc<App>, body: Held) -> Result<Vec<u8>, Problem> {
    if app.engine.is_full() {
        return Err(Problem::busy("the queue is full"));
    }
    let most = app.limits.images;
    let slots = Arc::clone(&app.models);
    // The body counts among those held until it was read into numbers.
    let read = move || {
        let asked: ModelInferRequest = read(&body)?;
        let model = slots.get(Some(&asked.model_name))?;
        let request = inference(asked)?;
        let given = tensors::given(&request, &model.model.card.preparation, most)?;
        Ok((wanted(&request)?, model, given, request.id.unwrap_or_default()))
    };
    let (wanted, model, given, id) = decode::aside(app, read).await?;
    let (images, answers) = answered(app, &model, given).await?;
    let shape = vec![images as i64, model.model.card.attributes.len() as i64];
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let outputs = wanted.iter().map(|wanted| TensorMetadata {
        name: wanted.output.name().to_owned(),
        datatype: "FP32".to_owned(),
        shape: shape.clone(),
    });
    let response = ModelInferResponse {
        model_name: model.name.clone(),
        id,
        outputs: outputs.collect(),
        raw_output_contents: wanted.iter().map(|wanted| bytes(wanted.output.of(&answers))).collect(),
    };
    Ok(response.encode_to_vec())
}

/// The same request as over HTTP.
fn inference(asked: ModelInferRequest) -> Result<Inference, Problem> {
    let is_raw = !asked.raw_input_contents.is_empty();
    if is_raw && asked.raw_input_contents.len() != asked.inputs.len() {
        return Err(Problem::malformed("there are not as many raw contents as inputs"));
    }
    let mut raw = asked.raw_input_contents.into_iter();
    let inputs = asked.inputs.into_iter().map(|input| self::input(input, raw.next()));
    let outputs = asked.outputs.into_iter();
    Ok(Inference {
        id: Some(asked.id),
        parameters: Parameters::default(),
        inputs: inputs.collect::<Result<_, _>>()?,
        outputs: outputs.map(|output| Output { name: output.name, parameters: Parameters::default() }).collect(),
    })
}

fn input(input: InferInputTensor, raw: Option<Bytes>) -> Result<Input, Problem> {
    let shape = input.shape.iter().map(|&side| usize::try_from(side)).collect::<Result<_, _>>();
    let shape =
        shape.map_err(|_| Problem::malformed(format!("input {} has the shape {:?}", input.name, input.shape)))?;
    let contents = input.contents.unwrap_or_default();
    let (mut data, mut bytes) = (None, raw);
    if bytes.is_none() {
        if !contents.bytes_contents.is_empty() {
            // As they would be raw: each behind its length.
            let element = |file: &Bytes| [&(file.len() as u32).to_le_bytes()[..], file].concat();
            bytes = Some(contents.bytes_contents.iter().flat_map(element).collect());
        } else if !contents.uint_contents.is_empty() {
            data = Some(Data::Numbers(contents.uint_contents.iter().map(|&value| value as f32).collect()));
        } else {
            data = Some(Data::Numbers(contents.fp32_contents));
        }
    }
    Ok(Input { name: input.name, shape, datatype: input.datatype, parameters: Parameters::default(), data, bytes })
}

/// The message in a body.
fn read<M: Message + Default>(body: &Held) -> Result<M, Problem> {
    let malformed = |why: &str| Problem::malformed(format!("this is not one message of gRPC: {why}"));
    let bytes = &body.bytes;
    let Some(&[is_compressed, a, b, c, d]) = bytes.first_chunk::<PREFIX>() else {
        return Err(malformed("it is cut short"));
    };
    if is_compressed != 0 {
        return Err(malformed("compression is not supported"));
    }
    if u32::from_be_bytes([a, b, c, d]) as usize != bytes.len() - PREFIX {
        return Err(malformed("it is not as long as it says"));
    }
    M::decode(bytes.slice(PREFIX..)).map_err(|error| malformed(&error.to_string()))
}

/// gRPC's word for what is wrong (<https://grpc.github.io/grpc/core/md_doc_statuscodes.html>).
fn code(problem: &Problem) -> HeaderValue {
    HeaderValue::from(match problem.status().as_u16() {
        400 | 415 | 422 => 3,
        401 => 16,
        404 => 5,
        405 => 12,
        408 => 4,
        413 | 429 => 8,
        503 => 14,
        _ => 13_u16,
    })
}

/// What is fit for a header, with `%` and two digits for what is not.
fn escaped(text: &str) -> HeaderValue {
    let escape = |byte: u8| match byte {
        b'%' => "%25".to_owned(),
        0x20..=0x7E => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let escaped: String = text.bytes().map(escape).collect();
    HeaderValue::try_from(escaped).unwrap_or(HeaderValue::from_static("?"))
}
