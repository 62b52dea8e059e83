//! Drawing splits so that each has its share of every attribute.

use crate::label::Label;
use crate::random::{shuffle, stream};
use crate::sample::{Sample, of_one_identity};
use crate::split::Split;

/// The parts that training, validation and test get: CelebA's own.
const SHARES: [(Split, f64); 3] = [(Split::Train, 0.8), (Split::Validation, 0.1), (Split::Test, 0.1)];

/// Samples that go into a split together.
struct Group {
    samples: Vec<usize>,
    /// Of each attribute, how many of them have its rarer label.
    rare: Vec<u32>,
}

/// A split for each sample, drawn from `seed`.
///
/// This is iterative stratification (Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data", ECML
/// PKDD 2011) over groups of one identity: the rarest label that is left is dealt out first, each time to the split that
/// lacks most of it, among the splits that have room. Beyond the paper, each split is owed at least one group
/// with each label, training first, so that a label of three groups is in all three splits.
pub(crate) fn splits(samples: &[Sample], attributes: usize, seed: u64) -> Vec<Split> {
    let mut groups = groups(samples, attributes);
    shuffle(&mut groups, &mut stream(seed, "split", 0, 0));

    let mut room = SHARES.map(|(_, share)| share * samples.len() as f64);
    let mut owed: Vec<[f64; 3]> = (0..attributes)
        .map(|attribute| {
            let total: u32 = groups.iter().map(|group| group.rare[attribute]).sum();
            let holders = groups.iter().filter(|group| group.rare[attribute] > 0).count();
            owed(f64::from(total), holders)
        })
        .collect();
    // Groups that have each label and are not dealt out yet.
    let mut left: Vec<usize> =
        (0..attributes).map(|attribute| groups.iter().filter(|group| group.rare[attribute] > 0).count()).collect();
    // The splits that have none yet.
    let mut without = vec![[true; 3]; attributes];
    let mut dealt: Vec<Option<usize>> = vec![None; groups.len()];
    while let Some(attribute) = (0..attributes).filter(|&a| left[a] > 0).min_by_key(|&a| left[a]) {
        for number in 0..groups.len() {
            if dealt[number].is_some() || groups[number].rare[attribute] == 0 {
                continue;
            }
            let lacking = without[attribute];
            // So few are left that each must go where there is none yet.
            let urgent = left[attribute] <= lacking.iter().filter(|&&lacks| lacks).count();
            let split = neediest(&owed[attribute], &room, lacking.map(|lacks| urgent && lacks));
            dealt[number] = Some(split);
            let group = &groups[number];
            room[split] -= group.samples.len() as f64;
            for (other, &count) in group.rare.iter().enumerate() {
                owed[other][split] -= f64::from(count);
                if count > 0 {
                    left[other] -= 1;
                    without[other][split] = false;
                }
            }
        }
    }

    let mut splits = vec![Split::Train; samples.len()];
    for (group, dealt) in groups.iter().zip(dealt) {
        let split = dealt.unwrap_or_else(|| {
            // Nothing rare about it: it goes where most images are still missing.
            let split = largest(&room);
            room[split] -= group.samples.len() as f64;
            split
        });
        group.samples.iter().for_each(|&sample| splits[sample] = SHARES[split].0);
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
    of_one_identity(samples).into_iter().map(group).collect()
}

/// How many of `total` labels, spread over `holders` groups, each split should have.
fn owed(total: f64, holders: usize) -> [f64; 3] {
    let [_, validation, test] = SHARES.map(|(_, share)| share * total);
    // Training has the first holder, validation the second, test the third.
    let validation = if holders >= 2 { validation.max(1.0) } else { 0.0 };
    let test = if holders >= 3 { test.max(1.0) } else { 0.0 };
    [(total - validation - test).max(0.0), validation, test]
}

/// The split that lacks most of a label, among those with room for images, the urgent ones first; the most room decides
/// between equals.
fn neediest(owed: &[f64; 3], room: &[f64; 3], urgent: [bool; 3]) -> usize {
    let need = |split: usize| (urgent[split], owed[split], room[split]);
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
