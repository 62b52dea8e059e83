//! A network made ready for inference takes a batch a few images at a time: what comes out must not show it.

use burn::tensor::{Device, Tensor, TensorData};
use visage_model::{Architecture, NetworkConfig, Pass};

#[test]
fn images_of_a_folded_network_keep_their_order_and_their_answers() {
    let device = Device::flex();
    // Odd, so that the last group is smaller; every image differs from the others.
    let (batch, size) = (5, 40);
    let pixels: Vec<f32> =
        (0..batch * size * size * 3).map(|i| (i as f32 * 0.37).sin() * (1.0 + i as f32 * 1e-4)).collect();
    let images = Tensor::<4>::from_data(TensorData::new(pixels, [batch, size, size, 3]), &device);
    for architecture in [Architecture::EfficientNetB0, Architecture::EfficientNetLite0] {
        let network = NetworkConfig::new(architecture, 7).init(3, &device);
        let expected =
            network.features(images.clone(), Pass::Inference).into_data().try_into_vec::<f32>().expect("f32");
        let found =
            network.folded().features(images.clone(), Pass::Inference).into_data().try_into_vec::<f32>().expect("f32");
        assert_eq!(found.len(), expected.len());
        let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!((found - expected).abs() <= 1e-4 * largest, "{architecture:?}, {index}: {found}, not {expected}");
        }
        let (first, last) = (&expected[..expected.len() / batch], &expected[expected.len() / batch * (batch - 1)..]);
        assert!(first.iter().zip(last).any(|(a, b)| (a - b).abs() > 1e-3 * largest), "the images are told apart");
    }
}

#[test]
fn neither_threads_nor_neighbours_change_a_bit() {
    let device = Device::flex();
    let (most, [height, width]) = (19, [40, 33]);
    let pixels: Vec<f32> = (0..most * height * width * 3).map(|i| (i as f32 * 0.37).sin()).collect();
    let images = Tensor::<4>::from_data(TensorData::new(pixels, [most, height, width, 3]), &device);
    for architecture in [Architecture::ResNet18, Architecture::EfficientNetB0, Architecture::EfficientNetLite0] {
        let network = NetworkConfig::new(architecture, 7).init(3, &device).folded();
        let bits = |images: Tensor<4>| -> Vec<u32> {
            let features = network.features(images, Pass::Inference).into_data().try_into_vec::<f32>().expect("f32");
            features.iter().map(|value| value.to_bits()).collect()
        };
        let each: Vec<Vec<u32>> = (0..most).map(|image| bits(images.clone().narrow(0, image, 1))).collect();
        for threads in 1..=4 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            for batch in [1, 2, 3, 5, 8, most] {
                let together = pool.install(|| bits(images.clone().narrow(0, 0, batch)));
                assert!(together == each[..batch].concat(), "{architecture:?}: {batch} images on {threads} threads");
            }
        }
    }
}
