//! Named, reproducible random streams.
//!
//! Every random draw in visage comes from a stream keyed by *(seed, purpose, epoch, sample)*. The tuple is the ChaCha key, so that
//! different tuples have different streams, and the draws for a sample depend neither on the number of threads nor on where
//! a run was resumed.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// The stream for one *(seed, purpose, epoch, sample)*.
///
/// `purpose` is a short name such as `"shuffle"` or `"augment"`, and unique to each use of randomness. Draws that belong to
/// no epoch or no sample pass 0.
#[must_use]
pub fn stream(seed: u64, purpose: &str, epoch: u64, sample: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&fnv1a(purpose.as_bytes()).to_le_bytes());
    key[16..24].copy_from_slice(&epoch.to_le_bytes());
    key[24..].copy_from_slice(&sample.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// Shuffles `items` (Fisher-Yates). Written out, because the order must not change with a release of the random library.
pub(crate) fn shuffle<T>(items: &mut [T], random: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, random.random_range(0..=last));
    }
}

/// At most `size` of the items, drawn at random from `seed` for `purpose`, in their order.
#[must_use]
pub fn subset<T: Ord>(mut items: Vec<T>, size: usize, seed: u64, purpose: &str) -> Vec<T> {
    if items.len() > size {
        shuffle(&mut items, &mut stream(seed, &format!("subset {purpose}"), 0, 0));
        items.truncate(size);
        items.sort();
    }
    items
}

/// The 64-bit FNV-1a hash (Fowler, Noll, Vo).
fn fnv1a(bytes: &[u8]) -> u64 {
    const OFFSET_BASIS: u64 = 0xCBF2_9CE4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01B3;
    bytes.iter().fold(OFFSET_BASIS, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_every_part_of_its_key_and_on_nothing_else() {
        let draw = |seed, purpose, epoch, sample| stream(seed, purpose, epoch, sample).random::<u64>();
        let first = draw(1, "augment", 2, 3);
        assert_eq!(first, draw(1, "augment", 2, 3));
        for other in
            [draw(2, "augment", 2, 3), draw(1, "shuffle", 2, 3), draw(1, "augment", 3, 3), draw(1, "augment", 2, 4)]
        {
            assert_ne!(first, other);
        }
    }
}
