//! `visage predict`.

use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::path::Path;

use rayon::prelude::*;
use visage_data::Preparation;
use visage_model::Predictor;

use super::{attribute_numbers, read_predictor, read_rules};
use crate::cli::{PredictArgs, PredictionFormat, Threshold};
use crate::compute::Compute;
use crate::error::CommandError;
use crate::output;
use crate::predictions::annotated;
use crate::predictions::inputs::{Input, count, inputs, no_images};
use crate::predictions::rows::{Form, Rows};
use crate::predictions::sink::Sink;
use crate::progress::Progress;

/// Images that are decoded, and go through the network, together: what memory holds.
const BATCH_SIZE: usize = 64;

/// Attributes written on a copy of an image, unless --top says otherwise.
const MOST_WORDS: usize = 10;

/// Asks a model about images.
pub fn run(args: &PredictArgs) -> Result<(), CommandError> {
    let compute = Compute::for_asking(&args.ask)?;
    let format = args.format.unwrap_or_else(|| args.output.as_deref().map_or(PredictionFormat::Table, format_of));
    let form = match format {
        PredictionFormat::Table => Form::Table,
        PredictionFormat::Json => Form::Json,
        PredictionFormat::Csv | PredictionFormat::Parquet => Form::Csv,
    };
    if args.top.is_some() && form == Form::Csv {
        return Err(CommandError::OtherFormat { option: "--top", format: "table or json" });
    }
    let (model, _) = read_predictor(&args.model, &compute)?;
    let mut card = model.card().clone();
    if let Threshold::Fixed(value) = args.threshold {
        card.thresholds.fill(value);
    }
    let mut columns = attribute_numbers(&args.only, model.card())?;
    if columns.is_empty() {
        columns = (0..model.card().attributes.len()).collect();
    }
    let rules = read_rules(args.rules.as_deref(), &model.card().attributes)?;
    if args.consistent && rules.is_empty() {
        return Err(CommandError::NoRules);
    }
    let rules = args.consistent.then_some(rules);
    let rows = Rows { form, card: &card, columns, top: args.top.map(NonZeroUsize::get), rules };
    let total = count(&args.images)?;
    let mut sink = match (&args.output, format) {
        (Some(path), format) => Sink::open(path, &rows, format == PredictionFormat::Parquet)?,
        (None, PredictionFormat::Parquet) => return Err(CommandError::ParquetOutput),
        (None, _) => Sink::Standard(false),
    };
    let asker = Asker { model: &model, rows: &rows, annotate: args.annotate.as_deref() };
    sink.check(|input| asker.row(input))?;

    // Where the answers themselves are seen, they show how far it is.
    let shown = args.output.is_some() || !io::stdout().is_terminal();
    let mut progress = shown.then(|| Progress::new("predict", "images", total));
    let (mut images, mut there, mut added, mut failed) = (0, 0, 0, 0);
    let mut images_left = inputs(&args.images);
    loop {
        let mut batch = Vec::with_capacity(BATCH_SIZE);
        while batch.len() < BATCH_SIZE
            && let Some(input) = images_left.next()
        {
            let input = input?;
            images += 1;
            if sink.has(&input) { there += 1 } else { batch.push(input) }
        }
        if batch.is_empty() {
            break;
        }
        let (lines, answered, faults) = asker.ask(&batch)?;
        for fault in &faults {
            progress.as_ref().map_or_else(|| output::note(fault), |progress| progress.note(fault));
        }
        added += answered as u64;
        failed += faults.len();
        sink.write(&rows, &lines)?;
        progress.iter_mut().for_each(|progress| progress.set_new(images, there));
    }
    drop(progress);
    if images == 0 {
        return Err(no_images(&args.images));
    }
    sink.finish(&rows, added)?;
    if failed > 0 { Err(CommandError::SomeImages { failed, images }) } else { Ok(()) }
}

/// The format that a file's name asks for.
fn format_of(path: &Path) -> PredictionFormat {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "csv" => PredictionFormat::Csv,
        "json" | "jsonl" | "ndjson" => PredictionFormat::Json,
        "parquet" => PredictionFormat::Parquet,
        _ => PredictionFormat::Table,
    }
}

/// Asks the model and puts its answers into rows.
struct Asker<'a> {
    model: &'a Predictor,
    rows: &'a Rows<'a>,
    annotate: Option<&'a Path>,
}

impl Asker<'_> {
    /// The rows about some images, in their order, how many they are, and what went wrong with the others and with copies.
    fn ask(&self, inputs: &[Input]) -> Result<(Vec<u8>, usize, Vec<String>), CommandError> {
        let prepared: Vec<_> = inputs.par_iter().map(|input| pixels(&self.model.card().preparation, input)).collect();
        let (mut readable, mut batch, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for (input, pixels) in inputs.iter().zip(prepared) {
            match pixels {
                Ok(pixels) => {
                    readable.push(input);
                    batch.extend(pixels);
                }
                Err(reason) => faults.push(format!("cannot use {}: {reason}", input.path.display())),
            }
        }
        if readable.is_empty() {
            return Ok((Vec::new(), 0, faults));
        }
        let probabilities = self.model.probabilities(&batch);
        let answered: Vec<(&Input, &[f32])> =
            readable.into_iter().zip(probabilities.chunks(self.model.card().attributes.len())).collect();
        let mut lines = Vec::new();
        if let Some(folder) = self.annotate {
            let annotate = |&(input, probabilities): &(&Input, &[f32])| self.annotate(input, probabilities, folder);
            faults.extend(answered.par_iter().filter_map(|answer| annotate(answer).err()).collect::<Vec<_>>());
        }
        for (input, probabilities) in &answered {
            self.rows.add(&input.path, probabilities, &mut lines).map_err(CommandError::Output)?;
        }
        Ok((lines, answered.len(), faults))
    }

    /// The row about one image.
    fn row(&self, input: &Input) -> Result<Vec<u8>, CommandError> {
        let unusable =
            |reason: String| CommandError::Read { path: input.path.clone(), source: io::Error::other(reason) };
        let pixels = pixels(&self.model.card().preparation, input).map_err(unusable)?;
        let probabilities = self.model.probabilities(&pixels);
        let mut line = Vec::new();
        self.rows.add(&input.path, &probabilities, &mut line).map_err(CommandError::Output)?;
        Ok(line)
    }

    fn annotate(&self, input: &Input, probabilities: &[f32], folder: &Path) -> Result<(), String> {
        let mut words = self.rows.summary(probabilities);
        if self.rows.top.is_none() && words.len() > MOST_WORDS {
            let more = words.len() - MOST_WORDS;
            words.truncate(MOST_WORDS);
            words.push(format!("and {more} more"));
        }
        annotated::write(input, &words, folder)
            .map_err(|reason| format!("cannot annotate {}: {reason}", input.path.display()))
    }
}

/// The prepared pixels of an image, or why there are none.
fn pixels(preparation: &Preparation, input: &Input) -> Result<Vec<u8>, String> {
    let encoded = input.read().map_err(|error| error.to_string())?;
    preparation.pixels(&encoded).map_err(|error| match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    })
}
