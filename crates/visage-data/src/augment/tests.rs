//! Tests of whole augmentations.

use super::*;
use crate::random::stream;

const SIZE: Size = Size { height: 40, width: 50 };

fn augment(augmentation: &Augmentation, pixels: &[u8], sample: u64) -> Vec<u8> {
    let mut pixels = pixels.to_vec();
    augmentation.apply(&mut pixels, SIZE, &mut stream(7, "augment", 1, sample));
    pixels
}

#[test]
fn flipping_mirrors_rows_and_keeps_colours() {
    let always = Augmentation { flip: 1.0, ..Augmentation::default() };
    let mut pixels = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    always.apply(&mut pixels, Size { height: 2, width: 2 }, &mut stream(0, "augment", 0, 0));
    assert_eq!(pixels, [4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9]);
    let never = Augmentation::default();
    let image: Vec<u8> = (0..SIZE.pixels() * 3).map(|index| (index % 251) as u8).collect();
    assert!((0..50).all(|sample| augment(&never, &image, sample) == image));
    let half = Augmentation { flip: 0.5, ..Augmentation::default() };
    let flipped = (0..1000).filter(|&sample| augment(&half, &image, sample) != image).count();
    assert!((430..570).contains(&flipped), "{flipped} of 1000");
}

#[test]
fn noise_has_the_set_variance_and_stays_in_range() {
    let variance = |low: f32, high: f32, grey: u8| {
        let noise = Noise { probability: 1.0, variance: [low, high] };
        let noisy =
            augment(&Augmentation { noise: Some(noise), ..Augmentation::default() }, &vec![grey; SIZE.pixels() * 3], 3);
        let offsets: Vec<f64> = noisy.iter().map(|&value| f64::from(value) - f64::from(grey)).collect();
        let mean = offsets.iter().sum::<f64>() / offsets.len() as f64;
        let variance = offsets.iter().map(|offset| (offset - mean).powi(2)).sum::<f64>() / offsets.len() as f64;
        (mean, variance)
    };
    let (mean, fixed) = variance(30.0, 30.0, 128);
    // Rounding to whole values adds a variance of 1/12.
    assert!(mean.abs() < 0.2 && (fixed - 30.0 - 1.0 / 12.0).abs() < 2.0, "{mean} {fixed}");
    let (_, ranged) = variance(10.0, 50.0, 128);
    assert!((8.0..54.0).contains(&ranged), "{ranged}");
    let (mean, _) = variance(50.0, 50.0, 255);
    assert!((-4.0..-2.0).contains(&mean), "half of the noise is cut off at white: {mean}");
    assert_eq!(variance(0.0, 0.0, 9), (0.0, 0.0));
}

/// Every change with a probability of 1.
fn everything() -> Augmentation {
    let probability = 1.0;
    Augmentation {
        crop: Some(Crop { probability, scale: [0.3, 1.0], ratio: [0.75, 4.0 / 3.0] }),
        flip: 0.5,
        affine: Some(Affine { probability, shift: 0.0625, scale: 0.1, rotate: 45.0 }),
        brightness_contrast: Some(BrightnessContrast { probability, brightness: 0.2, contrast: 0.2 }),
        blur: Some(Blur { probability, size: [3, 7] }),
        noise: Some(Noise { probability, variance: [10.0, 50.0] }),
        erasing: Some(Erasing { probability, scale: [0.02, 0.33], ratio: [0.3, 3.3] }),
    }
}

#[test]
fn every_change_is_reproducible_and_differs_from_image_to_image() {
    let image: Vec<u8> = (0..SIZE.pixels() * 3).map(|index| (index * 7 % 251) as u8).collect();
    let all = everything();
    let alone = [
        Augmentation { crop: all.crop, ..Augmentation::default() },
        Augmentation { affine: all.affine, ..Augmentation::default() },
        Augmentation { brightness_contrast: all.brightness_contrast, ..Augmentation::default() },
        Augmentation { erasing: all.erasing, ..Augmentation::default() },
        all,
    ];
    for augmentation in alone {
        assert_eq!(augment(&augmentation, &image, 1), augment(&augmentation, &image, 1));
        assert_ne!(augment(&augmentation, &image, 1), image, "{augmentation:?}");
        assert_ne!(augment(&augmentation, &image, 1), augment(&augmentation, &image, 2), "{augmentation:?}");
    }
}

#[test]
fn images_of_any_size_can_be_changed() {
    for (height, width) in [(1, 1), (1, 9), (7, 1), (2, 2), (33, 5)] {
        let size = Size { height, width };
        for sample in 0..50 {
            let mut pixels = vec![200; size.pixels() * 3];
            everything().apply(&mut pixels, size, &mut stream(7, "augment", 0, sample));
        }
    }
}

#[test]
fn invalid_settings_are_refused() {
    let noise = |probability, variance| Augmentation {
        flip: 0.5,
        noise: Some(Noise { probability, variance }),
        ..Augmentation::default()
    };
    let with_crop =
        |scale, ratio| Augmentation { crop: Some(Crop { probability: 0.5, scale, ratio }), ..Augmentation::default() };
    let with_blur = |size| Augmentation { blur: Some(Blur { probability: 0.5, size }), ..Augmentation::default() };
    assert_eq!(noise(0.2, [10.0, 50.0]).validate(), Ok(()));
    assert_eq!(everything().validate(), Ok(()));
    for (wrong, setting) in [
        (Augmentation { flip: 1.5, ..Augmentation::default() }, "flip"),
        (Augmentation { flip: f32::NAN, ..Augmentation::default() }, "flip"),
        (noise(-0.1, [10.0, 50.0]), "noise probability"),
        (noise(0.2, [50.0, 10.0]), "noise variance"),
        (noise(0.2, [-1.0, 10.0]), "noise variance"),
        (noise(0.2, [0.0, f32::INFINITY]), "noise variance"),
        (with_crop([0.0, 1.0], [1.0, 1.0]), "crop scale"),
        (with_crop([0.5, 1.5], [1.0, 1.0]), "crop scale"),
        (with_crop([0.5, 1.0], [2.0, 1.0]), "crop ratio"),
        (with_blur([3, 4]), "blur size"),
        (with_blur([7, 3]), "blur size"),
    ] {
        assert_eq!(wrong.validate().unwrap_err().setting, setting);
    }
}
