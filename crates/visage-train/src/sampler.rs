//! Class-aware sampling of training images.

use rand::RngExt;
use visage_data::random::stream;
use visage_data::{AttributeStatistics, Dataset, Label, Statistics};

/// Class-aware sampling (Shen, Lin and Huang, ECCV 2016) for multi-label data: every draw takes an attribute, then one of
/// its two answers, then an image with that answer, each uniformly. Images with rare answers are drawn several times in an
/// epoch, others not at all.
///
/// An image drawn twice in an epoch is augmented identically both times: random streams belong to the image and the epoch.
#[derive(Clone, Debug)]
pub struct BalancedSampler {
    images: Vec<usize>,
    /// Cumulative sums of the images' weights.
    cumulative: Vec<f64>,
}

impl BalancedSampler {
    /// A sampler of the images `images` of `dataset`, whose counts are `statistics`. Attributes with only one answer are
    /// ignored; if all are, the draw is uniform.
    pub fn new(dataset: &Dataset, images: &[usize], statistics: &Statistics) -> Self {
        let weight = |counts: &AttributeStatistics| {
            let both = counts.present > 0 && counts.absent > 0;
            both.then(|| [1.0 / counts.absent as f64, 1.0 / counts.present as f64])
        };
        let weights: Vec<Option<[f64; 2]>> = statistics.attributes.iter().map(weight).collect();
        let answered = weights.iter().any(Option::is_some);
        let mut sum = 0.0;
        let cumulative = images.iter().map(|&image| {
            let labels = dataset.samples()[image].labels.iter().zip(&weights);
            let of = |(label, weights): (&Label, &Option<[f64; 2]>)| {
                weights.as_ref().zip(label.known()).map_or(0.0, |(weights, present)| weights[usize::from(present)])
            };
            sum += if answered { labels.map(of).sum::<f64>() } else { 1.0 };
            sum
        });
        Self { cumulative: cumulative.collect(), images: images.to_vec() }
    }

    /// The images of an epoch, counted from 0, in the order of the draws.
    pub fn epoch(&self, seed: u64, epoch: u64) -> Vec<usize> {
        let total = self.cumulative.last().copied().unwrap_or_default();
        let mut random = stream(seed, "balanced sampling", epoch, 0);
        let mut draw = || {
            let at = random.random::<f64>() * total;
            let position = self.cumulative.partition_point(|&sum| sum <= at);
            self.images[position.min(self.images.len() - 1)]
        };
        self.images.iter().map(|_| draw()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use visage_data::Split;

    use super::*;

    #[test]
    fn rare_answers_are_drawn_as_often_as_common_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.csv");
        // Rare on one image in twenty, Common on all but one in ten, Constant on all.
        let rows = (0..400).map(|i| {
            let unknown = if i % 7 == 3 { String::new() } else { u8::from(i % 10 != 0).to_string() };
            format!("{i}.png,train,{},{unknown},1\n", u8::from(i % 20 == 1))
        });
        fs::write(&path, format!("image,split,Rare,Common,Constant\n{}", rows.collect::<String>())).unwrap();
        let dataset = Dataset::open(&path).unwrap();
        let images = dataset.indices(Split::Train);
        let balanced = BalancedSampler::new(&dataset, &images, &Statistics::of(&dataset, Split::Train));

        let drawn: Vec<usize> = (0..50).flat_map(|epoch| balanced.epoch(7, epoch)).collect();
        assert_eq!(drawn.len(), 50 * 400);
        let share = |attribute: usize, label: Label| {
            let has = drawn.iter().filter(|&&image| dataset.samples()[image].labels[attribute] == label).count();
            has as f64 / drawn.len() as f64
        };
        // By hand: half of the draws are for Rare, half of which find it present. Half are for Common: among its absent
        // images none has Rare, among its present ones about 20 in 323.
        let present = |image: usize, attribute: usize| dataset.samples()[image].labels[attribute] == Label::Present;
        let common: Vec<usize> = images.iter().copied().filter(|&image| present(image, 1)).collect();
        let among_common = common.iter().filter(|&&image| present(image, 0)).count() as f64 / common.len() as f64;
        let expected = 0.5 * 0.5 + 0.5 * 0.5 * among_common;
        assert!((share(0, Label::Present) - expected).abs() < 0.01, "{} and {expected}", share(0, Label::Present));
        assert!(share(0, Label::Present) > 5.0 * 0.05, "five times the prevalence");

        assert_eq!(balanced.epoch(7, 3), balanced.epoch(7, 3));
        assert_ne!(balanced.epoch(7, 3), balanced.epoch(7, 4));
        assert_ne!(balanced.epoch(7, 3), balanced.epoch(8, 3));
    }
}
