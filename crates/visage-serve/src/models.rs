//! The models in service, by name. Only this module calls the networks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use burn::tensor::Device;
use visage_data::Size;
use visage_model::{Card, HeatMethod, Model, ModelOutput, Precision, Predictor, Prepared, TestTime};

use crate::error::ServeError;
use crate::problem::Problem;
use crate::source::Source;

/// A model as it was read from its file. A request uses one from start to end, even if the file is replaced meanwhile.
#[derive(Debug)]
pub(crate) struct ServedModel {
    pub(crate) name: String,
    /// For the gradients of heat maps.
    model: Model,
    predictor: Predictor,
}

impl ServedModel {
    pub(crate) fn new(name: String, model: Model, device: &Device, precision: Precision) -> Self {
        let predictor = Predictor::new(&model, device, precision);
        Self { name, model, predictor }
    }

    fn load(
        source: &Source,
        device: &Device,
        precision: Precision,
        test_time: Option<TestTime>,
    ) -> Result<Self, ServeError> {
        let name = source.name.clone();
        let mut model = Model::read(&source.path, device)
            .map_err(|error| ServeError::Model { name: name.clone(), source: Box::new(error) })?;
        if let Some(test_time) = test_time.filter(|test_time| *test_time != model.card.test_time) {
            let chosen = model.card.test_time;
            tracing::warn!(model = name, %chosen, served = %test_time, "thresholds and calibration were chosen with other views of an image");
            model.card.set_test_time(test_time);
        }
        let unfit = |reason: &str| ServeError::Unfit { path: source.path.clone(), reason: reason.to_owned() };
        let output = catch_panic(|| {
            let model = Self::new(name, model, device, precision);
            let black = vec![0; model.input_size().pixels() * 3];
            (model.predictor.predict(&[Prepared::Pixels(&black)]), model)
        });
        match output {
            None => Err(unfit("its network cannot process an image of the size that its card states")),
            Some((output, _)) if output.probabilities.iter().any(|p| !p.is_finite()) => {
                Err(unfit("its network computes NaN or infinity for a black image"))
            }
            Some((_, model)) => Ok(model),
        }
    }

    pub(crate) fn card(&self) -> &Card {
        &self.model.card
    }

    pub(crate) fn input_size(&self) -> Size {
        self.card().preparation.output_size()
    }

    pub(crate) fn attribute(&self, name: &str) -> Result<usize, Problem> {
        let attributes = &self.card().attributes;
        attributes.iter().position(|known| known == name).ok_or_else(|| {
            let known = attributes.join(", ");
            Problem::not_found(format!("model {} has no attribute {name:?}: it has {known}", self.name))
        })
    }

    pub(crate) fn predict(&self, parts: &[Prepared<'_>]) -> Option<ModelOutput> {
        catch_panic(|| self.predictor.predict(parts))
    }

    /// Grad-CAM of an attribute for one prepared image: a value of 0 or above for each pixel. `None` if the network panics.
    pub(crate) fn heat_map(&self, pixels: &[u8], attribute: usize) -> Option<Vec<f32>> {
        let image = Prepared::Pixels(pixels);
        let maps = || self.predictor.heat_maps(&self.model, image, &[attribute], HeatMethod::GradCam);
        catch_panic(|| maps().first().map(|map| map.resized(self.input_size()))).flatten()
    }
}

/// A panic in a network is a bug, or the model's card does not fit its network. Neither may end the server.
fn catch_panic<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// A name, and the model that it currently stands for.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) source: Source,
    current: RwLock<Arc<ServedModel>>,
}

impl Slot {
    pub(crate) fn current(&self) -> Arc<ServedModel> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn replace(&self, model: ServedModel) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(model);
    }
}

#[derive(Debug)]
pub(crate) struct Models {
    slots: Vec<Slot>,
    device: Device,
    precision: Precision,
    test_time: Option<TestTime>,
}

impl Models {
    /// Reads the models. `test_time` replaces the views of an image in their cards.
    pub(crate) fn load(
        sources: Vec<Source>,
        device: &Device,
        precision: Precision,
        test_time: Option<TestTime>,
    ) -> Result<Self, ServeError> {
        check_names(&sources)?;
        let slot = |source: Source| {
            let model = Arc::new(ServedModel::load(&source, device, precision, test_time)?);
            Ok(Slot { source, current: RwLock::new(model) })
        };
        let slots = sources.into_iter().map(slot).collect::<Result<_, ServeError>>()?;
        Ok(Self { slots, device: device.clone(), precision, test_time })
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(crate) fn current(&self) -> Vec<Arc<ServedModel>> {
        self.slots.iter().map(Slot::current).collect()
    }

    /// Loads the file of a slot as it is now, without using it.
    pub(crate) fn reload(&self, slot: &Slot) -> Result<ServedModel, ServeError> {
        ServedModel::load(&slot.source, &self.device, self.precision, self.test_time)
    }

    /// The model of this name, or the first one if there is no name.
    pub(crate) fn get(&self, name: Option<&str>) -> Result<Arc<ServedModel>, Problem> {
        let slot = match name {
            None => self.slots.first(),
            Some(name) => self.slots.iter().find(|slot| slot.source.name == name),
        };
        slot.map(Slot::current).ok_or_else(|| {
            let names: Vec<&str> = self.slots.iter().map(|slot| slot.source.name.as_str()).collect();
            let name = name.unwrap_or_default();
            Problem::not_found(format!("there is no model {name:?}; available: {}", names.join(", ")))
        })
    }
}

fn check_names(sources: &[Source]) -> Result<(), ServeError> {
    if sources.is_empty() {
        return Err(ServeError::NoModel);
    }
    for (index, Source { name, .. }) in sources.iter().enumerate() {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        // URL parsers resolve `.` and `..` as folders.
        if !name.bytes().all(is_allowed) || name.bytes().all(|byte| byte == b'.') {
            return Err(ServeError::BadName { name: name.clone() });
        }
        if sources[..index].iter().any(|other| other.name == *name) {
            return Err(ServeError::SameName { name: name.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_must_fit_a_url_and_differ() {
        let named = |names: &[&str]| {
            let sources = names.iter().map(|&name| Source { name: name.into(), path: "none".into() }).collect();
            Models::load(sources, &Device::flex(), Precision::F32, None).unwrap_err()
        };
        for bad in ["", "..", "a b", "a/b", "ä"] {
            assert!(matches!(named(&[bad]), ServeError::BadName { .. }), "{bad:?}");
        }
        assert!(matches!(named(&["a", "b", "a"]), ServeError::SameName { .. }));
        assert!(matches!(named(&[]), ServeError::NoModel));
        assert!(matches!(named(&["a"]), ServeError::Model { .. }));
    }
}
