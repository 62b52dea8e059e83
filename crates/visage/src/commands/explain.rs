//! `visage explain`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use image::RgbImage;
use serde::Serialize;
use visage_data::{Similarity, Size, Truncated, decode, read_image_file};
use visage_judge::is_positive;
use visage_model::{Card, HeatMethod, Model, Predictor, Prepared};
use visage_report::{EXPLANATION_PAGE, Explained, Explanation, heat_over_photograph, made, write_explanation};

use super::{attribute_indices, read_model};
use crate::compute::{Compute, InferenceArgs, TestTimeArgs};
use crate::error::CommandError;
use crate::extension;
use crate::faces::Faces;
use crate::output;
use crate::overwrite::OverwriteArgs;
use crate::tables::{Table, score};

/// Options of `visage explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A model file, or a run folder.
    pub model: PathBuf,
    /// An image file.
    pub image: PathBuf,
    /// An attribute to explain; may be repeated [default: those predicted as present, or else the most probable].
    #[arg(long = "attribute", value_name = "NAME")]
    pub attributes: Vec<String>,
    /// The method that weights the channels of the network's feature map [default: grad-cam, or layer-cam where the last feature map has
    /// fewer than 5 positions a side].
    #[arg(long, value_enum)]
    pub method: Option<ExplainMethod>,
    /// The folder for the page and the pictures.
    #[arg(long, value_name = "FOLDER", default_value = "visage-explanation")]
    pub out: PathBuf,
    /// Find the faces in a photograph, and explain each by itself, aligned as the model expects: `all`, each in a folder of its own, or
    /// the `largest`. The heat maps are also laid back over the photograph.
    #[arg(long, value_enum, value_name = "FACES", default_value_t = Faces::Off, hide_default_value = true)]
    pub faces: Faces,
    /// With --faces, turn a photograph by quarters where no face is found.
    #[arg(long)]
    pub any_rotation: bool,
    /// Also explain an image whose file is cut short, from the part that is there.
    #[arg(long)]
    pub allow_truncated: bool,
    /// Print JSON instead of a table: a line for the image, or for each of its faces.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub overwrite: OverwriteArgs,
    #[command(flatten)]
    pub test_time: TestTimeArgs,
    #[command(flatten)]
    pub inference: InferenceArgs,
}

/// A method for heat maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExplainMethod {
    /// Grad-CAM (Selvaraju et al., 2017).
    #[value(name = "grad-cam")]
    GradCam,
    /// Grad-CAM++ (Chattopadhay et al., 2018), which covers several occurrences of an attribute.
    #[value(name = "grad-cam++")]
    GradCamPlusPlus,
    /// Score-CAM (Wang et al., 2020), which needs no gradients but one forward pass per channel.
    #[value(name = "score-cam")]
    ScoreCam,
    /// LayerCAM (Jiang et al., 2021), on the feature map before the last, of twice the resolution.
    #[value(name = "layer-cam")]
    LayerCam,
}

/// The fewest positions a side of a feature map in which regions of a face can be told apart.
const LEAST_POSITIONS: usize = 5;
/// Pixels a side of a position of the last feature map.
const LAST_STRIDE: usize = 32;
/// Pixels a side of a position of the map before the last downsampling.
const EARLY_STRIDE: usize = 16;

impl ExplainMethod {
    /// The method for images of this size if none is chosen, and why it is not Grad-CAM.
    fn for_size(size: Size) -> (Self, Option<String>) {
        let positions =
            |stride: usize| Size { height: size.height.div_ceil(stride), width: size.width.div_ceil(stride) };
        let last = positions(LAST_STRIDE);
        if last.height.min(last.width) >= LEAST_POSITIONS {
            return (Self::GradCam, None);
        }
        let reason = format!(
            "the last feature map has only {last} positions for images of {size}: LayerCAM explains by the map before, with {}; \
             --method chooses another, and a model of larger images shows more",
            positions(EARLY_STRIDE)
        );
        (Self::LayerCam, Some(reason))
    }

