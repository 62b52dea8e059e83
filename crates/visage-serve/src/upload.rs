//! Image files in the body of a request.

use std::convert::Infallible;

use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use futures_util::stream;
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::openapi::Octets;
use crate::problem::Problem;

/// The schema of `multipart/form-data`.
pub(crate) struct Form;

impl PartialSchema for Form {
    fn schema() -> RefOr<Schema> {
        let part = Ref::from_schema_name(Octets::name());
        let form = ObjectBuilder::new().min_properties(Some(1)).additional_properties(Some(part));
        form.description(Some("A form with an image file in each part. Parts may have any name.")).into()
    }
}

impl ToSchema for Form {}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UploadFormat {
    File,
    /// The body is `multipart/form-data` with a file in each part.
    Form {
        boundary: String,
    },
}

impl UploadFormat {
    /// The format stated by `Content-Type`. Without the header, and with the type that curl sends by default, the body is a file.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(Self::File) };
        let unsupported = || {
            Problem::unsupported(
                "send an image file as image/* or application/octet-stream, or several as parts of multipart/form-data",
            )
        };
        let value = value.to_str().map_err(|_| unsupported())?;
        let media_type = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media_type.as_str() {
            "application/octet-stream" | "application/x-www-form-urlencoded" => Ok(Self::File),
            "multipart/form-data" => {
                let boundary = multer::parse_boundary(value);
                let boundary = boundary.map_err(|_| Problem::malformed("multipart/form-data without a boundary"))?;
                Ok(Self::Form { boundary })
            }
            image if image.starts_with("image/") => Ok(Self::File),
            _ => Err(unsupported()),
        }
    }

    /// The image files in `body`, at most `max`, with their names if they have any.
    pub(crate) async fn files(&self, body: &Bytes, max: usize) -> Result<Vec<(Option<String>, Bytes)>, Problem> {
        let Self::Form { boundary } = self else { return Ok(vec![(None, body.clone())]) };
        let body = body.clone();
        let mut form = multer::Multipart::new(stream::once(async { Ok::<_, Infallible>(body) }), boundary);
        let malformed = |error: multer::Error| Problem::malformed(format!("the form cannot be read: {error}"));
        let mut files = Vec::new();
        while let Some(field) = form.next_field().await.map_err(malformed)? {
            if files.len() == max {
                return Err(Problem::too_large(format!("a request may have at most {max} images")));
            }
            let name = field.file_name().map(str::to_owned);
            files.push((name, field.bytes().await.map_err(malformed)?));
        }
        if files.is_empty() { Err(Problem::malformed("the form has no parts")) } else { Ok(files) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_selects_the_format() {
        let format = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, text.parse().unwrap());
            UploadFormat::of(&headers).ok()
        };
        assert_eq!(UploadFormat::of(&HeaderMap::new()).ok(), Some(UploadFormat::File));
        for image in ["image/jpeg", "IMAGE/PNG", "application/octet-stream", "application/x-www-form-urlencoded"] {
            assert_eq!(format(image), Some(UploadFormat::File), "{image}");
        }
        let form = Some(UploadFormat::Form { boundary: "x".into() });
        assert_eq!(format("multipart/form-data; boundary=x"), form);
        for other in ["multipart/form-data", "multipart/mixed; boundary=x", "application/json", "text/plain", ""] {
            assert_eq!(format(other), None, "{other}");
        }
    }
}
