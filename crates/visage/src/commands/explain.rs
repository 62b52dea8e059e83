//! `visage explain`.

use std::fs;

use visage_judge::is_positive;
use visage_model::{HeatMethod, Predictor, Prepared, heat_maps};
use visage_report::{Explained, Explanation, write_explanation};

use super::{attribute_numbers, read_model};
use crate::cli::{ExplainArgs, ExplainMethod};
use crate::compute::Compute;
use crate::error::CommandError;
use crate::output;
use crate::report_runs::made;
use crate::table::{Columns, score};

/// Shows where in an image a model sees what.
pub fn run(args: &ExplainArgs) -> Result<(), CommandError> {
    let compute = Compute::for_asking(&args.ask)?;
    let (model, file) = read_model(&args.model, &compute)?;
    let card = &model.card;
    let named = attribute_numbers(&args.attributes, card)?;
    let encoded = fs::read(&args.image).map_err(|source| CommandError::Read { path: args.image.clone(), source })?;
    let pixels = card
        .preparation
        .pixels(&encoded)
        .map_err(|source| CommandError::BadImage { path: args.image.clone(), source })?;
    let predictor = Predictor::new(&model, &compute.device, compute.precision);
    let probabilities = predictor.probabilities(&pixels);
    let present = |attribute: usize| is_positive(probabilities[attribute], card.thresholds[attribute]);
    let asked = if named.is_empty() { found(&probabilities, present) } else { named };

    let (method, name) = match args.method {
        ExplainMethod::GradCam => (HeatMethod::GradCam, "Grad-CAM (Selvaraju et al., 2017)"),
        ExplainMethod::GradCamPlusPlus => (HeatMethod::GradCamPlusPlus, "Grad-CAM++ (Chattopadhay et al., 2018)"),
        ExplainMethod::ScoreCam => (HeatMethod::ScoreCam, "Score-CAM (Wang et al., 2020)"),
        ExplainMethod::LayerCam => (HeatMethod::LayerCam, "LayerCAM (Jiang et al., 2021)"),
    };
    let maps = heat_maps(&model.network, predictor.engine(), Prepared::Pixels(&pixels), &asked, method);
    let size = card.preparation.output_size();
    let of = match method {
        HeatMethod::LayerCam => "the feature map before the last halving",
        HeatMethod::GradCam | HeatMethod::GradCamPlusPlus | HeatMethod::ScoreCam => "the last feature map",
    };
    let coarse = maps.first().map_or(size, |map| map.size);
    let about = format!(
        "{name} of {of}, {coarse} positions for an image of {size} pixels, by {}: {}, trained on {}.",
        file.display(),
        card.network.architecture,
        card.origin.dataset
    );
    let explained = asked.iter().zip(&maps).map(|(&attribute, map)| Explained {
        attribute: card.attributes[attribute].clone(),
        probability: probabilities[attribute],
        present: present(attribute),
        heat: map.resized(size),
    });
    let explanation = Explanation {
        image: args.image.display().to_string(),
        made: made(),
        about: vec![about, card.uses_to_avoid.clone()],
        pixels,
        width: size.width,
        attributes: explained.collect(),
    };
    let written = write_explanation(&explanation, &args.out)?;

    let mut table = Columns::new(1, &["Attribute", "Probability", "Threshold", "Answer", "Picture"]);
    [3, 4].into_iter().for_each(|column| table.align_left(column));
    for ((each, &attribute), picture) in explanation.attributes.iter().zip(&asked).zip(&written.pictures) {
        table.row([
            each.attribute.clone(),
            score(Some(each.probability.into())),
            score(Some(card.thresholds[attribute].into())),
            if each.present { "present" } else { "absent" }.to_owned(),
            picture.display().to_string(),
        ]);
    }
    output::result(&table.text())?;
    output::note(&format!("wrote {}", written.page.display()));
    Ok(())
}

/// The attributes an image has, the surest first; if it has none, the most probable.
fn found(probabilities: &[f32], present: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut ranked: Vec<usize> = (0..probabilities.len()).collect();
    ranked.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    let has: Vec<usize> = ranked.iter().copied().filter(|&attribute| present(attribute)).collect();
    if has.is_empty() { ranked.into_iter().take(1).collect() } else { has }
}
