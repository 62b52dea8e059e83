//! `visage predict`.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
use visage_data::{ImageError, Preparation};
use visage_judge::{Rules, is_positive};
use visage_model::Card;

use super::{attribute_numbers, read_model, read_rules};
use crate::cli::{PredictArgs, PredictionFormat, Threshold};
use crate::compute::Compute;
use crate::error::CommandError;
use crate::output;
use crate::progress::Progress;

/// Images that are decoded, and go through the network, together: what memory holds.
const BATCH_SIZE: usize = 64;

/// What the names of images in a folder end in.
const EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "bmp", "gif"];

/// Asks a model about images.
pub fn run(args: &PredictArgs) -> Result<(), CommandError> {
    let compute = Compute::new(&args.compute)?;
    if args.top.is_some() && args.format == PredictionFormat::Csv {
        return Err(CommandError::OtherFormat { option: "--top", format: "table or json" });
    }
    let (mut model, _) = read_model(&args.model, &compute)?;
    if let Threshold::Fixed(value) = args.threshold {
        model.card.thresholds.fill(value);
    }
    let mut columns = attribute_numbers(&args.only, &model.card)?;
    if columns.is_empty() {
        columns = (0..model.card.attributes.len()).collect();
    }
    let images = images(&args.images)?;
    let rules = read_rules(args.rules.as_deref(), &model.card.attributes)?;
    if args.consistent && rules.is_empty() {
        return Err(CommandError::NoRules);
    }
    let rules = args.consistent.then_some(rules);
    let top = args.top.map(NonZeroUsize::get);
    let mut writer = Writer { format: args.format, card: &model.card, columns, top, rules, header: false };
    // Where the answers themselves are seen, they show how far it is.
    let mut progress = (!io::stdout().is_terminal()).then(|| Progress::new("predict", "images", images.len() as u64));
    let (mut failed, mut done) = (0, 0);
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
                    let told = format!("cannot use {}: {reason}", path.display());
                    progress.as_ref().map_or_else(|| output::note(&told), |progress| progress.note(&told));
                }
            }
        }
        if !named.is_empty() {
            let probabilities = model.probabilities(&batch, named.len(), &compute.device);
            let rows = named.into_iter().zip(probabilities.chunks(model.card.attributes.len()));
            output::result(&writer.lines(rows)?)?;
        }
        done += paths.len() as u64;
        progress.iter_mut().for_each(|progress| progress.set(done, String::new));
    }
    if failed > 0 { Err(CommandError::SomeImages { failed, images: images.len() }) } else { Ok(()) }
}

/// What stands for paths on standard input.
const STANDARD_INPUT: &str = "-";

/// Every file named or matched by a pattern, here or on standard input, and every image below every folder named, folders in sorted order.
fn images(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CommandError> {
    let mut found = Vec::new();
    for path in paths {
        if path.as_os_str() == STANDARD_INPUT {
            for line in io::stdin().lines() {
                let line = line.map_err(|source| CommandError::Read { path: path.clone(), source })?;
                if !line.is_empty() {
                    add(Path::new(&line), &mut found)?;
                }
            }
        } else {
            add(path, &mut found)?;
        }
    }
    if found.is_empty() {
        return Err(CommandError::NoImages { paths: paths.iter().map(|path| path.display().to_string()).collect() });
    }
    Ok(found)
}

fn add(path: &Path, found: &mut Vec<PathBuf>) -> Result<(), CommandError> {
    if path.is_dir() {
        return search(path, found);
    }
    match path.to_str() {
        // A pattern that no shell has expanded. A file that is called like one is that file.
        Some(pattern) if pattern.contains(['*', '?', '[']) && !path.exists() => {
            for path in glob::glob(pattern).map_err(CommandError::usage)? {
                let path =
                    path.map_err(|error| CommandError::Read { path: error.path().to_owned(), source: error.into() })?;
                if path.is_dir() { search(&path, found)? } else { found.push(path) }
            }
        }
        _ => found.push(path.to_owned()),
    }
    Ok(())
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
    /// The attributes to answer about, by number.
    columns: Vec<usize>,
    /// How many of them, the most probable first; all of them in their order if `None`.
    top: Option<usize>,
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
                    let columns = &self.shown(probabilities);
                    let prediction = Prediction { image, card: self.card, columns, probabilities, answers: &answers };
                    serde_json::to_writer(&mut *lines, &prediction)?;
                    lines.push(b'\n');
                }
            }
            PredictionFormat::Csv => {
                let mut csv = csv::Writer::from_writer(lines);
                if !self.header {
                    self.header = true;
                    let names = self.columns.iter().map(|&column| self.card.attributes[column].as_str());
                    csv.write_record(std::iter::once("image").chain(names))?;
                }
                for (image, probabilities) in rows {
                    let values: Vec<String> = match &self.rules {
                        Some(_) => {
                            let answers = self.answers(probabilities);
                            self.columns.iter().map(|&column| u8::from(answers[column]).to_string()).collect()
                        }
                        None => self.columns.iter().map(|&column| probabilities[column].to_string()).collect(),
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

    /// The attributes to answer about, in the order of the answer.
    fn shown(&self, probabilities: &[f32]) -> Vec<usize> {
        let mut shown = self.columns.clone();
        if let Some(top) = self.top {
            shown.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
            shown.truncate(top);
        }
        shown
    }

    /// The attributes an image has, or as many as were asked for, the surest first.
    fn summary(&self, probabilities: &[f32]) -> String {
        let answers = self.answers(probabilities);
        let mut shown = self.shown(probabilities);
        shown.retain(|&column| self.top.is_some() || answers[column]);
        shown.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        let named: Vec<String> = shown
            .iter()
            .map(|&column| format!("{} {:.2}", self.card.attributes[column], probabilities[column]))
            .collect();
        if named.is_empty() { "(none of its attributes)".to_owned() } else { named.join(", ") }
    }
}

/// The answers about one image, as JSON.
struct Prediction<'a> {
    image: &'a Path,
    card: &'a Card,
    columns: &'a [usize],
    probabilities: &'a [f32],
    answers: &'a [bool],
}

impl Serialize for Prediction<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Prediction", 2)?;
        object.serialize_field("image", &self.image.display().to_string())?;
        object.serialize_field("attributes", &Answers(self))?;
        object.end()
    }
}

/// Each attribute's answer, by name.
struct Answers<'a>(&'a Prediction<'a>);

impl Serialize for Answers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Answer {
            probability: f32,
            present: bool,
        }

        let Answers(Prediction { card, columns, probabilities, answers, .. }) = self;
        let mut object = serializer.serialize_map(Some(columns.len()))?;
        for &column in *columns {
            let answer = Answer { probability: probabilities[column], present: answers[column] };
            object.serialize_entry(&card.attributes[column], &answer)?;
        }
        object.end()
    }
}
