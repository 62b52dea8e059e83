//! Weights from the Hugging Face Hub, named `hub:OWNER/NAME[@REVISION]`.
//!
//! Downloads go to the cache of `huggingface_hub` (`$HF_HOME`, or else `~/.cache/huggingface`). Files in the cache are used without
//! network access. `$HF_ENDPOINT` sets another server.

use std::path::PathBuf;
use std::str::FromStr;

/// The prefix of a repository's name.
pub const PREFIX: &str = "hub:";
/// The revision of a name without one.
const DEFAULT_REVISION: &str = "main";

/// The name of a repository with weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubName {
    /// `OWNER/NAME`.
    pub repository: String,
    /// A branch, tag or commit.
    pub revision: String,
}

/// Why weights could not be downloaded.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// An invalid name of a repository.
    #[error(
        "{0:?} is not the name of a repository: write hub:OWNER/NAME or hub:OWNER/NAME@REVISION, such as hub:timm/resnet18.a1_in1k"
    )]
    Name(String),
    /// This build does not support the Hub.
    #[error(
        "this visage was built without the feature `hub`: install it with `cargo install --path crates/visage --features \
         hub`, or download {0} and pass the path of the file"
    )]
    NotBuiltIn(String),
    /// No weights are known by the name `imagenet` for a network.
    #[error("no ImageNet weights of {0} are known by name: pass the path of a file")]
    NoImageNet(String),
    /// The repository has no weight file, or several.
    #[error("{name} holds {}: download the file you want and pass its path", if files.is_empty() {
        "no .safetensors, .pth, .pt or .bin file".to_owned()
    } else {
        format!("several weight files ({})", files.join(", "))
    })]
    Files {
        /// The repository.
        name: String,
        /// Its weight files.
        files: Vec<String>,
    },
    /// The download failed.
    #[error(
        "cannot download {name} from the Hugging Face Hub: {reason}; if the name and revision are right, check the network, or log in with \
         `huggingface-cli login` where the repository asks for that"
    )]
    Download {
        /// The repository.
        name: String,
        /// Why.
        reason: String,
    },
}

impl FromStr for HubName {
    type Err = HubError;

    fn from_str(text: &str) -> Result<Self, HubError> {
        let wrong = || HubError::Name(text.to_owned());
        let name = text.strip_prefix(PREFIX).ok_or_else(wrong)?;
        let (repository, revision) = name.split_once('@').unwrap_or((name, DEFAULT_REVISION));
        // The parts become parts of a path and of a URL.
        let plain = |part: &str, others: &str| {
            !part.is_empty()
                && !part.starts_with(['.', '-'])
                && !part.contains("..")
                && part.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
        };
        let parts: Vec<&str> = repository.split('/').collect();
        let valid = parts.len() == 2 && parts.iter().all(|part| plain(part, "-_.")) && plain(revision, "-_./");
        if !valid {
            return Err(wrong());
        }
        Ok(Self { repository: repository.to_owned(), revision: revision.to_owned() })
    }
}

impl std::fmt::Display for HubName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{PREFIX}{}@{}", self.repository, self.revision)
    }
}

/// Where weights are downloaded from and to.
#[derive(Clone, Debug, Default)]
pub struct Hub {
    /// The cache folder; `None` for the one set by the environment.
    pub cache: Option<PathBuf>,
    /// The URL of the server; `None` for the one set by the environment.
    pub endpoint: Option<String>,
}

impl Hub {
    /// The path of the weight file of a repository, downloaded unless it is in the cache.
    ///
    /// Of several files it is `model.safetensors`, or else `pytorch_model.bin`.
    ///
    /// # Errors
    ///
    /// [`HubError`]
    #[cfg(not(feature = "hub"))]
    pub fn file(&self, name: &HubName) -> Result<PathBuf, HubError> {
        Err(HubError::NotBuiltIn(name.to_string()))
    }

