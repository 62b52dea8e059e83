//! The random draws behind confidence intervals.

use rand::RngExt;
use visage_data::random::stream;
use visage_judge::Resampling;

/// How many replicates an interval is made of.
const REPLICATES: usize = 1000;

/// The draws of every interval: the same for the same number of images, so that an interval repeats itself.
pub const RESAMPLING: Resampling<'static> = Resampling { replicates: REPLICATES, draw: &draw };

fn draw(number: u64, weights: &mut [u16]) {
    let mut random = stream(0, "bootstrap", 0, number);
    for _ in 0..weights.len() {
        weights[random.random_range(0..weights.len())] += 1;
    }
}
