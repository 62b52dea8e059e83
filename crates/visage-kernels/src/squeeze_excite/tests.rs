use proptest::prelude::*;

use super::*;
use crate::reference::{Layers, activate, assert_close, assert_same_on_any_threads, cases, gate, values};

proptest! {
    #![proptest_config(cases(100))]
    #[test]
    fn all_levels_agree_with_the_definition(
        batch in 1usize..4, pixels in 1usize..200, channels in 1usize..300, hidden in 1usize..9,
        hard in any::<bool>(),
    ) {
        let images = values(1, batch * pixels * channels);
        let layers = Layers::new(channels, hidden, hard);
        let Layers { reduce, reduce_bias, expand, expand_bias, .. } = &layers;
        let mut expected = Vec::new();
        for image in images.chunks(pixels * channels) {
            let mean = |c: usize| image.chunks(channels).map(|pixel| f64::from(pixel[c])).sum::<f64>() / pixels as f64;
            let means: Vec<f64> = (0..channels).map(mean).collect();
            let hidden: Vec<f64> = (0..hidden).map(|h| {
                let z = means.iter().zip(&reduce[h * channels..]).map(|(mean, w)| mean * f64::from(*w)).sum::<f64>()
                    + f64::from(reduce_bias[h]);
                activate(layers.activation, z)[0]
            }).collect();
            for (index, value) in image.iter().enumerate() {
                let c = index % channels;
                let products = hidden.iter().enumerate().map(|(h, z)| z * f64::from(expand[h * channels + c]));
                let z = products.sum::<f64>() + f64::from(expand_bias[c]);
                expected.push(f64::from(*value) * gate(layers.gate, z));
            }
        }
        let excitation = layers.excitation();
        simd::for_each_level(|_| {
            let mut actual = images.clone();
            squeeze_excite(batch, pixels, excitation, &mut actual);
            assert_close("gated images", &actual, &expected, 5e-6);
            let mut separate = vec![f32::NAN; images.len()];
            squeeze_excite_into(batch, pixels, excitation, &images, &mut separate);
            assert_eq!(separate, actual);
        });
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let (batch, pixels, channels, hidden) = (3, 300, 150, 7);
    let layers = Layers::new(channels, hidden, false);
    assert_same_on_any_threads(|| {
        let mut images = values(1, batch * pixels * channels);
        squeeze_excite(batch, pixels, layers.excitation(), &mut images);
        images
    });
}