    /// The method, its name, and the feature map it uses.
    fn resolve(self) -> (HeatMethod, &'static str, &'static str) {
        let last = "the last feature map";
        match self {
            Self::GradCam => (HeatMethod::GradCam, "Grad-CAM (Selvaraju et al., 2017)", last),
            Self::GradCamPlusPlus => (HeatMethod::GradCamPlusPlus, "Grad-CAM++ (Chattopadhay et al., 2018)", last),
            Self::ScoreCam => (HeatMethod::ScoreCam, "Score-CAM (Wang et al., 2020)", last),
            Self::LayerCam => {
                (HeatMethod::LayerCam, "LayerCAM (Jiang et al., 2021)", "the feature map before the last downsampling")
            }
        }
    }
}

/// An image that is explained: as it is, or a face of it.
struct Subject {
    /// What it is called on the page.
    name: String,
    /// Where its page and pictures go.
    out: PathBuf,
    pixels: Vec<u8>,
    /// The photograph that it is a face of, and what aligned the face.
    photograph: Option<(Arc<RgbImage>, Similarity)>,
}

/// Writes heat maps of an image or of its faces.
pub fn run(args: &ExplainArgs) -> Result<(), CommandError> {
    extension::check_folder("--out", &args.out)?;
    let compute = Compute::for_inference(&args.inference)?;
    let (mut model, file) = read_model(&args.model, &compute)?;
    args.test_time.apply_to_chosen(&mut model);
    let named = attribute_indices(&args.attributes, &model.card)?;
    let subjects = subjects(args, &model.card)?;
    subjects.iter().try_for_each(|subject| args.overwrite.check(&subject.out.join(EXPLANATION_PAGE)))?;
    let (method, reason) = match args.method {
        Some(method) => (method, None),
        None => ExplainMethod::for_size(model.card.preparation.output_size()),
    };
    reason.iter().for_each(|reason| output::note(reason));
    let predictor = Predictor::new(&model, &compute.device, compute.precision);
    for subject in subjects {
        let summary = explain(method, &model, &file, &predictor, &named, subject)?;
        if args.json {
            output::json_line(&summary)?;
        } else {
            output::result(&table(&summary.attributes))?;
        }
        output::note(&format!("wrote {}", summary.page.display()));
    }
    Ok(())
}

/// What is explained: the image, or those of its faces that are asked for.
fn subjects(args: &ExplainArgs, card: &Card) -> Result<Vec<Subject>, CommandError> {
    let encoded = read_image_file(&args.image).map_err(CommandError::read(&args.image))?;
    let bad_image = |source| CommandError::BadImage { path: args.image.clone(), source };
    let truncated = Truncated::allowed(args.allow_truncated);
    let name = args.image.display().to_string();
    let warn = |is_truncated: bool| {
        if is_truncated {
            output::warning(&format!("{name} is cut short: explained from the part that is there"));
        }
    };
    let Some(search) = args.faces.search(args.any_rotation)? else {
        let prepared = card.preparation.prepare(&encoded, truncated).map_err(bad_image)?;
        warn(prepared.is_truncated);
        if card.preparation.misses_alignment(prepared.original) {
            output::warning(&format!(
                "{name} is not of the shape of the aligned faces that the model expects: --faces largest finds and aligns it"
            ));
        }
        return Ok(vec![Subject { name, out: args.out.clone(), pixels: prepared.pixels, photograph: None }]);
    };
    let decoded = decode(&encoded, truncated).map_err(bad_image)?;
    warn(decoded.is_truncated);
    let faces = search.faces(&decoded.image).map_err(bad_image)?;
    let aligned: Vec<Similarity> = faces.iter().filter_map(|face| Similarity::aligning(&face.landmarks)).collect();
    if aligned.is_empty() {
        return Err(CommandError::NoFace { path: args.image.clone() });
    }
    let is_alone = aligned.len() == 1;
    let photograph = Arc::new(decoded.image);
    let subject = |(number, similarity): (usize, Similarity)| {
        let number = number + 1;
        let (name, out) = if is_alone {
            (name.clone(), args.out.clone())
        } else {
            (format!("{name}, face {number}"), args.out.join(format!("face-{number}")))
        };
        let pixels = card.preparation.image(similarity.aligned(&photograph)).map_err(bad_image)?;
        Ok(Subject { name, out, pixels, photograph: Some((Arc::clone(&photograph), similarity)) })
    };
    aligned.into_iter().enumerate().map(subject).collect()
}

