//! Export as a PyTorch state dict.
//!
//! The networks have torchvision's names, except EfficientNet-Lite0 to Lite4, which have timm's (`tf_efficientnet_lite0`). All load with
//! `strict=True`. EfficientNet-B0's two-stage head replaces torchvision's classifier: see
//! [`Architecture::python`](visage_model::Architecture::python).

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use visage_model::{Model, Precision, Predictor};
use visage_weights::{Tensor, TensorFile};

use crate::check::{Agreement, compare_logits, sample_pixels};
use crate::error::ExportError;

/// The state dict: every parameter and running statistic, and the `num_batches_tracked` counters of PyTorch's norms.
///
/// Its metadata, which only safetensors files have, holds the card, so that visage can read such a file as a model.
fn state_dict(model: &Model) -> TensorFile {
    let architecture = model.card.network.architecture;
    let mut tensors = model.network.tensors_named(architecture, architecture.python_naming());
    let steps = i64::try_from(model.card.origin.step).unwrap_or(i64::MAX);
    let norms: Vec<String> =
        tensors.keys().filter_map(|key| key.strip_suffix("running_var")).map(str::to_owned).collect();
    tensors.extend(norms.into_iter().map(|norm| (format!("{norm}num_batches_tracked"), Tensor::new([], vec![steps]))));
    let mut metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    metadata.extend(model.to_file().metadata);
    TensorFile { tensors, metadata }
}

/// Writes the state dict of `model` to `path`, in the format of its extension: `.pth`, `.pt` or `.safetensors`.
///
/// A copy is written, loaded and compared with the model first.
///
/// # Errors
///
/// [`ExportError::Extension`]; [`ExportError::Disagrees`], with nothing written; errors of the file system.
pub fn write(model: &Model, path: &Path, device: &Device) -> Result<Agreement, ExportError> {
    let write = match path.extension().and_then(|extension| extension.to_str()) {
        Some("pth" | "pt") => visage_weights::write_torch,
        Some("safetensors") => visage_weights::write_safetensors,
        _ => return Err(ExportError::Extension { path: path.to_owned() }),
    };
    if !model.ensemble.is_empty() {
        return Err(ExportError::Ensemble { path: path.to_owned() });
    }
    let file = state_dict(model);

    let unwritable = |source| ExportError::Write { path: path.to_owned(), source };
    let scratch = tempfile::tempdir().map_err(unwritable)?;
    let copy = scratch.path().join("copy");
    write(&copy, &file)?;
    let mut read = visage_weights::read(&copy)?;
    // A pickle has no metadata.
    read.metadata.clone_from(&file.metadata);
    let loaded = Model::from_file(path, read, device)?;
    let (pixels, images) = sample_pixels(&model.card.preparation);
    let [expected, found] = [model, &loaded].map(|model| Predictor::new(model, device, Precision::F32).logits(&pixels));
    let agreement = compare_logits(images, &expected, &found).accepted(path)?;

    write(path, &file)?;
    Ok(agreement)
}
