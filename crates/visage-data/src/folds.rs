//! Folds for cross-validation.

use crate::random::{shuffle, stream};
use crate::sample::{Sample, groups_by_identity};
use crate::split::Split;

/// The validation split's share of what is not held out.
const VALIDATION: f64 = 0.1;

/// A split for each sample, drawn from `seed`: test for the fold number `fold` of `folds`, validation and training for the
/// others.
pub(crate) fn splits(samples: &[Sample], fold: usize, folds: usize, seed: u64) -> Vec<Split> {
    let mut groups = groups_by_identity(samples);
    shuffle(&mut groups, &mut stream(seed, "folds", 0, 0));

    let mut splits = vec![Split::Train; samples.len()];
    let mut sizes = vec![0; folds];
    let (mut others, mut validation) = (0, 0);
    for group in groups {
        // Each group goes to the smallest fold, whichever fold is held out.
        let smallest = (0..folds).min_by_key(|&fold| sizes[fold]).unwrap_or(0);
        sizes[smallest] += group.len();
        let split = if smallest == fold {
            Split::Test
        } else {
            others += group.len();
            if (validation as f64) < VALIDATION * others as f64 { Split::Validation } else { Split::Train }
        };
        if split == Split::Validation {
            validation += group.len();
        }
        group.into_iter().for_each(|index| splits[index] = split);
    }
    splits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(count: usize) -> Vec<Sample> {
        let sample = |index: usize| Sample {
            image: format!("{index}.jpg"),
            // Two pictures of each of the first hundred people.
            identity: (index < 200).then(|| (index / 2).to_string()),
            ..Sample::default()
        };
        (0..count).map(sample).collect()
    }

    #[test]
    fn every_image_is_held_out_once_and_people_stay_together() {
        let samples = samples(503);
        let folds: Vec<Vec<Split>> = (0..5).map(|fold| splits(&samples, fold, 5, 3)).collect();
        for index in 0..samples.len() {
            let held_out = folds.iter().filter(|splits| splits[index] == Split::Test).count();
            assert_eq!(held_out, 1, "{index}");
        }
        for splits in &folds {
            let count = |wanted| splits.iter().filter(|&&split| split == wanted).count();
            assert!((99..=102).contains(&count(Split::Test)), "{}", count(Split::Test));
            assert!((40..=42).contains(&count(Split::Validation)), "{}", count(Split::Validation));
            assert!((0..100).all(|person| splits[2 * person] == splits[2 * person + 1]));
        }
        assert_eq!(folds[1], splits(&samples, 1, 5, 3));
        assert_ne!(folds[1], splits(&samples, 1, 5, 4));
    }
}
