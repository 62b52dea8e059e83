//! Stratified splits: each split has its share of every attribute.

use crate::label::Label;
use crate::random::{shuffle, stream};
use crate::sample::{Sample, groups_by_identity};
use crate::split::Split;

/// The shares of [`Split::ALL`], as in CelebA.
pub(crate) const SHARES: [f64; 3] = [0.8, 0.1, 0.1];
/// The shares where only a validation split is drawn.
pub(crate) const VALIDATION_SHARES: [f64; 3] = [0.9, 0.1, 0.0];

/// Samples that stay in one split.
struct Group {
    samples: Vec<usize>,
    /// For each attribute, how many of the samples have its rarer label.
    rare: Vec<u32>,
}

/// A split for each sample, drawn from `seed`.
///
/// This is iterative stratification (Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data", ECML
/// PKDD 2011) over groups of one identity: the rarest remaining label is assigned first, each time to the split that
/// needs most of it, among the splits that have room. Beyond the paper, each split should get at least one group
/// with each label, training first, so that a label of three groups is in all three splits.
pub(crate) fn splits(samples: &[Sample], attributes: usize, seed: u64, shares: [f64; 3]) -> Vec<Split> {
    let mut groups = groups(samples, attributes);
    shuffle(&mut groups, &mut stream(seed, "split", 0, 0));

    let mut room = shares.map(|share| share * samples.len() as f64);
    let mut needs: Vec<[f64; 3]> = (0..attributes)
        .map(|attribute| {
            let total: u32 = groups.iter().map(|group| group.rare[attribute]).sum();
            let holders = groups.iter().filter(|group| group.rare[attribute] > 0).count();
            target_counts(f64::from(total), holders, shares)
        })
        .collect();
    // For each label, the groups that have it and are not assigned yet.
    let mut left: Vec<usize> =
        (0..attributes).map(|attribute| groups.iter().filter(|group| group.rare[attribute] > 0).count()).collect();
    // For each label, the splits that have none yet.
    let mut without = vec![shares.map(|share| share > 0.0); attributes];
    let mut assigned: Vec<Option<usize>> = vec![None; groups.len()];
    while let Some(attribute) = (0..attributes).filter(|&a| left[a] > 0).min_by_key(|&a| left[a]) {
        for number in 0..groups.len() {
            if assigned[number].is_some() || groups[number].rare[attribute] == 0 {
                continue;
            }
            let lacks = without[attribute];
            // So few groups are left that each must go to a split that has none yet.
            let urgent = left[attribute] <= lacks.iter().filter(|&&lacks| lacks).count();
            let split = neediest(&needs[attribute], &room, lacks.map(|lacks| urgent && lacks));
            assigned[number] = Some(split);
            let group = &groups[number];
            room[split] -= group.samples.len() as f64;
            for (other, &count) in group.rare.iter().enumerate() {
                needs[other][split] -= f64::from(count);
                if count > 0 {
                    left[other] -= 1;
                    without[other][split] = false;
                }
            }
        }
    }

    let mut splits = vec![Split::Train; samples.len()];
    for (group, split) in groups.iter().zip(assigned) {
        let split = split.unwrap_or_else(|| {
            // A group without rare labels goes to the split with the most room.
            let split = largest(&room);
            room[split] -= group.samples.len() as f64;
            split
        });
        group.samples.iter().for_each(|&sample| splits[sample] = Split::ALL[split]);
    }
    splits
}

/// The groups in an order that does not depend on that of the rows.
fn groups(samples: &[Sample], attributes: usize) -> Vec<Group> {
    let rarer: Vec<Label> = (0..attributes)
        .map(|attribute| {
            let count = |label| samples.iter().filter(|sample| sample.labels[attribute] == label).count();
            if count(Label::Present) <= count(Label::Absent) { Label::Present } else { Label::Absent }
        })
        .collect();
    let group = |members: Vec<usize>| {
        let rare = |(attribute, rarer): (usize, &Label)| {
            members.iter().filter(|&&sample| samples[sample].labels[attribute] == *rarer).count() as u32
        };
        Group { rare: rarer.iter().enumerate().map(rare).collect(), samples: members }
    };
    groups_by_identity(samples).into_iter().map(group).collect()
}

/// How many of `total` labels, spread over `holders` groups, each split should have.
fn target_counts(total: f64, holders: usize, shares: [f64; 3]) -> [f64; 3] {
    let [_, validation, test] = shares.map(|share| share * total);
    // The first holder is for training, the second for validation, the third for test.
    let validation = if holders >= 2 { validation.max(1.0) } else { 0.0 };
    let test = if holders >= 3 && shares[2] > 0.0 { test.max(1.0) } else { 0.0 };
    [(total - validation - test).max(0.0), validation, test]
}

/// The split that needs most of a label among those with room, urgent ones first. Of equals, the one with the most room.
fn neediest(needs: &[f64; 3], room: &[f64; 3], urgent: [bool; 3]) -> usize {
    let need = |split: usize| (urgent[split], needs[split], room[split]);
    let mut best: Option<usize> = None;
    for split in (0..3).filter(|&split| room[split] > 0.0) {
        if best.is_none_or(|known| need(split) > need(known)) {
            best = Some(split);
        }
    }
    best.unwrap_or_else(|| largest(room))
}

fn largest(room: &[f64; 3]) -> usize {
    (1..3).fold(0, |best, split| if room[split] > room[best] { split } else { best })
}
