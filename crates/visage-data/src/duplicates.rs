//! Near-duplicates: images with the same content in different files.
//!
//! A [`Thumbnail`] holds a perceptual hash and grey values of an image; [`duplicates`] finds the pairs of thumbnails that match.

use rayon::prelude::*;

use crate::error::ImageError;
use crate::prepare::Preparation;
use crate::size::Size;

/// The size of a thumbnail: a row of 17 grey values has 16 differences.
const SIZE: Size = Size { height: 16, width: 17 };

/// The most bits, of 256, in which the hashes of near-duplicates differ.
const MAX_BITS: u32 = 16;

/// The mean difference of the grey values of near-duplicates is below this, of 255.
const MAX_GREY_DIFFERENCE: f64 = 6.0;

/// A tiny version of an image, in which encoding, size and sharpness make little difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// The difference hash (dHash): a bit for each grey value that is darker than its right neighbour.
    hash: [u64; 4],
    grey: Box<[u8]>,
}

/// Two near-duplicates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Duplicate {
    /// The index of the first image.
    pub first: usize,
    /// The index of the second image, which is higher.
    pub second: usize,
    /// The mean difference of the thumbnails' grey values, of 255.
    pub difference: f64,
}

impl Thumbnail {
    /// The preparation for [`Thumbnail::new`].
    #[must_use]
    pub fn preparation() -> Preparation {
        Preparation::exact(SIZE)
    }

    /// The thumbnail of RGB pixels prepared by [`Self::preparation`].
    ///
    /// # Panics
    ///
    /// If they have another size.
    #[must_use]
    pub fn new(pixels: &[u8]) -> Self {
        assert_eq!(pixels.len(), SIZE.pixels() * 3, "pixels of a thumbnail");
        // ITU-R BT.601 luma, in 256ths.
        let luma = |[red, green, blue]: &[u8; 3]| {
            ((77 * u32::from(*red) + 150 * u32::from(*green) + 29 * u32::from(*blue)) >> 8) as u8
        };
        let grey: Box<[u8]> = pixels.as_chunks::<3>().0.iter().map(luma).collect();
        let mut hash = [0; 4];
        let neighbours = grey.chunks_exact(SIZE.width).flat_map(|row| row.windows(2));
        for (bit, pair) in neighbours.enumerate() {
            hash[bit / 64] |= u64::from(pair[0] < pair[1]) << (bit % 64);
        }
        Self { hash, grey }
    }

    /// The thumbnail of an image file.
    ///
    /// # Errors
    ///
    /// When the file is not a readable image.
    pub fn of_file(encoded: &[u8]) -> Result<Self, ImageError> {
        Ok(Self::new(&Self::preparation().pixels(encoded)?))
    }

    /// One part of the hash: every seventeenth bit, so that a part covers all regions of the image. A part has 15 or 16 bits.
    fn part(&self, part: usize) -> u16 {
        let bits = (part..256).step_by(PARTS);
        bits.fold(0, |key, bit| key << 1 | (self.hash[bit / 64] >> (bit % 64) & 1) as u16)
    }

    /// The mean difference of the grey values if the two are near-duplicates.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<f64> {
        let mut bits = 0;
        for (a, b) in self.hash.iter().zip(&other.hash) {
            bits += (a ^ b).count_ones();
            // Most pairs differ in too many bits of the first word already.
            if bits > MAX_BITS {
                return None;
            }
        }
        let sum: u32 = self.grey.iter().zip(&other.grey).map(|(&a, &b)| u32::from(a.abs_diff(b))).sum();
        let difference = f64::from(sum) / self.grey.len() as f64;
        (difference < MAX_GREY_DIFFERENCE).then_some(difference)
    }
}

/// The number of parts of a hash. If at most [`MAX_BITS`] bits differ, at least one of the parts is equal.
const PARTS: usize = MAX_BITS as usize + 1;

