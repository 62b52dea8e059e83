//! An engine spreads a batch over threads and groups of images. The logits must not depend on that.

use burn::tensor::{Device, Tensor, TensorData};
use visage_data::{Preparation, Size};
use visage_model::{Architecture, Engine, NetworkConfig, Pass, Precision, Prepared};

#[test]
fn an_engine_returns_the_logits_of_the_forward_pass() {
    let device = Device::flex();
    // An odd batch, so that the last group is smaller. All images differ.
    let (batch, size) = (5, 40);
    let values: Vec<f32> =
        (0..batch * size * size * 3).map(|i| (i as f32 * 0.37).sin() * (1.0 + i as f32 * 1e-4)).collect();
    let images = Tensor::<4>::from_data(TensorData::new(values.clone(), [batch, size, size, 3]), &device);
    for architecture in Architecture::ALL {
        let network = NetworkConfig::new(architecture, 7).init(3, &device);
        let expected = network.forward(images.clone(), Pass::Inference).into_data().try_into_vec::<f32>().expect("f32");
        let engine = Engine::new(&network, &Preparation::exact(Size::square(size)), &device, Precision::F32);
        let found = engine.logits(&[Prepared::Normalised(&values)]);
        assert_eq!(found.len(), expected.len());
        let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!((found - expected).abs() <= 1e-4 * largest, "{architecture:?}, {index}: {found}, not {expected}");
        }
        let (first, last) = (&expected[..expected.len() / batch], &expected[expected.len() / batch * (batch - 1)..]);
        assert!(first.iter().zip(last).any(|(a, b)| (a - b).abs() > 1e-3 * largest), "the images differ");
    }
}

#[test]
fn bits_depend_neither_on_threads_nor_on_the_batch() {
    let device = Device::flex();
    let (most, [height, width]) = (19, [40, 33]);
    let image = height * width * 3;
    let pixels: Vec<u8> = (0..most * image).map(|i| (127.5 + 127.5 * (i as f32 * 0.37).sin()) as u8).collect();
    let preparation = Preparation::exact(Size { height, width });
    // One network of each kind of block and of each schedule: the others run the same kernels on other shapes.
    for architecture in [
        Architecture::ResNet18,
        Architecture::ResNet50,
        Architecture::EfficientNetB0,
        Architecture::EfficientNetLite0,
        Architecture::MobileNetV3Large,
    ] {
        let network = NetworkConfig::new(architecture, 7).init(3, &device);
        let engine = Engine::new(&network, &preparation, &device, Precision::F32);
        let bits =
            |parts: &[Prepared<'_>]| -> Vec<u32> { engine.logits(parts).into_iter().map(f32::to_bits).collect() };
        let pixels_of = |images: std::ops::Range<usize>| &pixels[images.start * image..images.end * image];
        let each: Vec<Vec<u32>> =
            (0..most).map(|index| bits(&[Prepared::Pixels(pixels_of(index..index + 1))])).collect();
        for threads in 1..=4 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            for batch in [1, 2, 3, 5, 8, most] {
                let together = pool.install(|| bits(&[Prepared::Pixels(pixels_of(0..batch))]));
                assert!(together == each[..batch].concat(), "{architecture:?}: {batch} images on {threads} threads");
                // The same images in parts of two forms.
                let mut normalised = vec![0.0; batch * image];
                preparation.normalise(pixels_of(0..batch), &mut normalised);
                let cut = batch / 2;
                let parts = [Prepared::Pixels(pixels_of(0..cut)), Prepared::Normalised(&normalised[cut * image..])];
                assert!(pool.install(|| bits(&parts)) == together, "{architecture:?}: {batch} images in two parts");
            }
        }
    }
}
