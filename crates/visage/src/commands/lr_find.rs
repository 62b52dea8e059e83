//! `visage lr-find`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use visage_report::RangeTestCurve;
use visage_train::{Curve, Point, RangeTest};

use super::recipe;
use crate::cli::RecipeArgs;
use crate::compute::{Compute, ComputeArgs};
use crate::dataset::{DatasetArgs, warn_of_truncated};
use crate::error::CommandError;
use crate::extension;
use crate::faces::align_for_recipe;
use crate::output;
use crate::progress::Progress;
use crate::tables::Table;

/// Lines of the curve that are printed.
const LINES: usize = 20;
/// Length of the longest bar, in characters.
const BAR: f64 = 40.0;

/// Options of `visage lr-find`.
#[derive(Debug, Args)]
pub struct LrFindArgs {
    /// A built-in recipe (baseline, original, enhanced) or a TOML file; its schedule and number of epochs are ignored.
    pub recipe: String,
    #[command(flatten)]
    pub dataset: DatasetArgs,
    #[command(flatten)]
    pub set: RecipeArgs,
    /// The first learning rate.
    #[arg(long, value_name = "RATE", default_value_t = 1e-6)]
    pub start: f64,
    /// The last learning rate.
    #[arg(long, value_name = "RATE", default_value_t = 1.0)]
    pub end: f64,
    /// Steps from the first to the last.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..))]
    pub steps: u32,
    /// Write the whole curve to FILE, as CSV.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Draw the curve to FILE, as .svg or .png.
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Print JSON, with the whole curve.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// Finds a learning rate.
pub fn run(args: &LrFindArgs) -> Result<(), CommandError> {
    args.csv.iter().try_for_each(|path| extension::check("--csv", path, &["csv"]))?;
    args.plot.iter().try_for_each(|path| extension::check("--plot", path, &["svg", "png"]))?;
    let recipe = recipe::load(&args.recipe, &args.set.changes())?;
    if !(args.start > 0.0 && args.start < args.end && args.end.is_finite()) {
        return Err(CommandError::usage("--start must be above 0 and below --end"));
    }
    let compute = Compute::new(&args.compute)?;
    let mut dataset = args.dataset.open()?;
    args.dataset.check_images(&dataset)?;
    align_for_recipe(&mut dataset, &recipe)?;
    dataset.draw_missing_splits(recipe.training.seed);
    let test = RangeTest {
        recipe,
        dataset: Arc::new(dataset),
        start: args.start,
        end: args.end,
        steps: args.steps,
        device: compute.device.clone(),
        device_name: compute.name.clone(),
    };
    let mut progress = Progress::new("range test", "steps", u64::from(args.steps));
    let mut done = 0;
    let curve = test.run(|point| {
        done += 1;
        progress.set(done, || format!("learning rate {:.1e}, loss {:.4}", point.learning_rate, point.loss));
    })?;
    drop(progress);
    warn_of_truncated(&test.dataset);
    if let Some(path) = &args.csv {
        write_csv(&curve, path).map_err(|error| CommandError::write(path)(error.into()))?;
    }
    if let Some(path) = &args.plot {
        drawn(&curve).write(path)?;
        output::note(&format!("wrote {}", path.display()));
    }
    output::json_or(args.json, &curve, text)
}

fn write_csv(curve: &Curve, path: &Path) -> Result<(), csv::Error> {
    let mut writer = csv::Writer::from_path(path)?;
    curve.points.iter().try_for_each(|point| writer.serialize(point))?;
    Ok(writer.flush()?)
}

fn drawn(Curve { points, suggestion }: &Curve) -> RangeTestCurve {
    let point = |&Point { learning_rate, loss, smoothed }: &Point| [learning_rate, loss, smoothed];
    RangeTestCurve { points: points.iter().map(point).collect(), suggestion: *suggestion }
}

fn text(Curve { points, suggestion }: &Curve) -> String {
    let every = points.len().div_ceil(LINES).max(1);
    let highest = points.iter().map(|point| point.smoothed).fold(f64::MIN_POSITIVE, f64::max);
    let mut table = Table::new(0, &["Learning rate", "Loss", "Smoothed", ""]);
    table.align_left(3);
    for Point { learning_rate, loss, smoothed } in points.iter().step_by(every) {
        let bar = "#".repeat((smoothed / highest * BAR).round() as usize);
        table.row([format!("{learning_rate:.2e}"), format!("{loss:.4}"), format!("{smoothed:.4}"), bar]);
    }
    let suggestion = match suggestion {
        Some(rate) => format!(
            "the loss falls fastest at a learning rate of {rate:.2e}: try `--set learning_rate={rate:.1e}`, or less if training is \
             unstable\n"
        ),
        None => "the loss never fell: try other rates with --start and --end, or more steps\n".to_owned(),
    };
    format!("{}\n{suggestion}", table.text())
}
