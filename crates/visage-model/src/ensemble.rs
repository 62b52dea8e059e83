//! Several models as one, which averages their logits.

use crate::model_file::Model;
use crate::test_time::TestTime;

/// What prevents models from being averaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnsembleError {
    /// There are fewer than two models.
    #[error("an ensemble needs two models or more")]
    TooFew,
    /// A model answers other questions, or answers them about other images.
    #[error("model {place} differs from the first in {what}")]
    Differs {
        /// The place of the model, from 1.
        place: usize,
        /// What differs.
        what: &'static str,
    },
}

impl Model {
    /// The model that averages the logits of `models`. They have the same attributes in the same order, the same preparation, and were
    /// trained on the same split of the same data, so that the images on which one is validated were in no other's training.
    ///
    /// Its origin is that of the first, without the metrics on the validation split. Its thresholds are the means of the models'
    /// thresholds, as logits. They are 0.5 if a model is calibrated, because thresholds of calibrated probabilities are not comparable.
    /// It has no calibration and no test-time augmentation of its own.
    ///
    /// # Errors
    ///
    /// If there are fewer than two models, or they differ.
    pub fn averaging(models: Vec<Model>) -> Result<Self, EnsembleError> {
        let mut models = models.into_iter();
        let mut first = models.next().ok_or(EnsembleError::TooFew)?;
        let others: Vec<Model> = models.collect();
        if others.is_empty() {
            return Err(EnsembleError::TooFew);
        }
        for (other, place) in others.iter().zip(2..) {
            if let Some(what) = difference(&first, other) {
                return Err(EnsembleError::Differs { place, what });
            }
        }
        let (thresholds, rule) = thresholds(&first, &others);
        let mut configs = std::mem::take(&mut first.card.ensemble);
        for other in others {
            configs.push(other.card.network);
            configs.extend(other.card.ensemble);
            first.ensemble.push(other.network);
            first.ensemble.extend(other.ensemble);
        }
        first.card.set_ensemble(configs);
        first.card.set_test_time(TestTime::None);
        first.card.set_calibration(None, thresholds, rule);
        first.card.origin.validation.clear();
        Ok(first)
    }
}

/// What differs between two models that cannot be averaged.
fn difference(first: &Model, other: &Model) -> Option<&'static str> {
    let (a, b) = (&first.card, &other.card);
    [
        ("attributes or their order", a.attributes == b.attributes),
        ("how images are prepared: size, crop, alignment or normalisation", a.preparation == b.preparation),
        ("the data it was trained on", a.origin.dataset_fingerprint == b.origin.dataset_fingerprint),
        ("the random splits of the data", a.origin.split_seed == b.origin.split_seed),
    ]
    .into_iter()
    .find_map(|(what, is_equal)| (!is_equal).then_some(what))
}

