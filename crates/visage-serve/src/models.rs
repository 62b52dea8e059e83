//! The models that are served, by name.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use burn::tensor::Device;
use visage_model::{Model, Precision, Predictor, Prepared};

use crate::error::ServeError;
use crate::problem::Problem;

/// A model file to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name it is asked for by.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

/// A model as it was read from its file at one moment. A request keeps the one that it began with.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The name it is asked for by.
    pub(crate) name: String,
    /// What heat maps take gradients of.
    pub(crate) model: Model,
    /// What answers.
    pub(crate) predictor: Predictor,
}

impl Loaded {
    /// Reads a model and asks it about a black image, which it must survive.
    fn read(source: &Source, device: &Device, precision: Precision) -> Result<Self, ServeError> {
        let model = Model::read(&source.path, device)
            .map_err(|error| ServeError::Model { name: source.name.clone(), source: Box::new(error) })?;
        let predictor = Predictor::new(&model, device, precision);
        let black = vec![0; model.card.preparation.output_size().pixels() * 3];
        let answers = catch_unwind(AssertUnwindSafe(|| predictor.predict(&[Prepared::Pixels(&black)])));
        let unfit = |reason: &str| ServeError::Unfit { path: source.path.clone(), reason: reason.to_owned() };
        match answers {
            Err(_) => Err(unfit("its network cannot take an image of the size that its card says")),
            Ok(answers) if answers.probabilities.iter().any(|p| !p.is_finite()) => {
                Err(unfit("its answers are no numbers"))
            }
            Ok(_) => Ok(Self { name: source.name.clone(), model, predictor }),
        }
    }

    /// The number of an attribute.
    pub(crate) fn attribute(&self, name: &str) -> Result<usize, Problem> {
        let attributes = &self.model.card.attributes;
        attributes.iter().position(|known| known == name).ok_or_else(|| {
            Problem::not_found(format!(
                "model {} has no attribute {name:?}: it has {}",
                self.name,
                attributes.join(", ")
            ))
        })
    }
}

/// A name, and the model that answers to it now.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) source: Source,
    current: RwLock<Arc<Loaded>>,
}

impl Slot {
    pub(crate) fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets another reading of the file answer from now on.
    pub(crate) fn replace(&self, loaded: Loaded) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
    }
}

/// All models, in the order in which they were named, and what they compute on and in.
#[derive(Debug)]
pub(crate) struct Models {
    slots: Vec<Slot>,
    device: Device,
    precision: Precision,
}

impl Models {
    /// Reads every model.
    pub(crate) fn read(sources: Vec<Source>, device: &Device, precision: Precision) -> Result<Self, ServeError> {
        if sources.is_empty() {
            return Err(ServeError::NoModel);
        }
        for (index, source) in sources.iter().enumerate() {
            let name = &source.name;
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            // Dots alone are folders to whoever resolves an address.
            if !name.bytes().all(fits) || name.bytes().all(|byte| byte == b'.') {
                return Err(ServeError::BadName { name: name.clone() });
            }
            if sources[..index].iter().any(|other| other.name == *name) {
                return Err(ServeError::SameName { name: name.clone() });
            }
        }
        let slot = |source: Source| {
            let loaded = Arc::new(Loaded::read(&source, device, precision)?);
            Ok(Slot { source, current: RwLock::new(loaded) })
        };
        let slots = sources.into_iter().map(slot).collect::<Result<_, ServeError>>()?;
        Ok(Self { slots, device: device.clone(), precision })
    }

    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self { slots: Vec::new(), device: Device::flex(), precision: Precision::F32 }
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// What the file of a slot holds now.
    pub(crate) fn read_anew(&self, slot: &Slot) -> Result<Loaded, ServeError> {
        Loaded::read(&slot.source, &self.device, self.precision)
    }

    /// The model of this name; without one, the first.
    pub(crate) fn get(&self, name: Option<&str>) -> Result<Arc<Loaded>, Problem> {
        let slot = match name {
            None => self.slots.first(),
            Some(name) => self.slots.iter().find(|slot| slot.source.name == name),
        };
        slot.map(Slot::current).ok_or_else(|| {
            let names: Vec<&str> = self.slots.iter().map(|slot| slot.source.name.as_str()).collect();
            Problem::not_found(format!(
                "no model is called {:?}: there are {}",
                name.unwrap_or_default(),
                names.join(", ")
            ))
        })
    }
}

impl Source {
    /// What is typed to name a model: `NAME=PATH`, or a path, whose name is then that of the file, or of its folder where the file
    /// is called as in every run.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if let Some((name, path)) = text.split_once('=')
            && !name.contains(['/', '\\'])
            && !Path::new(text).exists()
        {
            return Self { name: name.to_owned(), path: path.into() };
        }
        Self::of(PathBuf::from(text))
    }

    /// A path, by its own name.
    #[must_use]
    pub fn of(path: PathBuf) -> Self {
        let own = if path.is_dir() {
            path.canonicalize().ok().as_deref().and_then(file_name)
        } else {
            path.file_stem().map(|stem| stem.to_string_lossy().into_owned())
        };
        let name = match own.as_deref() {
            Some("best" | "last") => path.canonicalize().ok().and_then(|path| file_name(path.parent()?)).or(own),
            _ => own,
        };
        Self { name: name.unwrap_or_default(), path }
    }
}

fn file_name(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_model_is_called_as_its_file_or_its_run() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("enhanced");
        fs::create_dir(&run).unwrap();
        let name = |text: &str| Source::parse(text).name;
        let at = |file: &str| run.join(file).display().to_string();
        fs::write(at("best.safetensors"), "").unwrap();
        assert_eq!(name(&run.display().to_string()), "enhanced");
        assert_eq!(name(&at("best.safetensors")), "enhanced");
        assert_eq!(name(&at("other.safetensors")), "other");
        let given = Source { name: "faces".into(), path: "runs/a".into() };
        assert_eq!(Source::parse("faces=runs/a"), given);
    }

    #[test]
    fn names_must_be_fit_for_an_address_and_differ() {
        let named = |names: &[&str]| {
            let sources = names.iter().map(|&name| Source { name: name.into(), path: "none".into() }).collect();
            Models::read(sources, &Device::flex(), Precision::F32).unwrap_err()
        };
        for bad in ["", "..", "a b", "a/b", "ä"] {
            assert!(matches!(named(&[bad]), ServeError::BadName { .. }), "{bad:?}");
        }
        assert!(matches!(named(&["a", "b", "a"]), ServeError::SameName { .. }));
        assert!(matches!(named(&[]), ServeError::NoModel));
        assert!(matches!(named(&["a"]), ServeError::Model { .. }));
    }
}
