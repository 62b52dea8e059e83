//! Measures how well heat maps locate attributes, and how much they depend on the trained weights.
//!
//! `cargo run --release --example heat_in_regions -- MODEL` draws 2,000 faces that the model, trained on faces of
//! `visage data synth`, has not seen. For each attribute with a region, it prints a mean over the faces that have the attribute and
//! are predicted to have it: the share of the heat inside the region, divided by the region's share of the image; 1 is chance. It
//! then prints the mean rank correlation between these maps and those of the same network with random weights (Adebayo et al.,
//! "Sanity Checks for Saliency Maps", 2018).

use std::error::Error;
use std::io::Cursor;
use std::path::Path;

use burn::tensor::Device;
use image::ImageFormat;
use visage_data::Size;
use visage_judge::is_positive;
use visage_model::{Engine, HeatMethod, Model, Network, Precision, Predictor, Prepared, heat_maps};
use visage_synth::{Attribute, Face, HEIGHT, Region, WIDTH};

/// A seed that no model was trained on.
const SEED: u64 = 20_241;
const FACES: u64 = 2_000;
/// Faces that are explained per attribute, at most.
const MOST: usize = 40;
/// Networks with random weights, used in turn: a single one has the same map for every face.
const RANDOM: u64 = 8;
/// With fewer faces, an attribute is left out.
const LEAST: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a model file")?;
    let device = Device::flex();
    let model = Model::read(Path::new(&path), &device)?;
    let predictor = Predictor::new(&model, &device, Precision::F32);
    let engine = Engine::new(&model.network, &model.card.preparation, &device, Precision::F32);
    let random: Vec<Network> = (0..RANDOM).map(|seed| model.card.network.init(seed, &device)).collect();
    let size = model.card.preparation.output_size();

    println!("Attribute            Faces  Region  Grad-CAM  Grad-CAM++  LayerCAM  Random weights");
    for attribute in Attribute::ALL {
        let Some(output) = model.card.attributes.iter().position(|name| name == attribute.name()) else { continue };
        let (mut shares, mut regions, mut correlations) = ([const { Vec::new() }; 3], Vec::new(), Vec::new());
        for face in (0..FACES).map(|index| Face::sample(SEED, index)) {
            let place = face.regions(attribute, WIDTH, HEIGHT);
            if place.is_empty() {
                break;
            }
            if !face.attributes.has(attribute) || regions.len() == MOST {
                continue;
            }
            let mut png = Cursor::new(Vec::new());
            visage_synth::draw(&face, WIDTH, HEIGHT).write_to(&mut png, ImageFormat::Png)?;
            let pixels = model.card.preparation.pixels(png.get_ref())?;
            let probability = predictor.probabilities(&pixels)[output];
            if !is_positive(probability, model.card.thresholds[output]) {
                continue;
            }
            // Only Score-CAM, which is not among the methods, would use the engine's own weights.
            let image = Prepared::Pixels(&pixels);
            let heat = |network: &Network, method| heat_maps(network, &engine, image, &[output], method).remove(0);
            let inside = inside(&place, size);
            let region = inside.iter().filter(|&&inside| inside).count() as f64 / inside.len() as f64;
            regions.push(region);
            for (shares, method) in
                shares.iter_mut().zip([HeatMethod::GradCam, HeatMethod::GradCamPlusPlus, HeatMethod::LayerCam])
            {
                let heat = heat(&model.network, method).resized(size);
                let total: f64 = heat.iter().map(|&heat| f64::from(heat)).sum();
                let within: f64 =
                    heat.iter().zip(&inside).filter(|(_, inside)| **inside).map(|(&h, _)| f64::from(h)).sum();
                if total > 0.0 {
                    shares.push(within / total / region);
                }
            }
            let [ours, theirs] = [&model.network, &random[regions.len() % random.len()]]
                .map(|network| ranks(&heat(network, HeatMethod::GradCam).values));
            correlations.push(correlation(&ours, &theirs));
        }
        if regions.len() < LEAST {
            continue;
        }
        println!(
            "{:<19}  {:>5}  {:>6.3}  {:>8.2}  {:>10.2}  {:>8.2}  {:>14.2}",
            attribute.name(),
            regions.len(),
            mean(&regions),
            mean(&shares[0]),
            mean(&shares[1]),
            mean(&shares[2]),
            mean(&correlations),
        );
    }
    Ok(())
}

/// For each pixel of the prepared image, which is the whole image resized, whether it lies in one of the `regions`.
fn inside(regions: &[Region], size: Size) -> Vec<bool> {
    let place = |index: usize, side: usize, picture: u32| (index as f32 + 0.5) * picture as f32 / side as f32;
    let pixels = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y)));
    let inside = |(x, y)| {
        let (x, y) = (place(x, size.width, WIDTH), place(y, size.height, HEIGHT));
        regions.iter().any(|region| region.contains(x, y))
    };
    pixels.map(inside).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The rank of each value; ties get their mean rank.
fn ranks(values: &[f32]) -> Vec<f64> {
    let count = |keep: &dyn Fn(f32) -> bool| values.iter().filter(|&&value| keep(value)).count() as f64;
    values.iter().map(|&value| count(&|other| other < value) + 0.5 * count(&|other| other == value)).collect()
}

/// Pearson correlation; 0 if one of both is constant.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (a_mean, b_mean) = (mean(a), mean(b));
    let sum = |of: &dyn Fn(f64, f64) -> f64| a.iter().zip(b).map(|(x, y)| of(x - a_mean, y - b_mean)).sum::<f64>();
    let scale = (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
    if scale == 0.0 { 0.0 } else { sum(&|x, y| x * y) / scale }
}