/// The thresholds of the average, and what describes them.
fn thresholds(first: &Model, others: &[Model]) -> (Vec<f32>, String) {
    let cards = || std::iter::once(&first.card).chain(others.iter().map(|model| &model.card));
    let count = first.card.attributes.len();
    if cards().any(|card| card.calibration.is_some()) {
        return (vec![0.5; count], "0.5, because the averaged models are calibrated".to_owned());
    }
    let mean = |attribute: usize| {
        let (mut sum, mut weight) = (0.0, 0.0);
        for card in cards() {
            let networks = 1.0 + card.ensemble.len() as f64;
            let threshold = f64::from(card.thresholds[attribute]);
            sum += networks * (threshold / (1.0 - threshold)).ln();
            weight += networks;
        }
        (1.0 / (1.0 + (-sum / weight).exp())) as f32
    };
    // An infinite threshold of one model, which never predicts the attribute, is one of the average. Opposite ones have no mean.
    let mean = |attribute| Some(mean(attribute)).filter(|mean| mean.is_finite()).unwrap_or(0.5);
    ((0..count).map(mean).collect(), "the mean of the averaged models' thresholds, as logits".to_owned())
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use visage_data::{Preparation, Size};
    use visage_judge::Calibration;

    use super::*;
    use crate::architecture::Architecture;
    use crate::card::Card;
    use crate::network_config::NetworkConfig;
    use crate::ops::Precision;
    use crate::predictor::Predictor;

    fn model(architecture: Architecture, seed: u64, threshold: f32) -> Model {
        let config = NetworkConfig::new(architecture, 2);
        let card = Card::new(config, vec!["A".into(), "B".into()], Preparation::exact(Size { height: 32, width: 40 }));
        let card = Card { thresholds: vec![threshold, 0.5], ..card };
        Model::new(card, config.init(seed, &Device::flex()))
    }

    fn logits(model: &Model, pixels: &[u8]) -> Vec<f32> {
        Predictor::new(model, &Device::flex(), Precision::F32).logits(pixels)
    }

    #[test]
    fn logits_and_thresholds_are_means_and_survive_a_file() {
        let [a, b, c] = [
            model(Architecture::ResNet18, 1, 0.5),
            model(Architecture::EfficientNetLite0, 2, 0.9),
            model(Architecture::ResNet18, 3, 0.1),
        ];
        let pixels: Vec<u8> = (0..2 * 32 * 40 * 3).map(|at| (at * 31 % 251) as u8).collect();
        let members = [&a, &b, &c].map(|model| logits(model, &pixels));
        let nested = Model::averaging(vec![Model::averaging(vec![a, b]).unwrap(), c]).unwrap();
        assert_eq!(nested.card.format, 4);
        assert!((nested.card.thresholds[0] - 0.5).abs() < 1e-6, "{:?}", nested.card.thresholds);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ensemble.safetensors");
        nested.write(&path).unwrap();
        let read = Model::read(&path, &Device::flex()).unwrap();
        assert_eq!(read.card, nested.card);
        for (index, value) in logits(&read, &pixels).into_iter().enumerate() {
            let mean = members.iter().map(|logits| logits[index]).sum::<f32>() / 3.0;
            assert!((value - mean).abs() <= 1e-6 * mean.abs().max(1.0), "{value} {mean}");
        }
    }

    #[test]
    fn mirror_images_count_half() {
        let mut model = model(Architecture::EfficientNetLite0, 1, 0.5);
        let pixels: Vec<u8> = (0..32 * 40 * 3).map(|at| (at * 37 % 253) as u8).collect();
        let mirrored: Vec<u8> =
            pixels.chunks(40 * 3).flat_map(|row| row.chunks(3).rev().flatten().copied().collect::<Vec<u8>>()).collect();
        let [image, mirror] = [&pixels, &mirrored].map(|pixels| logits(&model, pixels));
        assert_ne!(image, mirror);
        model.card.set_test_time(TestTime::Flip);
        let [both, other_way] = [&pixels, &mirrored].map(|pixels| logits(&model, pixels));
        let means: Vec<f32> = image.iter().zip(&mirror).map(|(a, b)| (a + b) / 2.0).collect();
        assert_eq!(both, means);
        assert_eq!(both, other_way);
    }

    #[test]
    fn models_that_differ_are_refused() {
        let network = |seed| model(Architecture::ResNet18, seed, 0.5);
        assert_eq!(Model::averaging(vec![network(1)]).unwrap_err(), EnsembleError::TooFew);
        let refused = |change: fn(&mut Card)| {
            let mut other = network(2);
            change(&mut other.card);
            Model::averaging(vec![network(1), other]).map(drop)
        };
        assert_eq!(refused(|_| ()), Ok(()));
        let changes: [fn(&mut Card); 4] = [
            |card| card.attributes.reverse(),
            |card| card.preparation = Preparation::exact(Size { height: 40, width: 32 }),
            |card| card.origin.dataset_fingerprint = "other".into(),
            |card| card.origin.split_seed = Some(1),
        ];
        for change in changes {
            assert!(matches!(refused(change), Err(EnsembleError::Differs { place: 2, .. })));
        }
    }

    #[test]
    fn thresholds_of_calibrated_models_are_not_averaged() {
        let [first, mut second] = [0.9, 0.9].map(|threshold| model(Architecture::ResNet18, 1, threshold));
        second.card.set_calibration(
            Some(Calibration::Temperature { temperatures: vec![2.0; 2] }),
            vec![0.9; 2],
            String::new(),
        );
        let ensemble = Model::averaging(vec![first, second]).unwrap();
        assert_eq!(ensemble.card.thresholds, [0.5; 2]);
        assert_eq!(ensemble.card.calibration, None);
    }
}
