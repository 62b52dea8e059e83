//! `POST /v1/heat`: a Grad-CAM heat map over an image, or over a face of a photograph.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::ToSchema;
use visage_data::{Preparation, Similarity, Size};
use visage_report::{heat_overlay, heat_picture};

use crate::client::Client;
use crate::decode;
use crate::engine::Admission;
use crate::extract::Selection;
use crate::faces::{AlignedFace, FaceSelection, Photograph, Which};
use crate::models::ServedModel;
use crate::openapi::{AttributeName, ImageErrors, ModelName, Octets};
use crate::problem::Problem;
use crate::state::Pipeline;
use crate::upload::UploadFormat;

/// Memory that drawing a heat map takes at most: 1600x1600 pixels with alpha, twice, and the file.
const PICTURE_BYTES: usize = 24 << 20;

/// A PNG file.
#[derive(ToSchema)]
#[schema(value_type = String, content_media_type = "image/png")]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Picture(Vec<u8>);

/// Show where in an image the model sees an attribute
///
/// A Grad-CAM heat map of the attribute over the prepared image in grey. Brighter regions contribute more. With `faces=largest` or
/// `face`, the heat map is of that face of a photograph, which is aligned first. The picture is then to be laid over the photograph: it
/// has its proportions, and is transparent outside the face.
#[utoipa::path(
    post,
    path = "/v1/heat",
    params(
        ("model" = Option<ModelName>, Query, description = "Name of a model; the first model by default."),
        ("attribute" = AttributeName, Query, description = "Name of an attribute, as listed by `/v1/models`."),
        (
            "faces" = Option<FaceSelection>,
            Query,
            description = "`largest` for the largest face of a photograph; `off`, the default, for the image as it is.",
        ),
        (
            "face" = Option<usize>,
            Query,
            description = "The number of a face of a photograph, in the order of `/v1/attributes?faces=all`, from 0.",
        ),
    ),
    request_body(
        description = "An image file: JPEG, PNG, WebP, BMP, GIF or TIFF, detected by content.",
        content((Octets = "application/octet-stream"), (Octets = "image/*")),
    ),
    responses((status = 200, body = Picture, content_type = "image/png", description = "The heat map."), ImageErrors),
)]
pub(crate) async fn heat(
    State(pipeline): State<Arc<Pipeline>>,
    client: Client,
    Selection { model, attribute, faces, face }: Selection,
    request: Request,
) -> Result<Response, Problem> {
    let Some(attribute) = attribute else {
        return Err(Problem::malformed("name an attribute with ?attribute="));
    };
    let attribute = model.attribute(&attribute)?;
    let which = which(faces, face)?;
    pipeline.faces.check(which)?;
    let format = UploadFormat::of(request.headers())?;
    let party = client.asks(&model);
    let body = pipeline.read(&party, request).await?;
    let files = format.files(&body.bytes, 1).await?.into_iter().map(|(_, file)| file).collect();
    drop(body);
    let admission = pipeline.queue.admit(&party, 1)?;
    let png = match which {
        None => of_image(&pipeline, &model, files, attribute, admission).await?,
        Some(which) => of_face(&pipeline, &model, files, which, attribute, admission).await?,
    };
    Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response())
}

/// The face whose heat map is asked for; `None` for that of the whole image.
fn which(faces: Option<FaceSelection>, face: Option<usize>) -> Result<Option<Which>, Problem> {
    match (faces, face) {
        (None, Some(number)) => Ok(Some(Which::Number(number))),
        (Some(_), Some(_)) => Err(Problem::malformed("send one of ?faces= and ?face=")),
        (Some(FaceSelection::All), None) => {
            Err(Problem::malformed("a heat map is of one face: ?faces=largest, or its number as ?face="))
        }
        (faces, None) => Ok(faces.and_then(FaceSelection::which)),
    }
}

async fn of_image(
    pipeline: &Pipeline,
    model: &Arc<ServedModel>,
    files: Vec<Bytes>,
    attribute: usize,
    mut admission: Admission,
) -> Result<Vec<u8>, Problem> {
    let party = admission.party().clone();
    let pixels = admission.keep(pipeline.decoding.images(model, &party, files)).await?.pixels;
    let heat = pipeline.queue.heat_map(model, pixels.clone(), attribute, admission).await?;
    let width = model.input_size().width;
    pipeline.decoding.run(&party, PICTURE_BYTES, move || Ok(heat_picture(&pixels, width, &heat))).await
}