    /// The path of the weight file of a repository, downloaded unless it is in the cache.
    ///
    /// Of several files it is `model.safetensors`, or else `pytorch_model.bin`.
    ///
    /// # Errors
    ///
    /// [`HubError`]
    #[cfg(feature = "hub")]
    pub fn file(&self, name: &HubName) -> Result<PathBuf, HubError> {
        use hf_hub::api::sync::ApiBuilder;
        use hf_hub::{Cache, Repo, RepoType};

        let repository = Repo::with_revision(name.repository.clone(), RepoType::Model, name.revision.clone());
        let cache = self.cache.clone().map_or_else(Cache::from_env, Cache::new);
        let cached = cache.repo(repository.clone());
        if let Some(file) = PREFERRED.iter().find_map(|file| cached.get(file)) {
            return Ok(file);
        }

        let failed = |error: hf_hub::api::sync::ApiError| HubError::Download {
            name: name.to_string(),
            reason: error.to_string(),
        };
        let mut builder = ApiBuilder::from_env().with_progress(false);
        if let Some(cache) = &self.cache {
            builder = builder.with_cache_dir(cache.clone());
        }
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        let repository = builder.build().map_err(failed)?.repo(repository);
        let files = repository.info().map_err(failed)?.siblings.into_iter().map(|file| file.rfilename).collect();
        let file = choose(files).map_err(|files| HubError::Files { name: name.to_string(), files })?;
        repository.get(&file).map_err(failed)
    }
}

/// The usual names of weight files, in order of preference.
#[cfg(feature = "hub")]
const PREFERRED: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// The weight file among a repository's `files`; the error is all candidates.
#[cfg(feature = "hub")]
fn choose(files: Vec<String>) -> Result<String, Vec<String>> {
    let is_weights = |file: &String| {
        !file.contains('/') && [".safetensors", ".pth", ".pt", ".bin"].iter().any(|suffix| file.ends_with(suffix))
    };
    let mut weights: Vec<String> = files.into_iter().filter(is_weights).collect();
    if let Some(preferred) = PREFERRED.into_iter().find(|preferred| weights.iter().any(|file| file == preferred)) {
        return Ok(preferred.to_owned());
    }
    if weights.len() == 1 { Ok(weights.remove(0)) } else { Err(weights) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_an_owner_a_name_and_a_revision() {
        for (text, repository, revision) in [
            ("hub:timm/resnet18.a1_in1k", "timm/resnet18.a1_in1k", "main"),
            ("hub:timm/efficientnet_b0.ra_in1k@v1.0", "timm/efficientnet_b0.ra_in1k", "v1.0"),
            ("hub:a/b@refs/pr/3", "a/b", "refs/pr/3"),
        ] {
            let name: HubName = text.parse().unwrap();
            assert_eq!((name.repository.as_str(), name.revision.as_str()), (repository, revision));
            assert_eq!(name.to_string(), format!("hub:{repository}@{revision}"));
        }
        for wrong in [
            "timm/resnet18",
            "hub:resnet18",
            "hub:a/b/c",
            "hub:/b",
            "hub:a/",
            "hub:a/b@",
            "hub:../b",
            "hub:a/b@../c",
            "hub:a/b?c",
        ] {
            let error = wrong.parse::<HubName>().unwrap_err().to_string();
            assert!(error.contains("hub:OWNER/NAME"), "{wrong}: {error}");
        }
    }

    #[cfg(feature = "hub")]
    #[test]
    fn the_weight_file_is_chosen_or_the_candidates_are_named() {
        let files = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            choose(files(&["README.md", "pytorch_model.bin", "model.safetensors"])).unwrap(),
            "model.safetensors"
        );
        assert_eq!(choose(files(&["pytorch_model.bin", "x.pth"])).unwrap(), "pytorch_model.bin");
        assert_eq!(choose(files(&["config.json", "faces.pth", "onnx/model.bin"])).unwrap(), "faces.pth");
        assert_eq!(choose(files(&["a.pth", "b.pth"])).unwrap_err(), ["a.pth", "b.pth"]);
        assert!(choose(files(&["config.json"])).unwrap_err().is_empty());
    }
}
