//! A page that shows the images as training sees them.

use std::fmt::Write;
use std::io::Cursor;
use std::sync::Arc;

use image::{ImageError as PngError, ImageFormat, RgbImage};

use crate::augment::Augmentation;
use crate::dataset::Dataset;
use crate::error::{DataError, ImageError};
use crate::label::Label;
use crate::loader::{Batch, Loader, LoaderOptions, augmentation_stream};
use crate::mixing::Mixing;
use crate::prepare::Preparation;
use crate::size::Size;

/// The settings of a preview.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The indices of the samples; they are mixed with each other as a batch.
    pub indices: Vec<usize>,
    /// The number of epochs to show.
    pub epochs: u64,
    /// The seed of the recipe.
    pub seed: u64,
    /// The preparation of the images.
    pub preparation: Preparation,
    /// The augmentation of the images.
    pub augmentation: Augmentation,
    /// The mixing of the images.
    pub mixing: Option<Mixing>,
}

/// A self-contained HTML page with one row for each sample: its labels, the prepared image, and the image as training sees it in each
/// epoch.
///
/// # Errors
///
/// When an image cannot be used or a setting is invalid.
pub fn page(dataset: &Arc<Dataset>, preview: &Preview) -> Result<String, DataError> {
    let columns = columns(dataset, preview)?;
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{0}</title>\n<style>{STYLE}</style>\n<h1>{0}</h1>\n<table>\n",
        escaped(dataset.name())
    );
    page += "<tr><th>image<th>prepared";
    for epoch in 1..=preview.epochs {
        // Writing to a string cannot fail.
        let _ = write!(page, "<th>epoch {epoch}");
    }
    page.push('\n');
    for row in 0..preview.indices.len() {
        write_row(&mut page, dataset, preview, row, &columns)?;
    }
    page += "</table>\n</html>\n";
    Ok(page)
}

/// The prepared images, then those of each epoch, each as one batch.
fn columns(dataset: &Arc<Dataset>, preview: &Preview) -> Result<Vec<Batch>, DataError> {
    let Preview { indices, epochs, seed, preparation, augmentation, mixing } = preview;
    let load = |options: LoaderOptions| -> Result<Vec<Batch>, DataError> {
        Loader::new(Arc::clone(dataset), indices.clone(), preparation.clone(), options)?.collect()
    };
    let plain = LoaderOptions::in_order(indices.len().max(1));
    let mut columns = load(plain.clone())?;
    for epoch in 0..*epochs {
        columns.extend(load(LoaderOptions {
            seed: *seed,
            epoch,
            augmentation: Some(augmentation.clone()),
            mixing: *mixing,
            ..plain.clone()
        })?);
    }
    Ok(columns)
}

fn write_row(
    page: &mut String,
    dataset: &Dataset,
    preview: &Preview,
    row: usize,
    columns: &[Batch],
) -> Result<(), DataError> {
    let indices = &preview.indices;
    let sample = &dataset.samples()[indices[row]];
    let names = |wanted: Label| -> Vec<String> {
        let labels = dataset.attributes().iter().zip(&sample.labels);
        labels.filter(|(_, label)| **label == wanted).map(|(name, _)| escaped(name)).collect()
    };
    let _ = write!(page, "<tr><td><b>{}</b><br>{}", escaped(&sample.image), names(Label::Present).join(", "));
    let unknown = names(Label::Unknown);
    if !unknown.is_empty() {
        let _ = write!(page, "<br><i>unknown: {}</i>", unknown.join(", "));
    }
    for (column, batch) in columns.iter().enumerate() {
        let length = batch.size.pixels() * 3;
        let pixels = &batch.pixels[row * length..(row + 1) * length];
        let png = png(pixels, batch.size);
        let png = png.map_err(|source| dataset.unusable(indices[row], ImageError::Decode(source)))?;
        let _ = write!(page, "<td><img src=\"data:image/png;base64,{}\">", base64(&png));
        // The first column shows the prepared images, and each further one an epoch.
        if let Some(epoch) = column.checked_sub(1) {
            let changes = changes(preview, columns, row, epoch as u64);
            let _ =
                write!(page, "<br>{}", if changes.is_empty() { "unchanged".to_owned() } else { changes.join("<br>") });
        }
        if let Some(mixed) = &batch.mixed {
            let partner = &dataset.samples()[indices[mixed.partners[row]]].image;
            let own = 100.0 * mixed.share;
            let _ = write!(page, "<br>{own:.0} %, and {:.0} % {}", 100.0 - own, escaped(partner));
        }
    }
    page.push('\n');
    Ok(())
}

/// What the augmentation does to an image in an epoch, in words: the same draws as the loader's, on a copy of the prepared image.
fn changes(preview: &Preview, columns: &[Batch], row: usize, epoch: u64) -> Vec<String> {
    let Some(prepared) = columns.first() else { return Vec::new() };
    let length = prepared.size.pixels() * 3;
    let mut pixels = prepared.pixels[row * length..(row + 1) * length].to_vec();
    let mut random = augmentation_stream(preview.seed, epoch, preview.indices[row], 0);
    let mut changes = Vec::new();
    preview
        .augmentation
        .apply_and_tell(&mut pixels, prepared.size, &mut random, &mut |change| changes.push(change.to_string()));
    changes
}

const STYLE: &str = "body{font:14px sans-serif;margin:2em}td{vertical-align:top;padding:4px;max-width:22em}\
                     img{image-rendering:pixelated;min-width:96px}th{text-align:left}";

fn png(pixels: &[u8], size: Size) -> Result<Vec<u8>, PngError> {
    let mut out = Cursor::new(Vec::new());
    // The length of the pixels matches the size.
    let picture = RgbImage::from_raw(size.width as u32, size.height as u32, pixels.to_vec()).unwrap_or_default();
    picture.write_to(&mut out, ImageFormat::Png)?;
    Ok(out.into_inner())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Bytes as base64 (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit <= chunk.len() { char::from(DIGITS[value as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_follows_the_rfc() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(escaped("<a href=\"&\">"), "&lt;a href=&quot;&amp;&quot;&gt;");
    }
}
