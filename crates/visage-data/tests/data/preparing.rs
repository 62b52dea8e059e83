//! Preparation against Pillow and torchvision.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgba, RgbaImage};
use proptest::prelude::*;
use visage_data::{Filter, ImageError, Preparation, Resize, Size};

use crate::fixtures::cases;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/");

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(format!("{GOLDEN}{name}")).unwrap()
}

fn shorter_side(side: usize, crop: usize) -> Preparation {
    Preparation {
        resize: Resize::ShorterSide(side),
        crop: Some(Size::square(crop)),
        ..Preparation::exact(Size::square(1))
    }
}

#[test]
fn resizing_equals_pillows_within_one() {
    let input = golden("resize_input_178x218.png");
    for (preparation, expected) in [
        (Preparation::exact(Size::square(64)), "resize_pillow_bilinear_64.png"),
        (Preparation::exact(Size::square(128)), "resize_pillow_bilinear_128.png"),
        (Preparation::exact(Size::square(224)), "resize_pillow_bilinear_224.png"),
        (shorter_side(256, 224), "resize256_centercrop224.png"),
    ] {
        preparation.validate().unwrap();
        let pixels = preparation.pixels(&input).unwrap();
        let expected_pixels = image::load_from_memory(&golden(expected)).unwrap().into_rgb8();
        let Size { height, width } = preparation.output_size();
        assert_eq!((width as u32, height as u32), expected_pixels.dimensions(), "{expected}");
        assert_eq!(pixels.len(), height * width * 3, "{expected}");
        let furthest = pixels.iter().zip(expected_pixels.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(furthest <= Some(1), "{expected} differs by up to {furthest:?}");
    }
}

#[test]
fn the_shown_region_is_what_the_crop_leaves() {
    let original = Size { height: 218, width: 178 };
    assert_eq!(Preparation::exact(Size::square(64)).shown_region(original).unwrap(), [0.0, 0.0, 178.0, 218.0]);
    // Resized to 313x256, of which torchvision's crop leaves out 44 rows and 16 columns at the start.
    let [left, top, width, height] = shorter_side(256, 224).shown_region(original).unwrap();
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    near(left, 16.0 * 178.0 / 256.0);
    near(top, 44.0 * 218.0 / 313.0);
    near(width, 224.0 * 178.0 / 256.0);
    near(height, 224.0 * 218.0 / 313.0);
}

#[test]
fn an_image_of_the_right_size_is_unchanged() {
    let input = golden("resize_input_178x218.png");
    let size = Size { height: 218, width: 178 };
    let pixels = Preparation::exact(size).pixels(&input).unwrap();
    assert_eq!(pixels, image::load_from_memory(&input).unwrap().into_rgb8().into_raw());
}

#[test]
fn normalisation_equals_torchvisions() {
    let golden: serde_json::Value = serde_json::from_slice(&golden("normalize_128.json")).unwrap();
    let input = self::golden("resize_input_178x218.png");
    for name in ["half", "imagenet"] {
        let numbers = |key: &str| -> Vec<f64> { serde_json::from_value(golden[name][key].clone()).unwrap() };
        let three = |key: &str| -> [f32; 3] { serde_json::from_value(golden[name][key].clone()).unwrap() };
        let preparation =
            Preparation { mean: three("mean"), std: three("std"), ..Preparation::exact(Size::square(128)) };
        let pixels = preparation.pixels(&input).unwrap();
        let mut values = vec![0.0; pixels.len()];
        preparation.normalise(&pixels, &mut values);

        let close = |found: f64, expected: f64, tolerance: f64, what: &str| {
            assert!((found - expected).abs() <= tolerance, "{name} {what}: {found} is not {expected}");
        };
        for channel in 0..3 {
            let channel_values: Vec<f64> =
                values.iter().skip(channel).step_by(3).map(|&value| f64::from(value)).collect();
            let count = channel_values.len() as f64;
            let mean = channel_values.iter().sum::<f64>() / count;
            let variance = channel_values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            // Resizing may differ by one step of a byte, which is 1/255/std; means and deviations differ far less.
            close(mean, numbers("channel_mean")[channel], 1e-3, "mean");
            close(variance.sqrt(), numbers("channel_std_population")[channel], 1e-3, "standard deviation");
            let step = 1.0 / 255.0 / f64::from(preparation.std[channel]);
            close(channel_values[0], numbers("first_pixel")[channel], step + 1e-6, "first pixel");
        }
    }
}

#[test]
fn normalisation_is_exact_at_known_values() {
    let preparation =
        Preparation { mean: [0.5, 0.0, 1.0], std: [0.5, 1.0, 2.0], ..Preparation::exact(Size::square(1)) };
    let mut out = [9.0; 6];
    preparation.normalise(&[255, 51, 0, 0, 255, 255], &mut out);
    assert_eq!(out, [1.0, 0.2, -0.5, -1.0, 1.0, 0.0]);
}

#[test]
fn every_format_and_colour_type_becomes_rgb() {
    let colour = |x: u32, y: u32| ((x * 40) as u8, (y * 30) as u8);
    let grey = DynamicImage::from(GrayImage::from_fn(5, 4, |x, y| Luma([colour(x, y).0])));
    let alpha = DynamicImage::from(RgbaImage::from_fn(5, 4, |x, y| {
        let (red, green) = colour(x, y);
        Rgba([red, green, 7, (x * 50) as u8])
    }));
    let preparation = Preparation::exact(Size { height: 4, width: 5 });
    let prepared = |image: &DynamicImage, format| {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        preparation.pixels(bytes.get_ref()).unwrap()
    };
    let expected_grey: Vec<u8> = (0..20).flat_map(|i| [colour(i % 5, i / 5).0; 3]).collect();
    assert_eq!(prepared(&grey, ImageFormat::Png), expected_grey);
    assert_eq!(prepared(&grey, ImageFormat::Bmp), expected_grey);
    let near_grey = prepared(&grey, ImageFormat::Jpeg);
    assert!(near_grey.as_chunks::<3>().0.iter().all(|[red, green, blue]| red == green && green == blue));
    assert!(near_grey.iter().zip(&expected_grey).all(|(a, b)| a.abs_diff(*b) < 12));
    let expected_colour: Vec<u8> = (0..20)
        .flat_map(|i| {
            let (red, green) = colour(i % 5, i / 5);
            [red, green, 7]
        })
        .collect();
    assert_eq!(prepared(&alpha, ImageFormat::Png), expected_colour, "alpha is dropped, not blended");
    assert_eq!(prepared(&alpha.to_rgb8().into(), ImageFormat::WebP), expected_colour);
    assert_eq!(prepared(&alpha.to_rgb8().into(), ImageFormat::Gif).len(), expected_colour.len());
}

#[test]
fn damaged_and_extreme_images_are_errors() {
    let preparation = Preparation::exact(Size::square(64));
    let png = golden("resize_input_178x218.png");
    for bytes in [&b""[..], b"no image"] {
        assert!(matches!(preparation.pixels(bytes), Err(ImageError::Decode(_))));
    }
    for bytes in [&png[..8], &png[..png.len() / 2]] {
        assert!(matches!(preparation.pixels(bytes), Err(ImageError::Truncated)));
    }
    let mut line = Cursor::new(Vec::new());
    GrayImage::new(1, 2000).write_to(&mut line, ImageFormat::Png).unwrap();
    assert!(matches!(
        shorter_side(256, 224).pixels(line.get_ref()),
        Err(ImageError::TooThin { width: 1, height: 2000 })
    ));
    assert_eq!(preparation.pixels(line.get_ref()).unwrap().len(), 64 * 64 * 3);
}

#[test]
fn a_preparation_survives_its_file_and_refuses_unknown_keys() {
    let preparation =
        Preparation { mean: Preparation::IMAGENET_MEAN, std: Preparation::IMAGENET_STD, ..shorter_side(256, 224) };
    let json = serde_json::to_string(&preparation).unwrap();
    assert_eq!(
        json,
        r#"{"resize":{"shorter_side":256},"filter":"bilinear_antialiased","crop":"224x224","mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]}"#
    );
    assert_eq!(serde_json::from_str::<Preparation>(&json).unwrap(), preparation);
    let short = r#"{"resize":{"exact":128},"mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5]}"#;
    assert_eq!(serde_json::from_str::<Preparation>(short).unwrap(), Preparation::exact(Size::square(128)));
    assert_eq!(Preparation::exact(Size::square(128)).filter, Filter::BilinearAntialiased);
    let unknown = json.replace("\"mean\"", "\"sharpen\":1,\"mean\"");
    assert!(serde_json::from_str::<Preparation>(&unknown).unwrap_err().to_string().contains("sharpen"));
}

#[test]
fn invalid_settings_are_refused() {
    let base = Preparation::exact(Size::square(128));
    let nan = f32::NAN;
    for (wrong, setting) in [
        (Preparation { resize: Resize::Exact(Size { height: 0, width: 5 }), ..base.clone() }, "resize"),
        (Preparation { resize: Resize::Exact(Size { height: 5, width: usize::MAX }), ..base.clone() }, "resize"),
        (Preparation { resize: Resize::ShorterSide(128), ..base.clone() }, "crop"),
        (Preparation { crop: Some(Size { height: 129, width: 10 }), ..base.clone() }, "crop"),
        (Preparation { crop: Some(Size { height: 0, width: 10 }), ..base.clone() }, "crop"),
        (Preparation { mean: [0.0, nan, 0.0], ..base.clone() }, "mean"),
        (Preparation { std: [1.0, 0.0, 1.0], ..base.clone() }, "std"),
        (Preparation { std: [1.0, -1.0, 1.0], ..base.clone() }, "std"),
    ] {
        assert_eq!(wrong.validate().unwrap_err().setting, setting);
    }
}

proptest! {
    #![proptest_config(cases(64))]

    /// For any shape of image, the output has the stated size, and a plain colour stays unchanged.
    #[test]
    fn output_has_the_stated_size(width in 1u32..90, height in 1u32..90, side in 1usize..70, crop in 1usize..70, grey: u8) {
        let mut png = Cursor::new(Vec::new());
        GrayImage::from_pixel(width, height, Luma([grey])).write_to(&mut png, ImageFormat::Png).unwrap();
        let preparation = shorter_side(side, crop.min(side));
        preparation.validate().unwrap();
        let pixels = preparation.pixels(png.get_ref()).unwrap();
        prop_assert_eq!(pixels.len(), preparation.output_size().pixels() * 3);
        prop_assert!(pixels.iter().all(|&value| value == grey));
    }
}
