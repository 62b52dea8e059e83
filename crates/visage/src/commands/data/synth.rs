//! `visage data synth`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use clap::Args;
use visage_data::Size;
use visage_run::shell;
use visage_synth::{Options, Summary};

use crate::compute::start_threads;
use crate::error::CommandError;
use crate::extension;
use crate::output;
use crate::progress::Progress;
use crate::tables::count;

/// Options of `visage data synth`.
#[derive(Debug, Args)]
pub struct SynthArgs {
    /// The folder to write; must be empty or not exist.
    pub path: PathBuf,
    /// Number of images.
    #[arg(long, value_name = "N")]
    pub images: usize,
    /// The random seed; the same seed generates the same faces.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Height and width of an image in pixels, each from 16 to 4096.
    #[arg(long, value_name = "H[xW]", default_value = "218x178")]
    pub size: Size,
    /// Fractions of the training, validation and test split.
    #[arg(long, value_name = "TRAIN,VALIDATION,TEST", value_delimiter = ',', num_args = 1, default_values_t = [0.8, 0.1, 0.1])]
    pub splits: Vec<f64>,
    /// Write every label correctly. Without it, some labels are flipped, on attributes that people disagree on, and listed in
    /// Anno/label_noise.csv.
    #[arg(long)]
    pub no_label_noise: bool,
    /// Threads for drawing [default: one per processor; the variable VISAGE_THREADS sets it too].
    #[arg(long, value_name = "N", env = "VISAGE_THREADS", hide_env = true)]
    pub threads: Option<NonZeroUsize>,
}

/// Generates a dataset.
pub fn run(args: &SynthArgs) -> Result<(), CommandError> {
    extension::check_folder("the folder", &args.path)?;
    start_threads(args.threads)?;
    let &[train, validation, test] = args.splits.as_slice() else {
        return Err(CommandError::usage("--splits takes three fractions, such as 0.8,0.1,0.1"));
    };
    let options = Options {
        width: u32::try_from(args.size.width).unwrap_or(u32::MAX),
        height: u32::try_from(args.size.height).unwrap_or(u32::MAX),
        splits: [train, validation, test],
        label_noise: !args.no_label_noise,
        ..Options::new(args.images, args.seed)
    };
    let summary = generate(&options, &args.path)?;
    output::result(&format!("{}next: visage data inspect {}\n", text(&summary), shell::path(&args.path)))
}

/// Generates a dataset, with progress.
pub fn generate(options: &Options, folder: &Path) -> Result<Summary, CommandError> {
    let progress = Mutex::new(Progress::new("drawing", "images", options.images as u64));
    Ok(visage_synth::write(options, folder, |done| {
        // Several threads report; one that finds the progress locked need not wait.
        if let Ok(mut progress) = progress.try_lock() {
            progress.set(done as u64, String::new);
        }
    })?)
}

/// A generated dataset, in words.
pub fn text(summary: &Summary) -> String {
    let [train, validation, test] = summary.images.map(|images| count(images as u64));
    format!(
        "wrote {}: faces of {} people, {train} training, {validation} validation and {test} test images; {} labels are wrong on \
         purpose, listed in Anno/label_noise.csv\n",
        summary.folder.display(),
        count(summary.identities as u64),
        count(summary.flipped_labels as u64)
    )
}
