//! A page that shows what training sees.

use std::fmt::Write;
use std::io::Cursor;
use std::sync::Arc;

use image::{ImageError as PngError, ImageFormat, RgbImage};

use crate::augment::Augmentation;
use crate::dataset::Dataset;
use crate::error::{DataError, ImageError};
use crate::label::Label;
use crate::loader::{Batch, Loader, LoaderOptions};
use crate::mixing::Mixing;
use crate::prepare::Preparation;
use crate::size::Size;

/// What to show.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The samples, which are mixed with each other as a batch of training is.
    pub indices: Vec<usize>,
    /// How many epochs to show.
    pub epochs: u64,
    /// The seed of the recipe.
    pub seed: u64,
    /// How images are prepared.
    pub preparation: Preparation,
    /// How they vary.
    pub augmentation: Augmentation,
    /// How they are mixed.
    pub mixing: Option<Mixing>,
}

/// An HTML page of its own, images included: a row a sample with its labels, the prepared image, and what each epoch makes of it, drawn as
/// training draws it.
///
/// # Errors
///
/// When an image cannot be used or a setting makes no sense.
pub fn page(dataset: &Arc<Dataset>, preview: &Preview) -> Result<String, DataError> {
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
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{0}</title>\n<style>{STYLE}</style>\n<h1>{0}</h1>\n<table>\n",
        escaped(dataset.name())
    );
    let heading = |page: &mut String, text: &str| write!(page, "<th>{text}");
    // Writing to a string cannot fail.
    let _ = page.write_str("<tr><th>image<th>prepared");
    for epoch in 1..=*epochs {
        let _ = heading(&mut page, &format!("epoch {epoch}"));
    }
    page.push('\n');
    for (row, &index) in indices.iter().enumerate() {
        let sample = &dataset.samples()[index];
        let named = |wanted: Label| -> Vec<String> {
            let labels = dataset.attributes().iter().zip(&sample.labels);
            labels.filter(|(_, label)| **label == wanted).map(|(name, _)| escaped(name)).collect()
        };
        let _ = write!(page, "<tr><td><b>{}</b><br>{}", escaped(&sample.image), named(Label::Present).join(", "));
        let unknown = named(Label::Unknown);
        if !unknown.is_empty() {
            let _ = write!(page, "<br><i>unknown: {}</i>", unknown.join(", "));
        }
        for batch in &columns {
            let image = batch.size.pixels() * 3;
            let pixels = &batch.pixels[row * image..(row + 1) * image];
            let png = png(pixels, batch.size).map_err(|source| dataset.unusable(index, ImageError::Decode(source)))?;
            let _ = write!(page, "<td><img src=\"data:image/png;base64,{}\">", base64(&png));
            if let Some(mixed) = &batch.mixed {
                let partner = &dataset.samples()[indices[mixed.partners[row]]].image;
                let own = 100.0 * mixed.share;
                let _ = write!(page, "<br>{own:.0} %, and {:.0} % {}", 100.0 - own, escaped(partner));
            }
        }
        page.push('\n');
    }
    page += "</table>\n</html>\n";
    Ok(page)
}

const STYLE: &str = "body{font:14px sans-serif;margin:2em}td{vertical-align:top;padding:4px;max-width:22em}\
                     img{image-rendering:pixelated;min-width:96px}th{text-align:left}";

fn png(pixels: &[u8], size: Size) -> Result<Vec<u8>, PngError> {
    let mut out = Cursor::new(Vec::new());
    // As long as the sides say.
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
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(escaped("<a href=\"&\">"), "&lt;a href=&quot;&amp;&quot;&gt;");
    }
}