/// Writes the heat maps of one image or face.
fn explain(
    chosen: ExplainMethod,
    model: &Model,
    file: &Path,
    predictor: &Predictor,
    named: &[usize],
    subject: Subject,
) -> Result<Summary, CommandError> {
    let card = &model.card;
    let Subject { name, out, pixels, photograph } = subject;
    let probabilities = predictor.probabilities(&pixels);
    let attributes = if named.is_empty() { predicted(&probabilities, &card.thresholds) } else { named.to_vec() };

    let method = chosen.resolve().0;
    let maps = predictor.heat_maps(model, Prepared::Pixels(&pixels), &attributes, method);
    let size = card.preparation.output_size();
    let explained = attributes.iter().zip(&maps).map(|(&attribute, map)| {
        let heat = map.resized(size);
        let on_photograph = photograph.as_ref().and_then(|(photograph, similarity)| {
            let place = card.preparation.place_in_face(*similarity).ok()?;
            Some(heat_over_photograph(photograph, &heat, size.width, place))
        });
        Explained {
            attribute: card.attributes[attribute].clone(),
            probability: probabilities[attribute],
            present: is_positive(probabilities[attribute], card.thresholds[attribute]),
            heat,
            on_photograph,
        }
    });
    let explanation = Explanation {
        image: name,
        made: made(),
        about: vec![about(chosen, card, file, maps.first().map_or(size, |map| map.size)), card.uses_to_avoid.clone()],
        attributes: explained.collect(),
        pixels,
        width: size.width,
    };
    let written = write_explanation(&explanation, &out)?;
    let thresholds = attributes.iter().map(|&attribute| card.thresholds[attribute]);
    let rows = explanation.attributes.into_iter().zip(thresholds).zip(written.pictures);
    let rows = rows.map(|((explained, threshold), picture)| Row {
        attribute: explained.attribute,
        probability: explained.probability,
        threshold,
        present: explained.present,
        picture,
    });
    Ok(Summary { image: explanation.image, page: written.page, attributes: rows.collect() })
}

/// The method and the model, in words; `resolution` is that of a heat map.
fn about(method: ExplainMethod, card: &Card, file: &Path, resolution: Size) -> String {
    let (_, name, feature_map) = method.resolve();
    format!(
        "{name} of {feature_map}, {resolution} positions for an image of {} pixels, by {}: {}, trained on {}.",
        card.preparation.output_size(),
        file.display(),
        card.architectures(),
        card.origin.dataset
    )
}

/// The attributes predicted as present, the most probable first, or else the most probable one.
fn predicted(probabilities: &[f32], thresholds: &[f32]) -> Vec<usize> {
    let mut ranked: Vec<usize> = (0..probabilities.len()).collect();
    ranked.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    let present: Vec<usize> = ranked
        .iter()
        .copied()
        .filter(|&attribute| is_positive(probabilities[attribute], thresholds[attribute]))
        .collect();
    if present.is_empty() { ranked.into_iter().take(1).collect() } else { present }
}

/// The result for one image or face, as JSON.
#[derive(Serialize)]
struct Summary {
    image: String,
    /// The page with all heat maps.
    page: PathBuf,
    attributes: Vec<Row>,
}

/// An attribute that is explained.
#[derive(Serialize)]
struct Row {
    attribute: String,
    probability: f32,
    threshold: f32,
    present: bool,
    /// The heat map over the image.
    picture: PathBuf,
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new(1, &["Attribute", "Probability", "Threshold", "Prediction", "Picture"]);
    [3, 4].into_iter().for_each(|column| table.align_left(column));
    for Row { attribute, probability, threshold, present, picture } in rows {
        table.row([
            attribute.clone(),
            score(Some((*probability).into())),
            score(Some((*threshold).into())),
            if *present { "present" } else { "absent" }.to_owned(),
            picture.display().to_string(),
        ]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_map_is_explained_by_the_map_before() {
        let method = |height, width| ExplainMethod::for_size(Size { height, width });
        assert_eq!(method(218, 178), (ExplainMethod::GradCam, None));
        assert_eq!(method(160, 160), (ExplainMethod::GradCam, None));
        let (method, reason) = method(128, 128);
        assert_eq!(method, ExplainMethod::LayerCam);
        assert!(reason.is_some_and(|reason| reason.contains("only 4x4 positions") && reason.contains("with 8x8")));
    }
}
