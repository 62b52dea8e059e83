//! `visage export`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use visage_data::Split;
use visage_export::onnx::{Int8, PixelInput};
use visage_export::{Agreement, TOLERANCE, onnx, torch};
use visage_model::{Model, TestTime};
use visage_run::evaluation::split_indices;

use super::read_model;
use crate::compute::{Compute, ComputeArgs};
use crate::dataset::open_for;
use crate::error::CommandError;
use crate::overwrite::OverwriteArgs;
use crate::progress::Progress;
use crate::{extension, output, tables};

/// Options of `visage export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// A model file, or a run folder, whose best checkpoint is exported.
    pub model: PathBuf,
    /// The format to write.
    #[arg(long, value_enum)]
    pub format: ExportFormat,
    /// The file to write; for `torch` it ends in .pth, .pt or .safetensors [default: beside the model].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// For `onnx`: scale and normalise inside the graph, which then takes RGB bytes [batch, height, width, 3] instead of normalised
    /// floats [batch, 3, height, width].
    #[arg(long)]
    pub raw_images: bool,
    /// With --raw-images: also resize inside the graph, which then takes images of any size, those of a batch of one size. Needs a runtime
    /// with operator set 18, such as ONNX Runtime 1.14.
    #[arg(long, requires = "raw_images")]
    pub any_size: bool,
    /// For `onnx`: quantise weights and activations to 8 bits; a quarter of the size, and faster on processors with instructions for
    /// it. Ranges are calibrated on the validation split, and the loss of accuracy is measured on the test split.
    #[arg(long, requires = "data")]
    pub int8: bool,
    /// With --int8, the dataset, as for `visage data inspect`.
    #[arg(long, value_name = "PATH", requires = "int8")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub overwrite: OverwriteArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// A format to export to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// An ONNX graph with probabilities and logits as outputs, and the model's card in its metadata.
    Onnx,
    /// A state dict with torchvision's names (for the EfficientNet-Lite networks, timm's).
    Torch,
}

/// Exports a model.
pub fn run(args: &ExportArgs) -> Result<(), CommandError> {
    for (given, option) in [(args.raw_images, "--raw-images"), (args.int8, "--int8")] {
        if given && args.format != ExportFormat::Onnx {
            return Err(CommandError::usage(format!("{option} goes with --format onnx")));
        }
    }
    if args.format == ExportFormat::Onnx {
        args.out.iter().try_for_each(|path| extension::check("--out", path, &["onnx"]))?;
    }
    let compute = Compute::new(&args.compute)?;
    let (model, file) = read_model(&args.model, &compute)?;
    let extension = match args.format {
        ExportFormat::Onnx if args.int8 => "int8.onnx",
        ExportFormat::Onnx => "onnx",
        ExportFormat::Torch => "pth",
    };
    let out = args.out.clone().unwrap_or_else(|| file.with_extension(extension));
    args.overwrite.check(&out)?;
    let input = match (args.raw_images, args.any_size) {
        (_, true) => PixelInput::AnySize,
        (true, false) => PixelInput::Raw,
        (false, false) => PixelInput::Normalised,
    };
    match (args.format, &args.data) {
        (ExportFormat::Onnx, Some(data)) if args.int8 => int8(&model, input, data, &out, &compute),
        (ExportFormat::Onnx, _) => {
            written(&out, &onnx::write(&model, input, &out, &compute.device)?);
            Ok(())
        }
        (ExportFormat::Torch, _) => {
            written(&out, &torch::write(&model, &out, &compute.device)?);
            output::note(&format!("load it in Python with:\n{}", loading_code(&model, &out)));
            Ok(())
        }
    }
}

/// Writes an int8 graph, and reports the loss of accuracy.
fn int8(model: &Model, input: PixelInput, data: &Path, out: &Path, compute: &Compute) -> Result<(), CommandError> {
    let dataset = open_for(data, &model.card)?;
    let validation = split_indices(&dataset, Split::Validation)?;
    let split = if dataset.indices(Split::Test).is_empty() { Split::Validation } else { Split::Test };
    let indices = split_indices(&dataset, split)?;
    let (int8, calibration_images) = Int8::calibrated(model, input, &dataset, &validation, out, &compute.device)?;
    let mut progress = Progress::new(&format!("evaluating on {split}"), "images", 2 * indices.len() as u64);
    let cost = int8.cost(model, &Arc::new(dataset), &indices, &compute.device, |done| {
        progress.set(done as u64, String::new);
    })?;
    drop(progress);
    int8.write(out)?;
    output::result(&tables::int8::text(&cost, calibration_images, split))?;
    output::note(&format!("wrote {}", out.display()));
    Ok(())
}

/// Reports a file that was written and checked.
fn written(out: &Path, agreement: &Agreement) {
    let Agreement { images, logit, probability } = agreement;
    output::note(&format!(
        "wrote {}; checked on {images} sample images: logits within {logit:.1e} of the model's, probabilities within \
         {probability:.1e} (tolerance {TOLERANCE:.0e})",
        out.display()
    ));
}

/// Python code that loads a state dict.
fn loading_code(model: &Model, out: &Path) -> String {
    let network = model.card.network.architecture.python(model.card.attributes.len());
    let read = if out.extension().is_some_and(|extension| extension == "safetensors") {
        format!("safetensors.torch.load_file({:?})", out.display().to_string())
    } else {
        format!("torch.load({:?})", out.display().to_string())
    };
    let views = match model.card.test_time {
        TestTime::None => "",
        TestTime::Flip => {
            "\n# visage averages the logits of an image and of its mirror image: (model(x) + model(x.flip(3))) / 2"
        }
    };
    format!("{network}\nmodel.load_state_dict({read}, strict=True){views}")
}
