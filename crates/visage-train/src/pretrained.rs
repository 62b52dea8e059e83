//! Locating pretrained weights.

use std::path::{Path, PathBuf};

use visage_model::Architecture;
use visage_run::RunFolder;
use visage_weights::hub::{Hub, HubError, PREFIX};

/// The name of a network's ImageNet weights.
pub const IMAGENET: &str = "imagenet";

/// ImageNet's mean and standard deviation, as torchvision uses them.
const TORCHVISION: [[f32; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
/// Those of networks that were trained with TensorFlow, from -1 to 1.
const TENSORFLOW: [[f32; 3]; 2] = [[0.5; 3], [0.5; 3]];

/// The published ImageNet weights of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageNetWeights {
    /// The repository on the Hugging Face Hub.
    pub repository: &'static str,
    /// The mean of each channel that images were reduced by, on a scale from 0 to 1.
    pub mean: [f32; 3],
    /// The standard deviation that they were divided by.
    pub std: [f32; 3],
}

/// The ImageNet weights that `weights = "imagenet"` stands for; `None` for a network of which the Hub has none that fit it.
///
/// Source: timm's repositories and the preparation in their `config.json` (`pytorch-image-models`, `timm/models`).
#[must_use]
pub fn imagenet_weights(architecture: Architecture) -> Option<ImageNetWeights> {
    let (repository, [mean, std]) = match architecture {
        Architecture::ResNet18 => ("timm/resnet18.tv_in1k", TORCHVISION),
        Architecture::ResNet34 => ("timm/resnet34.tv_in1k", TORCHVISION),
        Architecture::ResNet50 => ("timm/resnet50.tv_in1k", TORCHVISION),
        Architecture::EfficientNetB0 => ("timm/efficientnet_b0.ra_in1k", TORCHVISION),
        Architecture::EfficientNetB1 => ("timm/efficientnet_b1.ft_in1k", TORCHVISION),
        Architecture::EfficientNetB2 => ("timm/efficientnet_b2.ra_in1k", TORCHVISION),
        Architecture::EfficientNetB3 => ("timm/efficientnet_b3.ra2_in1k", TORCHVISION),
        Architecture::EfficientNetLite0 => ("timm/tf_efficientnet_lite0.in1k", TENSORFLOW),
        Architecture::EfficientNetLite1 => ("timm/tf_efficientnet_lite1.in1k", TENSORFLOW),
        Architecture::EfficientNetLite2 => ("timm/tf_efficientnet_lite2.in1k", TENSORFLOW),
        Architecture::EfficientNetLite3 => ("timm/tf_efficientnet_lite3.in1k", TENSORFLOW),
        Architecture::EfficientNetLite4 => ("timm/tf_efficientnet_lite4.in1k", TENSORFLOW),
        // timm's weights belong to other constants of its norms.
        Architecture::MobileNetV3Large => return None,
    };
    Some(ImageNetWeights { repository, mean, std })
}

/// The file of `weights`: a path, the best checkpoint of the run whose folder it names, or `hub:OWNER/NAME[@REVISION]`, which is downloaded if
/// it is not cached.
///
/// # Errors
///
/// When a repository of the hub cannot be reached or has no weights.
pub fn locate_weights(weights: &Path) -> Result<PathBuf, HubError> {
    match weights.to_str() {
        Some(name) if name.starts_with(PREFIX) => Hub::default().file(&name.parse()?),
        _ if RunFolder::holds_run(weights) => Ok(RunFolder::model_file(weights)),
        _ => Ok(weights.to_owned()),
    }
}

/// The same for the weights of a recipe, which may also be [`IMAGENET`].
///
/// # Errors
///
/// Also when no ImageNet weights of the network are known.
pub fn locate_weights_for(architecture: Architecture, weights: &Path) -> Result<PathBuf, HubError> {
    if weights != Path::new(IMAGENET) {
        return locate_weights(weights);
    }
    let known = imagenet_weights(architecture).ok_or_else(|| HubError::NoImageNet(architecture.to_string()))?;
    Hub::default().file(&format!("{PREFIX}{}", known.repository).parse()?)
}

#[cfg(test)]
mod tests {
    use visage_weights::hub::HubName;

    use super::*;

    #[test]
    fn imagenet_names_a_repository_for_each_network_or_an_error() {
        for architecture in Architecture::ALL {
            match imagenet_weights(architecture) {
                Some(known) => {
                    let name: HubName = format!("{PREFIX}{}", known.repository).parse().unwrap();
                    assert_eq!(name.repository, known.repository);
                }
                None => {
                    let error = locate_weights_for(architecture, Path::new(IMAGENET)).unwrap_err().to_string();
                    assert!(error.contains(&architecture.to_string()) && error.contains("path"), "{error}");
                }
            }
        }
        assert_eq!(locate_weights_for(Architecture::ResNet18, Path::new("a.pth")).unwrap(), Path::new("a.pth"));
    }
}
