//! The body of a request, read within the limits.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use futures_util::stream;
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::app::App;
use crate::problem::Problem;

/// What a body may take in memory before any of it has come.
const AT_FIRST: usize = 1 << 20;

/// Bytes as they are.
#[derive(ToSchema)]
#[schema(value_type = String, content_media_type = "application/octet-stream")]
#[expect(dead_code, reason = "it is only described")]
pub(crate) struct Octets(Vec<u8>);

/// A form, as it is described.
pub(crate) struct Form;

impl PartialSchema for Form {
    fn schema() -> RefOr<Schema> {
        let part = Ref::from_schema_name(Octets::name());
        let form = ObjectBuilder::new().min_properties(Some(1)).additional_properties(Some(part));
        form.description(Some("A form with a file in each of its parts, of any name.")).into()
    }
}

impl ToSchema for Form {}

/// The whole body of a request, which counts among those that are held until it is dropped.
pub(crate) struct Held {
    pub(crate) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

/// Reads the body of `request`.
pub(crate) async fn read(app: &App, request: Request) -> Result<Held, Problem> {
    let (head, body) = request.into_parts();
    if head.headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Problem::unsupported("compressed bodies are not read here: send it as it is"));
    }
    let limit = app.limits.body_bytes;
    let stated = stated_length(&head.headers);
    if stated.is_some_and(|length| length > limit as u64) {
        return Err(larger_than(limit));
    }
    let room = AT_FIRST.min(stated.map_or(0, |length| length as usize));
    let time: Duration = app.limits.read;
    timeout(time, collect(app, body, Vec::with_capacity(room))).await.unwrap_or(Err(Problem::too_slow(time.as_secs())))
}

async fn collect(app: &App, mut body: Body, mut bytes: Vec<u8>) -> Result<Held, Problem> {
    let mut room: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Problem::malformed(format!("the body broke off: {error}")))?;
        let Some(data) = frame.data_ref() else { continue };
        if bytes.len() + data.len() > app.limits.body_bytes {
            return Err(larger_than(app.limits.body_bytes));
        }
        bytes.extend_from_slice(data);
        let taken = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let needed = bytes.len().div_ceil(1 << 10).saturating_sub(taken) as u32;
        if needed > 0 {
            let more = Arc::clone(&app.held).try_acquire_many_owned(needed);
            let more = more.map_err(|_| Problem::busy("too many bytes of other requests are being worked on"))?;
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
        }
    }
    Ok(Held { bytes: bytes.into(), _room: room })
}

fn stated_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn larger_than(limit: usize) -> Problem {
    Problem::too_large(format!("a body may have {limit} bytes"))
}

/// What a body is, by its `Content-Type`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The file of one image.
    Image,
    /// A form whose parts are the files of images.
    Form { boundary: String },
}

impl Kind {
    /// What the header says; without one, or by that which curl sends unless told otherwise, it is an image.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(kind) = headers.get(header::CONTENT_TYPE) else { return Ok(Self::Image) };
        let unsupported = || {
            Problem::unsupported(
                "send the file of an image as image/* or application/octet-stream, or several as the parts of multipart/form-data",
            )
        };
        let kind = kind.to_str().map_err(|_| unsupported())?;
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/octet-stream" | "application/x-www-form-urlencoded" => Ok(Self::Image),
            "multipart/form-data" => {
                let boundary = multer::parse_boundary(kind);
                let boundary = boundary.map_err(|_| Problem::malformed("multipart/form-data without a boundary"))?;
                Ok(Self::Form { boundary })
            }
            image if image.starts_with("image/") => Ok(Self::Image),
            _ => Err(unsupported()),
        }
    }
}

/// The files of images in a body, with their names where they have some.
pub(crate) async fn files(kind: &Kind, body: &Held, most: usize) -> Result<Vec<(Option<String>, Bytes)>, Problem> {
    let Kind::Form { boundary } = kind else { return Ok(vec![(None, body.bytes.clone())]) };
    let whole = body.bytes.clone();
    let mut form = multer::Multipart::new(stream::once(async { Ok::<_, Infallible>(whole) }), boundary);
    let malformed = |error: multer::Error| Problem::malformed(format!("the form cannot be read: {error}"));
    let mut files = Vec::new();
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        if files.len() == most {
            return Err(Problem::too_large(format!("a request may have {most} images")));
        }
        let name = field.file_name().map(str::to_owned);
        files.push((name, field.bytes().await.map_err(malformed)?));
    }
    if files.is_empty() { Err(Problem::malformed("the form has no parts")) } else { Ok(files) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_a_body_is_what_its_header_says() {
        let kind = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, text.parse().unwrap());
            Kind::of(&headers).ok()
        };
        assert_eq!(Kind::of(&HeaderMap::new()).ok(), Some(Kind::Image));
        for image in ["image/jpeg", "IMAGE/PNG", "application/octet-stream", "application/x-www-form-urlencoded"] {
            assert_eq!(kind(image), Some(Kind::Image), "{image}");
        }
        let form = Some(Kind::Form { boundary: "x".into() });
        assert_eq!(kind("multipart/form-data; boundary=x"), form);
        for other in ["multipart/form-data", "multipart/mixed; boundary=x", "application/json", "text/plain", ""] {
            assert_eq!(kind(other), None, "{other}");
        }
    }
}
