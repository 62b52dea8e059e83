//! `visage export`.

use std::path::{Path, PathBuf};

use visage_export::check::TOLERANCE;
use visage_export::{Agreement, onnx, torch};
use visage_model::Model;

use super::read_model;
use crate::cli::{ExportArgs, ExportFormat};
use crate::compute::Compute;
use crate::error::CommandError;
use crate::output;

/// Writes a model for other programs.
pub fn run(args: &ExportArgs) -> Result<(), CommandError> {
    if args.raw_images && args.format != ExportFormat::Onnx {
        return Err(CommandError::OtherFormat { option: "--raw-images", format: "onnx" });
    }
    let compute = Compute::new(&args.compute)?;
    let (model, file) = read_model(&args.model, &compute)?;
    match args.format {
        ExportFormat::Onnx => {
            let out = destination(args, &file, "onnx");
            let input = if args.raw_images { onnx::PixelInput::Raw } else { onnx::PixelInput::Normalised };
            let agreement = onnx::write(&model, input, &out, &compute.device)?;
            told(&out, &agreement);
        }
        ExportFormat::Torch => {
            let out = destination(args, &file, "pth");
            let agreement = torch::write(&model, &out, &compute.device)?;
            told(&out, &agreement);
            output::note(&format!("it loads into:\n{}", loading(&model, &out)));
        }
    }
    Ok(())
}

/// The file to write: where nothing else is said, beside the model.
fn destination(args: &ExportArgs, model: &Path, extension: &str) -> PathBuf {
    args.out.clone().unwrap_or_else(|| model.with_extension(extension))
}

fn told(out: &Path, agreement: &Agreement) {
    let Agreement { images, logit, probability } = agreement;
    output::note(&format!(
        "wrote {}; checked on {images} sample images: logits within {logit:.1e} of the model's, probabilities within \
         {probability:.1e} ({TOLERANCE:.0e} is allowed)",
        out.display()
    ));
}

/// Python that uses a state dict.
fn loading(model: &Model, out: &Path) -> String {
    let network = torch::replacement(model.card.network.architecture, model.card.attributes.len());
    let read = if out.extension().is_some_and(|extension| extension == "safetensors") {
        format!("safetensors.torch.load_file({:?})", out.display().to_string())
    } else {
        format!("torch.load({:?})", out.display().to_string())
    };
    format!("{network}\nmodel.load_state_dict({read}, strict=True)")
}