async fn of_face(
    pipeline: &Pipeline,
    model: &Arc<ServedModel>,
    files: Vec<Bytes>,
    which: Which,
    attribute: usize,
    mut admission: Admission,
) -> Result<Vec<u8>, Problem> {
    let party = admission.party().clone();
    let photographs = admission.keep(pipeline.faces.find(&pipeline.decoding, model, &party, files, which)).await?;
    let found = photographs
        .into_iter()
        .next()
        .and_then(|Photograph { size, faces, .. }| Some((size, faces.into_iter().next()?)));
    let Some((size, AlignedFace { alignment, pixels, .. })) = found else { return Err(Problem::bug()) };
    let heat = pipeline.queue.heat_map(model, pixels, attribute, admission).await?;
    let model = Arc::clone(model);
    pipeline
        .decoding
        .run(&party, PICTURE_BYTES, move || overlay(&model.card().preparation, alignment, size, &heat))
        .await
}

/// The heat map of a face, to be laid over its photograph of `size`.
fn overlay(preparation: &Preparation, alignment: Similarity, size: Size, heat: &[f32]) -> Result<Vec<u8>, Problem> {
    let place = preparation.place_in_face(alignment).map_err(|error| decode::problem(&error))?;
    Ok(heat_overlay(heat, preparation.output_size().width, [size.width as u32, size.height as u32], place))
}

#[cfg(test)]
mod tests {
    use visage_data::{Landmarks, Resize};

    use super::*;

    #[test]
    fn the_parameters_name_one_face() {
        assert_eq!(which(None, None).unwrap(), None);
        assert_eq!(which(Some(FaceSelection::Off), None).unwrap(), None);
        assert_eq!(which(Some(FaceSelection::Largest), None).unwrap(), Some(Which::Number(0)));
        assert_eq!(which(None, Some(3)).unwrap(), Some(Which::Number(3)));
        assert!(which(Some(FaceSelection::All), None).unwrap_err().detail().contains("?face="));
        assert!(which(Some(FaceSelection::Largest), Some(0)).is_err());
    }

    #[test]
    fn heat_is_laid_where_the_model_saw_it() {
        let landmarks = Landmarks {
            left_eye: [400.0, 300.0],
            right_eye: [480.0, 330.0],
            left_mouth: [380.0, 390.0],
            right_mouth: [440.0, 415.0],
        };
        let alignment = Similarity::aligning(&landmarks).unwrap();
        let exact = Preparation::exact(Size { height: 109, width: 89 });
        let cropped = Preparation {
            resize: Resize::ShorterSide(178),
            crop: Some(Size::square(128)),
            ..Preparation::exact(Size::square(128))
        };
        for (preparation, eye) in [(exact, [35.1, 55.7]), (cropped, [45.2, 66.5])] {
            let [x, y] = preparation.place_in_face(alignment).unwrap()(landmarks.left_eye);
            // The eye of the template is at (70.2, 111.5) of the aligned face, and the fit is not exact.
            assert!((x - eye[0]).hypot(y - eye[1]) < 4.0, "{x} {y}");
        }
    }

    #[test]
    fn an_overlay_is_transparent_outside_the_face() {
        let at = |x: f64, y: f64| [x, y];
        // A face of 178x218 at (100, 50) of the photograph, already upright.
        let landmarks = Landmarks {
            left_eye: at(170.245, 161.5),
            right_eye: at(207.737, 161.5),
            left_mouth: at(171.932, 203.014),
            right_mouth: at(205.932, 203.014),
        };
        let alignment = Similarity::aligning(&landmarks).unwrap();
        let preparation = Preparation::exact(Size { height: 2, width: 2 });
        let heat = [0.0, 1.0, 0.5, 0.25];
        let png = overlay(&preparation, alignment, Size { height: 300, width: 400 }, &heat).unwrap();
        assert_eq!(&png[1..4], b"PNG");
        let picture = image_of(&png);
        let pixel = |x: usize, y: usize| picture[y * 400 + x];
        assert_eq!(pixel(90, 100)[3], 0);
        assert_eq!(pixel(290, 100)[3], 0);
        assert_eq!(pixel(150, 100), [0, 0, 4, 140]);
        assert_eq!(pixel(250, 100), [252, 255, 164, 140]);
        assert_eq!(pixel(150, 250), [186, 54, 85, 140]);
    }

    fn image_of(png: &[u8]) -> Vec<[u8; 4]> {
        let image = image::load_from_memory(png).unwrap().into_rgba8();
        assert_eq!(image.dimensions(), (400, 300));
        image.pixels().map(|pixel| pixel.0).collect()
    }
}
