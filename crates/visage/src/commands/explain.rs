//! `visage explain`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use visage_data::{PreparedImage, Size, Truncated};
use visage_judge::is_positive;
use visage_model::{Card, HeatMethod, Predictor, Prepared, heat_maps};
use visage_report::{Explained, Explanation, WrittenExplanation, made, write_explanation};

use super::{attribute_indices, read_model};
use crate::compute::{Compute, InferenceArgs};
use crate::error::CommandError;
use crate::output;
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
    /// The method that weights the channels of the network's feature map.
    #[arg(long, value_enum, default_value_t = ExplainMethod::GradCam)]
    pub method: ExplainMethod,
    /// The folder for the page and the pictures.
    #[arg(long, value_name = "FOLDER", default_value = "visage-explanation")]
    pub out: PathBuf,
    /// Also explain an image whose file is cut short, from the part that is there.
    #[arg(long)]
    pub allow_truncated: bool,
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

impl ExplainMethod {
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

/// Writes heat maps of an image.
pub fn run(args: &ExplainArgs) -> Result<(), CommandError> {
    let compute = Compute::for_inference(&args.inference)?;
    let (model, file) = read_model(&args.model, &compute)?;
    let card = &model.card;
    let named = attribute_indices(&args.attributes, card)?;
    let encoded = fs::read(&args.image).map_err(CommandError::read(&args.image))?;
    let bad_image = |source| CommandError::BadImage { path: args.image.clone(), source };
    let prepared = card.preparation.prepare(&encoded, Truncated::allowed(args.allow_truncated));
    let PreparedImage { pixels, is_truncated, .. } = prepared.map_err(bad_image)?;
    if is_truncated {
        output::warning(&format!("{} is cut short: explained from the part that is there", args.image.display()));
    }
    let predictor = Predictor::new(&model, &compute.device, compute.precision);
    let probabilities = predictor.probabilities(&pixels);
    let attributes = if named.is_empty() { predicted(&probabilities, &card.thresholds) } else { named };

    let method = args.method.resolve().0;
    let maps = heat_maps(&model.network, predictor.engine(), Prepared::Pixels(&pixels), &attributes, method);
    let size = card.preparation.output_size();
    let explained = attributes.iter().zip(&maps).map(|(&attribute, map)| Explained {
        attribute: card.attributes[attribute].clone(),
        probability: probabilities[attribute],
        present: is_positive(probabilities[attribute], card.thresholds[attribute]),
        heat: map.resized(size),
    });
    let explanation = Explanation {
        image: args.image.display().to_string(),
        made: made(),
        about: vec![
            about(args.method, card, &file, maps.first().map_or(size, |map| map.size)),
            card.uses_to_avoid.clone(),
        ],
        pixels,
        width: size.width,
        attributes: explained.collect(),
    };
    let written = write_explanation(&explanation, &args.out)?;
    let thresholds: Vec<f32> = attributes.iter().map(|&attribute| card.thresholds[attribute]).collect();
    output::result(&table(&explanation, &thresholds, &written))?;
    output::note(&format!("wrote {}", written.page.display()));
    Ok(())
}

/// The method and the model, in words; `resolution` is that of a heat map.
fn about(method: ExplainMethod, card: &Card, file: &Path, resolution: Size) -> String {
    let (_, name, feature_map) = method.resolve();
    format!(
        "{name} of {feature_map}, {resolution} positions for an image of {} pixels, by {}: {}, trained on {}.",
        card.preparation.output_size(),
        file.display(),
        card.network.architecture,
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

fn table(explanation: &Explanation, thresholds: &[f32], written: &WrittenExplanation) -> String {
    let mut table = Table::new(1, &["Attribute", "Probability", "Threshold", "Prediction", "Picture"]);
    [3, 4].into_iter().for_each(|column| table.align_left(column));
    for ((attribute, &threshold), picture) in explanation.attributes.iter().zip(thresholds).zip(&written.pictures) {
        table.row([
            attribute.attribute.clone(),
            score(Some(attribute.probability.into())),
            score(Some(threshold.into())),
            if attribute.present { "present" } else { "absent" }.to_owned(),
            picture.display().to_string(),
        ]);
    }
    table.text()
}
