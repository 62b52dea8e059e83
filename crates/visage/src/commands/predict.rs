//! `visage predict`.

use std::fs;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
use visage_data::{ImageError, Preparation};
use visage_judge::{Rules, is_positive};
use visage_model::Card;

use super::{read_model, read_rules};
use crate::cli::{PredictArgs, PredictionFormat};
use crate::compute::Compute;
use crate::error::CommandError;
use crate::output;

/// Images that are decoded, and go through the network, together: what memory holds.
const BATCH_SIZE: usize = 64;

/// What the names of images in a folder end in.
const EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "bmp", "gif"];

/// Asks a model about images.
pub fn run(args: &PredictArgs) -> Result<(), CommandError> {
    let compute = Compute::new(&args.compute)?;
    let (model, _) = read_model(&args.model, &compute)?;
    let images = images(&args.images)?;
    let rules = read_rules(args.rules.as_deref(), &model.card.attributes)?;
    if args.consistent && rules.is_empty() {
        return Err(CommandError::NoRules);
    }
    let rules = args.consistent.then_some(rules);
    let mut writer = Writer { format: args.format, card: &model.card, rules, header: false };
    let mut failed = 0;
    for paths in images.chunks(BATCH_SIZE) {
        let prepared: Vec<_> = paths.par_iter().map(|path| pixels(&model.card.preparation, path)).collect();
        let (mut named, mut batch) = (Vec::new(), Vec::new());
        for (path, pixels) in paths.iter().zip(prepared) {
            match pixels {
                Ok(pixels) => {
                    named.push(path);
                    batch.extend(pixels);
                }
                Err(reason) => {
                    failed += 1;
                    output::note(&format!("cannot use {}: {reason}", path.display()));
                }
            }
        }
        if !named.is_empty() {
            let probabilities = model.probabilities(&batch, named.len(), &compute.device);
            let rows = named.into_iter().zip(probabilities.chunks(model.card.attributes.len()));
            output::result(&writer.lines(rows)?)?;
        }
    }
    if failed > 0 { Err(CommandError::SomeImages { failed, images: images.len() }) } else { Ok(()) }
}

/// Every file named, and every image below every folder named, folders in sorted order.
fn images(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CommandError> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() { search(path, &mut found)? } else { found.push(path.clone()) }
    }
    if found.is_empty() {
        return Err(CommandError::NoImages { paths: paths.iter().map(|path| path.display().to_string()).collect() });
    }
    Ok(found)
}

fn search(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), CommandError> {
    let unreadable = |source| CommandError::Read { path: folder.to_owned(), source };
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(unreadable)?;
    // The kind of the entry itself: a link to a folder above would lead round in circles.
    let with_kind = |entry: fs::DirEntry| Ok((entry.path(), entry.file_type()?.is_dir()));
    let mut entries = entries.into_iter().map(with_kind).collect::<io::Result<Vec<_>>>().map_err(unreadable)?;
    entries.sort();
    for (path, is_folder) in entries {
        let is_image = |path: &Path| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)))
        };
        if is_folder {
            search(&path, found)?;
        } else if is_image(&path) {
            found.push(path);
        }
    }
    Ok(())
}

/// The prepared pixels of an image file, or why there are none.
fn pixels(preparation: &Preparation, path: &Path) -> Result<Vec<u8>, String> {
    let encoded = fs::read(path).map_err(|error| error.to_string())?;
    // A decoder that gives up on one image must not take the others with it.
    catch_unwind(AssertUnwindSafe(|| preparation.pixels(&encoded))).unwrap_or(Err(ImageError::DecoderPanicked)).map_err(
        |error| match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
    )
}

/// Turns answers into lines.
struct Writer<'a> {
    format: PredictionFormat,
    card: &'a Card,
    /// What answers must not break.
    rules: Option<Rules>,
    /// Whether the header of a CSV was written.
    header: bool,
}

impl Writer<'_> {
    fn lines<'p>(&mut self, rows: impl Iterator<Item = (&'p PathBuf, &'p [f32])>) -> Result<String, CommandError> {
        let mut lines = Vec::new();
        self.write(rows, &mut lines).map_err(CommandError::Output)?;
        Ok(String::from_utf8_lossy(&lines).into_owned())
    }

    fn write<'p>(
        &mut self,
        rows: impl Iterator<Item = (&'p PathBuf, &'p [f32])>,
        lines: &mut Vec<u8>,
    ) -> io::Result<()> {
        match self.format {
            PredictionFormat::Table => {
                for (image, probabilities) in rows {
                    writeln!(lines, "{}  {}", image.display(), self.summary(probabilities))?;
                }
            }
            PredictionFormat::Json => {
                for (image, probabilities) in rows {
                    let answers = self.answers(probabilities);
                    let prediction = Prediction { image, card: self.card, probabilities, answers: &answers };
                    serde_json::to_writer(&mut *lines, &prediction)?;
                    lines.push(b'\n');
                }
            }
            PredictionFormat::Csv => {
                let mut csv = csv::Writer::from_writer(lines);
                if !self.header {
                    self.header = true;
                    csv.write_record(std::iter::once("image").chain(self.card.attributes.iter().map(String::as_str)))?;
                }
                for (image, probabilities) in rows {
                    let values: Vec<String> = match &self.rules {
                        Some(_) => self.answers(probabilities).iter().map(|&is| u8::from(is).to_string()).collect(),
                        None => probabilities.iter().map(f32::to_string).collect(),
                    };
                    csv.write_record(std::iter::once(image.display().to_string()).chain(values))?;
                }
                csv.flush()?;
            }
        }
        Ok(())
    }

    /// Which attributes an image has.
    fn answers(&self, probabilities: &[f32]) -> Vec<bool> {
        let thresholds = &self.card.thresholds;
        match &self.rules {
            Some(rules) => rules.consistent(probabilities, thresholds),
            None => probabilities.iter().zip(thresholds).map(|(&p, &threshold)| is_positive(p, threshold)).collect(),
        }
    }

    /// The attributes an image has, the surest first.
    fn summary(&self, probabilities: &[f32]) -> String {
        let answers = self.answers(probabilities).into_iter();
        let mut present: Vec<(&str, f32)> = answers
            .zip(self.card.attributes.iter().zip(probabilities))
            .filter_map(|(present, (name, &probability))| present.then_some((name.as_str(), probability)))
            .collect();
        present.sort_by(|a, b| b.1.total_cmp(&a.1));
        let named: Vec<String> = present.iter().map(|(name, probability)| format!("{name} {probability:.2}")).collect();
        if named.is_empty() { "(none of its attributes)".to_owned() } else { named.join(", ") }
    }
}

/// The answers about one image, as JSON.
struct Prediction<'a> {
    image: &'a Path,
    card: &'a Card,
    probabilities: &'a [f32],
    answers: &'a [bool],
}

impl Serialize for Prediction<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Prediction", 2)?;
        object.serialize_field("image", &self.image.display().to_string())?;
        object.serialize_field("attributes", &Answers(self.card, self.probabilities, self.answers))?;
        object.end()
    }
}

/// Each attribute's answer, by name, in the model's order.
struct Answers<'a>(&'a Card, &'a [f32], &'a [bool]);

impl Serialize for Answers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Answer {
            probability: f32,
            present: bool,
        }

        let Answers(card, probabilities, answers) = self;
        let mut object = serializer.serialize_map(Some(probabilities.len()))?;
        for ((name, &probability), &present) in card.attributes.iter().zip(*probabilities).zip(*answers) {
            object.serialize_entry(name, &Answer { probability, present })?;
        }
        object.end()
    }
}
