//! `visage export`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use visage_export::{Agreement, TOLERANCE, onnx, torch};
use visage_model::Model;

use super::{evaluate, read_model};
use crate::cli::{ExportArgs, ExportFormat, SourceArgs};
use crate::compute::Compute;
use crate::error::CommandError;
use crate::{int8_cost, output};

/// Writes a model for other programs.
pub fn run(args: &ExportArgs) -> Result<(), CommandError> {
    for (given, option) in [(args.raw_images, "--raw-images"), (args.int8, "--int8")] {
        if given && args.format != ExportFormat::Onnx {
            return Err(CommandError::OtherFormat { option, format: "onnx" });
        }
    }
    let compute = Compute::new(&args.compute)?;
    let (model, file) = read_model(&args.model, &compute)?;
    match args.format {
        ExportFormat::Onnx => {
            let input = if args.raw_images { onnx::PixelInput::Raw } else { onnx::PixelInput::Normalised };
            if let (true, Some(data)) = (args.int8, &args.data) {
                let out = destination(args, &file, "int8.onnx");
                return int8(&model, input, data, &out, &compute);
            }
            let out = destination(args, &file, "onnx");
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

/// Writes a model in int8, and says what that costs.
fn int8(
    model: &Model,
    input: onnx::PixelInput,
    data: &Path,
    out: &Path,
    compute: &Compute,
) -> Result<(), CommandError> {
    let source = SourceArgs { data: data.to_owned(), skip_bad_images: false };
    let dataset = Arc::new(evaluate::open(&source, &model.card)?);
    let (quantised, cost) = int8_cost::measured(model, input, &dataset, out, compute)?;
    quantised.write(out)?;
    output::result(&cost.text())?;
    output::note(&format!("wrote {}", out.display()));
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
    let network = model.card.network.architecture.python(model.card.attributes.len());
    let read = if out.extension().is_some_and(|extension| extension == "safetensors") {
        format!("safetensors.torch.load_file({:?})", out.display().to_string())
    } else {
        format!("torch.load({:?})", out.display().to_string())
    };
    format!("{network}\nmodel.load_state_dict({read}, strict=True)")
}
