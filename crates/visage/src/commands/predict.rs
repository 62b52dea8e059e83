//! `visage predict`.

use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use visage_data::{TableOptions, Truncated};
use visage_faces::Face;
use visage_report::write_annotated;
use visage_run::bulk::{
    BulkPrediction, Counts, Finished, ImageInput, Predicted, RowFormat, RowOutput, Rows, count_inputs,
};

use super::evaluate::Threshold;
use super::{attribute_indices, read_predictor_with, read_rules};
use crate::compute::{Compute, InferenceArgs, TestTimeArgs};
use crate::error::CommandError;
use crate::extension;
use crate::faces::Faces;
use crate::output;
use crate::progress::Progress;
use crate::tables::{count, counted};
use crate::visible::VisibleLines;

/// Attributes in the caption of an image, unless --top sets their number.
const CAPTION_ATTRIBUTES: usize = 10;

/// Options of `visage predict`.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// A model file, or a run folder.
    pub model: PathBuf,
    /// Image files; folders, searched for images; zip and tar archives of images; tables (CSV,
    /// TSV, JSON lines), whose images are read; patterns such as 'photos/**/*.jpg', for shells that do
    /// not expand them; `-` for paths on standard input, one per line. The output keeps this order. Links are followed; hidden files and
    /// folders are passed by. In the output, bytes of a name that are not UTF-8 are written as \xNN, and a backslash in such a name as
    /// two.
    #[arg(required = true, value_name = "IMAGE|FOLDER|ZIP|TABLE|-")]
    pub images: Vec<PathBuf>,
    /// In tables, the column with the images' names [default: found by its name and what it holds].
    #[arg(long, value_name = "COLUMN")]
    pub image_column: Option<String>,
    /// Only these attributes, in this order.
    #[arg(long, value_delimiter = ',', value_name = "NAME,NAME...")]
    pub only: Vec<String>,
    /// Only the K most probable attributes of each image, whether present or not.
    #[arg(long, value_name = "K")]
    pub top: Option<NonZeroUsize>,
    /// The model's own thresholds (`model`), or one number from 0 to 1 for every attribute. A CSV of probabilities needs none.
    #[arg(long, value_name = "model|NUMBER", default_value = "model")]
    pub threshold: Threshold,
    /// Predict the most probable attributes that break no rule between attributes. A CSV, which otherwise holds probabilities, then
    /// holds 1 and 0.
    #[arg(long)]
    pub consistent: bool,
    /// Rules between attributes, as TOML: rules = ["Goatee => not No_Beard", "at most one of A, B, C"] [default: rules for CelebA's
    /// attributes, where the model has them].
    #[arg(long, requires = "consistent", value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// The output format [default: by the extension of --output, or else a table].
    #[arg(long, value_enum)]
    pub format: Option<PredictionFormat>,
    /// The file to write. Images that already have a row in it are skipped: an interrupted command resumes, and new images of a
    /// folder are added. A Parquet file is written once all images are predicted.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Find the faces in photographs, and predict each by itself, aligned as the model expects: `all`, or the `largest` of each
    /// photograph. The output then has a row for each face, with its box and score. The face detector is installed by
    /// `visage faces install`. Faces are found, and nobody is recognised.
    #[arg(long, value_enum, value_name = "FACES", default_value_t = Faces::Off, hide_default_value = true)]
    pub faces: Faces,
    /// With --faces, turn a photograph by quarters where no face is found.
    #[arg(long)]
    pub any_rotation: bool,
    /// Also write a copy of each image, captioned with its most probable attributes: up to ten that are present, or --top. With --faces
    /// the faces are outlined.
    #[arg(long, value_name = "DIR")]
    pub annotate: Option<PathBuf>,
    /// Also predict images whose files are cut short, from the part that is there, with a warning for each.
    #[arg(long)]
    pub allow_truncated: bool,
    #[command(flatten)]
    pub test_time: TestTimeArgs,
    #[command(flatten)]
    pub inference: InferenceArgs,
}

/// A format of predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PredictionFormat {
    /// One line per image: the attributes that are present, each with its probability.
    Table,
    /// One JSON object per line and image: the probability of every attribute, and whether it is present.
    Json,
    /// One row per image and one column per attribute, of probabilities.
    Csv,
    /// The same as a Parquet file, which needs --output.
    Parquet,
}

impl PredictionFormat {
    /// The extensions that stand for a format; a table of text has .txt, or none.
    const EXTENSIONS: &[&str] = &["csv", "json", "jsonl", "ndjson", "parquet", "txt"];

    /// The format that a file's extension stands for.
    fn of_file(path: &Path) -> Self {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "csv" => Self::Csv,
            "json" | "jsonl" | "ndjson" => Self::Json,
            "parquet" => Self::Parquet,
            _ => Self::Table,
        }
    }

    fn rows(self) -> RowFormat {
        match self {
            Self::Table => RowFormat::Table,
            Self::Json => RowFormat::Json,
            Self::Csv | Self::Parquet => RowFormat::Csv,
        }
    }
}

impl PredictArgs {
    /// How tables of images are read.
    fn tables(&self) -> TableOptions {
        TableOptions { image_column: self.image_column.clone(), ..TableOptions::default() }
    }

