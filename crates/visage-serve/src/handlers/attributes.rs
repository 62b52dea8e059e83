//! `POST /v1/attributes`: classifies images, or the faces in photographs.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use visage_data::Point;
use visage_faces::FaceBox;
use visage_judge::is_positive;
use visage_model::Card;

use crate::client::Client;
use crate::engine::Images;
use crate::extract::Selection;
use crate::faces::{self, AlignedFace, FaceSelection, Photograph};
use crate::openapi::{ImageErrors, ModelName, Octets, face_box, point};
use crate::problem::Problem;
use crate::response::json;
use crate::state::Pipeline;
use crate::upload::{Form, UploadFormat};

#[derive(Serialize, ToSchema)]
pub(crate) struct Answer<'a> {
    model: &'a str,
    images: Vec<Image<'a>>,
    /// What may make the answer wrong or incomplete.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<String>,
}

/// An image that is classified as it is, or the faces of a photograph.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Image<'a> {
    AsItIs {
        /// File name of the form's part.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = String)]
        name: Option<&'a str>,
        attributes: Vec<Attribute<'a>>,
    },
    Photograph {
        /// File name of the form's part.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = String)]
        name: Option<&'a str>,
        /// Width in pixels, after the EXIF orientation is applied.
        width: usize,
        /// Height in pixels, after the EXIF orientation is applied.
        height: usize,
        /// Number of faces found.
        faces_found: usize,
        /// The faces that were asked for, the largest first.
        faces: Vec<Face<'a>>,
    },
}

/// A face and its attributes. Places are in pixels of the photograph, x to the right and y down, from its upper left corner. Left and
/// right are those of the photograph.
#[derive(Serialize, ToSchema)]
struct Face<'a> {
    /// The box of the face. It may reach beyond the photograph.
    #[serde(rename = "box")]
    #[schema(schema_with = face_box)]
    face_box: FaceBox,
    /// The score of the detector.
    #[schema(minimum = 0, maximum = 1)]
    score: f64,
    #[schema(schema_with = point)]
    left_eye: Point,
    #[schema(schema_with = point)]
    right_eye: Point,
    /// The left corner of the mouth.
    #[schema(schema_with = point)]
    left_mouth: Point,
    /// The right corner of the mouth.
    #[schema(schema_with = point)]
    right_mouth: Point,
    attributes: Vec<Attribute<'a>>,
}

#[derive(Serialize, ToSchema)]
struct Attribute<'a> {
    name: &'a str,
    #[schema(minimum = 0, maximum = 1)]
    probability: f32,
    #[schema(minimum = 0, maximum = 1)]
    threshold: f32,
    /// Whether the probability reaches the threshold.
    present: bool,
}

/// Classify one or several images, or the faces in photographs
#[utoipa::path(
    post,
    path = "/v1/attributes",
    params(
        ("model" = Option<ModelName>, Query, description = "Name of a model; the first model by default."),
        (
            "faces" = Option<FaceSelection>,
            Query,
            description = "`all` to find the faces in photographs, align each and classify it; `largest` for the largest face of each \
                           photograph; `off`, the default, to classify the images as they are. The server must have been started with \
                           `--faces`.",
        ),
    ),
    request_body(
        description = "An image file (JPEG, PNG, WebP, BMP, GIF or TIFF, detected by content), or a form with several.",
        content((Octets = "application/octet-stream"), (Octets = "image/*"), (Form = "multipart/form-data")),
    ),
    responses(
        (
            status = 200,
            body = Answer,
            description = "The images in the order of the request, with the attributes in the order of the model.",
        ),
        ImageErrors,
    ),
)]
pub(crate) async fn attributes(
    State(pipeline): State<Arc<Pipeline>>,
    client: Client,
    Selection { model, attribute, faces, face }: Selection,
    request: Request,
) -> Result<Response, Problem> {
    if attribute.is_some() {
        return Err(Problem::malformed("?attribute= has no meaning here: the response has all attributes"));
    }
    if face.is_some() {
        return Err(Problem::malformed("?face= has no meaning here: send ?faces=all or ?faces=largest"));
    }
    let which = faces.and_then(FaceSelection::which);
    pipeline.faces.check(which)?;
    let format = UploadFormat::of(request.headers())?;
    let party = client.asks(&model);
    let body = pipeline.read(&party, request).await?;
    let files = format.files(&body.bytes, pipeline.max_images).await?;
    let (names, files): (Vec<_>, Vec<_>) = files.into_iter().unzip();
    let names = || names.iter().map(Option::as_deref);
    let mut admission = pipeline.queue.admit(&party, files.len())?;
    let card = model.card();
    let (images, warnings) = match which {
        None => {
            let decoded = admission.keep(pipeline.decoding.images(&model, &party, files)).await?;
            drop(body);
            let warning = faces::unaligned_warning(&model, &decoded.originals, pipeline.faces.is_available());
            let output = pipeline.queue.predict(&model, Images::Pixels(decoded.pixels), admission).await?;
            let rows = output.probabilities.chunks(card.attributes.len());
            let image = |(name, row)| Image::AsItIs { name, attributes: attributes_of(card, row) };
            (names().zip(rows).map(image).collect(), warning.into_iter().collect())
        }
        Some(which) => {
            let (photographs, output) = pipeline.classify_faces(&model, files, which, admission).await?;
            drop(body);
            let mut rows = output.probabilities.chunks(card.attributes.len());
            let warning = faces::too_many_warning(&photographs, which, pipeline.faces.max_faces());
            let image = |(name, Photograph { size, found, faces })| Image::Photograph {
                name,
                width: size.width,
                height: size.height,
                faces_found: found,
                faces: faces.iter().zip(&mut rows).map(|(face, row)| face_of(face, card, row)).collect(),
            };
            (names().zip(photographs).map(image).collect(), warning.into_iter().collect())
        }
    };
    Ok(json(&Answer { model: &model.name, images, warnings }))
}

fn face_of<'a>(AlignedFace { face, .. }: &AlignedFace, card: &'a Card, row: &[f32]) -> Face<'a> {
    Face {
        face_box: face.face_box,
        score: face.score,
        left_eye: face.landmarks.left_eye,
        right_eye: face.landmarks.right_eye,
        left_mouth: face.landmarks.left_mouth,
        right_mouth: face.landmarks.right_mouth,
        attributes: attributes_of(card, row),
    }
}

fn attributes_of<'a>(card: &'a Card, row: &[f32]) -> Vec<Attribute<'a>> {
    let attribute = |((name, &probability), &threshold): ((&'a String, &f32), &f32)| Attribute {
        name,
        probability,
        threshold,
        present: is_positive(probability, threshold),
    };
    card.attributes.iter().zip(row).zip(&card.thresholds).map(attribute).collect()
}
