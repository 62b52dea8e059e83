//! The camera: exposure, contrast, colour temperature, focus and noise.

use crate::attribute::Attribute;
use crate::canvas::Canvas;
use crate::face::Face;
use crate::geometry::WIDTH;
use image::RgbImage;
use rand::Rng;
use visage_data::random::stream;

pub(super) fn expose(canvas: Canvas, face: &Face, width: u32, height: u32) -> RgbImage {
    let shot = &face.shot;
    let response = [0.05, 0.0, -0.05].map(|tint: f32| {
        response((1.0 + 0.16 * shot.exposure) * (1.0 + tint * shot.warmth), 1.0 + 0.12 * shot.contrast)
    });
    let mut rgb = vec![0; canvas.rgba().len() / 4 * 3];
    for (recorded, painted) in rgb.chunks_exact_mut(3).zip(canvas.rgba().chunks_exact(4)) {
        for channel in 0..3 {
            recorded[channel] = response[channel][usize::from(painted[channel])];
        }
    }
    if face.attributes.has(Attribute::Blurry) {
        let radius = (2.0 + 1.4 * shot.defocus) * width as f32 / WIDTH as f32;
        blur(&mut rgb, width as usize, height as usize, radius.round().max(1.0) as usize);
    }
    add_noise(&mut rgb, shot.detail, 0.01 + 0.035 * shot.noise * shot.noise);
    RgbImage::from_raw(width, height, rgb).unwrap_or_default()
}

/// A lookup table of gain, then contrast around middle grey.
fn response(gain: f32, contrast: f32) -> [u8; 256] {
    std::array::from_fn(|v| {
        (((v as f32 / 255.0 * gain - 0.5) * contrast + 0.5) * 255.0).round().clamp(0.0, 255.0) as u8
    })
}

/// Adds Gaussian noise with the standard deviation `sigma` (on a scale of 0 to 1) to every channel.
fn add_noise(rgb: &mut [u8], seed: u64, sigma: f32) {
    // A random byte selects one of 256 equally likely amounts, so that the loop over the image is a lookup and an addition.
    let amounts: [i16; 256] =
        std::array::from_fn(|byte| (normal_quantile((byte as f32 + 0.5) / 256.0) * sigma * 255.0).round() as i16);
    let mut rng = stream(seed, "synth-noise", 0, 0);
    let mut bytes = [0u8; 1024];
    for chunk in rgb.chunks_mut(bytes.len()) {
        rng.fill_bytes(&mut bytes);
        for (value, &byte) in chunk.iter_mut().zip(&bytes) {
            *value = (i16::from(*value) + amounts[usize::from(byte)]).clamp(0, 255) as u8;
        }
    }
}

/// The standard normal quantile by Tukey's lambda distribution of shape 0.135; the error is below 0.011 over the 256 amounts.
fn normal_quantile(p: f32) -> f32 {
    const SHAPE: f32 = 0.135;
    const SCALE: f32 = 0.1975;
    (p.powf(SHAPE) - (1.0 - p).powf(SHAPE)) / SCALE
}

/// Two passes of a box blur along each axis: nearly a Gaussian with the standard deviation `(radius + 1/2) / 1.2`.
fn blur(rgb: &mut [u8], width: usize, height: usize, radius: usize) {
    let mut line = Vec::new();
    for _ in 0..2 {
        for y in 0..height {
            blur_line(rgb, y * width * 3, 3, width, radius, &mut line);
        }
        for x in 0..width {
            blur_line(rgb, x * 3, width * 3, height, radius, &mut line);
        }
    }
}

/// Replaces each of `count` pixels, `stride` apart from `start` on, by the mean of the pixels within `radius`.
fn blur_line(rgb: &mut [u8], start: usize, stride: usize, count: usize, radius: usize, line: &mut Vec<[u8; 3]>) {
    line.clear();
    line.extend((0..count).map(|i| {
        let at = start + i * stride;
        [rgb[at], rgb[at + 1], rgb[at + 2]]
    }));
    let window = (2 * radius + 1) as u32;
    let pixel = |i: isize| line[i.clamp(0, count as isize - 1) as usize];
    let mut sum = [0u32; 3];
    for i in -(radius as isize)..=radius as isize {
        (0..3).for_each(|c| sum[c] += u32::from(pixel(i)[c]));
    }
    for i in 0..count as isize {
        let at = start + i as usize * stride;
        for c in 0..3 {
            rgb[at + c] = ((sum[c] + window / 2) / window) as u8;
            sum[c] = sum[c] + u32::from(pixel(i + radius as isize + 1)[c]) - u32::from(pixel(i - radius as isize)[c]);
        }
    }
}