    fn resolved_format(&self) -> Result<PredictionFormat, CommandError> {
        let format = match (self.format, &self.output) {
            (Some(format), _) => format,
            (None, Some(path)) => {
                extension::check("--output", path, PredictionFormat::EXTENSIONS)?;
                PredictionFormat::of_file(path)
            }
            (None, None) => PredictionFormat::Table,
        };
        if self.top.is_some() && format.rows() == RowFormat::Csv {
            return Err(CommandError::usage("--top goes with --format table or json"));
        }
        if format == PredictionFormat::Parquet && self.output.is_none() {
            return Err(CommandError::usage("--format parquet needs a file: name it with --output"));
        }
        Ok(format)
    }
}

/// Predicts the attributes of images.
pub fn run(args: &PredictArgs) -> Result<(), CommandError> {
    let format = args.resolved_format()?;
    args.annotate.iter().try_for_each(|folder| extension::check_folder("--annotate", folder))?;
    let compute = Compute::for_inference(&args.inference)?;
    let (predictor, _) = read_predictor_with(&args.model, &compute, args.test_time)?;
    let mut card = predictor.card().clone();
    if let Some(value) = args.threshold.fixed() {
        card.thresholds.fill(value);
    }
    let mut columns = attribute_indices(&args.only, &card)?;
    if columns.is_empty() {
        columns = (0..card.attributes.len()).collect();
    }
    let rules = read_rules(args.rules.as_deref(), &card.attributes)?;
    if args.consistent && rules.is_empty() {
        return Err(CommandError::NoRules);
    }
    let rows = Rows {
        format: format.rows(),
        card: &card,
        columns,
        top: args.top.map(NonZeroUsize::get),
        rules: args.consistent.then_some(rules),
        has_faces: args.faces != Faces::Off,
    };
    let faces = args.faces.search(args.any_rotation)?;
    let total = count_inputs(&args.images, &args.tables())?;
    let mut output = match &args.output {
        Some(path) => RowOutput::open(path, &rows, format == PredictionFormat::Parquet)?,
        None if io::stdout().is_terminal() => RowOutput::stream(VisibleLines::new(io::stdout())),
        None => RowOutput::stream(io::stdout()),
    };
    let prediction = BulkPrediction {
        rows: &rows,
        predictor: &predictor,
        truncated: Truncated::allowed(args.allow_truncated),
        faces: faces.as_ref(),
        each: &|input, predicted| match &args.annotate {
            Some(folder) => annotate(input, &rows, predicted, folder),
            None => Ok(()),
        },
    };
    let counts = predict(&prediction, args, &mut output, total)?;
    if let Some(finished) = output.finish(&rows)? {
        output::note(&summary(&finished, counts));
    }
    if counts.others > 0 {
        output::note(&format!("passed by {} without the extension of an image", counted(counts.others, "file")));
    }
    if counts.truncated > 0 {
        let images = counted(counts.truncated, "image");
        output::warning(&format!("{images} cut short: predicted from the part that is there"));
    }
    if counts.unaligned > 0 {
        output::warning(&format!(
            "{} not of the shape of the aligned faces that the model expects: --faces largest finds and aligns them",
            counted(counts.unaligned, "image")
        ));
    }
    match counts {
        Counts { failed: 0, .. } => Ok(()),
        Counts { failed, images, .. } => Err(CommandError::SomeImages { failed, images }),
    }
}

/// Predicts with progress, unless the rows themselves are seen on a terminal.
fn predict(
    prediction: &BulkPrediction<'_>,
    args: &PredictArgs,
    output: &mut RowOutput,
    total: Option<u64>,
) -> Result<Counts, CommandError> {
    let hidden = args.output.is_none() && io::stdout().is_terminal();
    let mut progress = (!hidden).then(|| Progress::new("predicting", "images", total));
    Ok(prediction.run(&args.images, &args.tables(), output, |counts, messages| {
        for message in messages {
            progress.as_ref().map_or_else(|| output::problem(message), |progress| progress.problem(message));
        }
        progress.iter_mut().for_each(|progress| progress.set_skipping(counts.images, counts.skipped));
    })?)
}

fn summary(finished: &Finished, counts: Counts) -> String {
    let path = finished.path.display();
    match finished.resumed {
        0 => format!("wrote {} to {path}", counted(counts.added, "row")),
        resumed => format!("added {} to {path}, which had {}", counted(counts.added, "row"), count(resumed as u64)),
    }
}

/// The lines below an image.
fn caption(rows: &Rows<'_>, probabilities: &[f32]) -> Vec<String> {
    let mut lines = rows.summary(probabilities);
    if rows.top.is_none() && lines.len() > CAPTION_ATTRIBUTES {
        let more = lines.len() - CAPTION_ATTRIBUTES;
        lines.truncate(CAPTION_ATTRIBUTES);
        lines.push(format!("and {more} more"));
    }
    lines
}

/// Writes a captioned copy of an image, with its faces outlined.
fn annotate(input: &ImageInput, rows: &Rows<'_>, predicted: &[Predicted<'_>], folder: &Path) -> Result<(), String> {
    let boxes: Vec<[f64; 4]> = predicted.iter().filter_map(|one| one.face.map(Face::rectangle)).collect();
    let lines = match predicted {
        [one] => caption(rows, one.probabilities),
        several => {
            let line = |(number, one): (usize, &Predicted<'_>)| {
                format!("{}: {}", number + 1, caption(rows, one.probabilities).join(", "))
            };
            several.iter().enumerate().map(line).collect()
        }
    };
    let encoded = input.read().map_err(|error| error.to_string());
    encoded
        .and_then(|encoded| write_annotated(&input.path, &encoded, &boxes, &lines, folder))
        .map_err(|reason| format!("cannot annotate {}: {reason}", input.name()))
}