/// Every pair of near-duplicates, in order.
///
/// Only images that share a part of the hash are compared (Norouzi, Punjani and Fleet, "Fast Search in Hamming Space with
/// Multi-Index Hashing", CVPR 2012). This misses no pair, and 200,000 images take seconds.
#[must_use]
pub fn duplicates(thumbnails: &[Thumbnail]) -> Vec<Duplicate> {
    let of_part = |part: usize| {
        let mut keys: Vec<(u16, u32)> =
            (0..).zip(thumbnails).map(|(image, thumbnail)| (thumbnail.part(part), image)).collect();
        keys.par_sort_unstable();
        let buckets: Vec<&[(u16, u32)]> = keys.chunk_by(|a, b| a.0 == b.0).filter(|bucket| bucket.len() > 1).collect();
        let pairs = |bucket: &&[(u16, u32)]| pairs_of_part(thumbnails, bucket, part);
        buckets.par_iter().flat_map_iter(pairs).collect::<Vec<_>>()
    };
    let mut pairs: Vec<Duplicate> = (0..PARTS).flat_map(of_part).collect();
    pairs.par_sort_unstable_by_key(|pair| (pair.first, pair.second));
    pairs
}

/// The near-duplicates among images that share this part of the hash and none before it, so that no pair is found twice.
fn pairs_of_part(thumbnails: &[Thumbnail], bucket: &[(u16, u32)], part: usize) -> Vec<Duplicate> {
    let mut pairs = Vec::new();
    for (at, &(_, first)) in bucket.iter().enumerate() {
        let (first, one) = (first as usize, &thumbnails[first as usize]);
        for &(_, second) in &bucket[at + 1..] {
            let (second, other) = (second as usize, &thumbnails[second as usize]);
            if let Some(difference) = one.compare(other)
                && (0..part).all(|before| one.part(before) != other.part(before))
            {
                pairs.push(Duplicate { first, second, difference });
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, ImageFormat, RgbImage, imageops};

    use super::*;

    /// A picture of smooth patches that depends on `seed`.
    fn picture(seed: u32) -> RgbImage {
        let small = RgbImage::from_fn(7, 9, |x, y| {
            let mixed = (x * 31 + y * 57 + seed * 1013).wrapping_mul(2_654_435_761);
            image::Rgb([(mixed >> 24) as u8, (mixed >> 16) as u8, (mixed >> 8) as u8])
        });
        imageops::resize(&small, 178, 218, imageops::FilterType::CatmullRom)
    }

    fn thumbnail(picture: &RgbImage, format: ImageFormat) -> Thumbnail {
        let mut encoded = std::io::Cursor::new(Vec::new());
        DynamicImage::ImageRgb8(picture.clone()).write_to(&mut encoded, format).unwrap();
        Thumbnail::of_file(encoded.get_ref()).unwrap()
    }

    #[test]
    fn another_encoding_or_size_is_a_duplicate_and_another_picture_is_not() {
        let mut thumbnails: Vec<Thumbnail> = (0..40).map(|seed| thumbnail(&picture(seed), ImageFormat::Png)).collect();
        thumbnails.push(thumbnail(&picture(3), ImageFormat::Jpeg));
        let smaller = imageops::resize(&picture(7), 89, 109, imageops::FilterType::Triangle);
        thumbnails.push(thumbnail(&smaller, ImageFormat::Png));
        let mut brighter = picture(9);
        brighter.pixels_mut().for_each(|pixel| pixel.0 = pixel.0.map(|value| value.saturating_add(60)));
        thumbnails.push(thumbnail(&brighter, ImageFormat::Png));
        let pairs: Vec<[usize; 2]> = duplicates(&thumbnails).iter().map(|pair| [pair.first, pair.second]).collect();
        assert_eq!(pairs, [[3, 40], [7, 41]]);
    }

    #[test]
    fn no_pair_is_missed() {
        // Hashes in clusters, as faces have them, that differ in none to many bits. All grey values are equal, so that the
        // hashes decide.
        let mut state = 1_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let grey: Box<[u8]> = vec![0; SIZE.pixels()].into();
        let mut thumbnails = Vec::new();
        for _ in 0..40 {
            let centre = [random(), random(), random(), random()];
            for _ in 0..50 {
                let mut hash = centre;
                for _ in 0..random() % 24 {
                    let bit = (random() % 256) as usize;
                    hash[bit / 64] ^= 1 << (bit % 64);
                }
                thumbnails.push(Thumbnail { hash, grey: grey.clone() });
            }
        }
        let every =
            (0..thumbnails.len()).flat_map(|first| (first + 1..thumbnails.len()).map(move |second| [first, second]));
        let expected: Vec<[usize; 2]> =
            every.filter(|&[first, second]| thumbnails[first].compare(&thumbnails[second]).is_some()).collect();
        let found: Vec<[usize; 2]> = duplicates(&thumbnails).iter().map(|pair| [pair.first, pair.second]).collect();
        assert!(expected.len() > 1000, "{}", expected.len());
        assert_eq!(found, expected);
    }
}
