//! The bootstrap samples behind confidence intervals.

use rand::RngExt;
use visage_data::random::stream;
use visage_judge::Resampling;

/// Bootstrap samples per interval.
const REPLICATES: usize = 1000;

/// The bootstrap samples of every interval: the same for the same number of images, so that intervals are reproducible.
pub(crate) const BOOTSTRAP: Resampling<'static> = Resampling { replicates: REPLICATES, draw: &draw };

fn draw(number: u64, weights: &mut [u16]) {
    let mut random = stream(0, "bootstrap", 0, number);
    for _ in 0..weights.len() {
        weights[random.random_range(0..weights.len())] += 1;
    }
}
