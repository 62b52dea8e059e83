//! `visage lr-find`.

use std::sync::Arc;

use visage_train::{Curve, Point, RangeTest};

use super::data::source;
use super::recipe::of_name;
use crate::cli::LrFindArgs;
use crate::compute::Compute;
use crate::error::CommandError;
use crate::output;
use crate::progress::Progress;
use crate::table::Columns;

/// Lines of the curve that is printed, and columns of its bars.
const LINES: usize = 20;
const BAR: f64 = 40.0;

/// Finds a learning rate.
pub fn run(args: &LrFindArgs) -> Result<(), CommandError> {
    let mut recipe = of_name(&args.recipe)?;
    recipe.set_all(&args.overrides).map_err(CommandError::usage)?;
    if !(args.start > 0.0 && args.start < args.end && args.end.is_finite()) {
        return Err(CommandError::Usage("--start must be above 0 and below --end".into()));
    }
    let compute = Compute::new(&args.compute)?;
    let mut dataset = source::open(&args.source)?;
    if !dataset.has_splits() {
        dataset.assign_splits(recipe.training.seed);
    }
    let test = RangeTest {
        recipe,
        dataset: Arc::new(dataset),
        start: args.start,
        end: args.end,
        steps: args.steps,
        device: compute.device.clone(),
        device_name: compute.name.clone(),
    };
    let mut progress = Progress::new("learning rate", "steps", u64::from(args.steps));
    let mut done = 0;
    let curve = test.run(|point| {
        done += 1;
        progress.set(done, || format!("learning rate {:.1e}, loss {:.4}, ", point.learning_rate, point.loss));
    })?;
    drop(progress);
    if let Some(path) = &args.csv {
        let write = |error| CommandError::Write { path: path.clone(), source: error };
        let mut writer = csv::Writer::from_path(path).map_err(|error| write(error.into()))?;
        curve.points.iter().try_for_each(|point| writer.serialize(point)).map_err(|error| write(error.into()))?;
        writer.flush().map_err(write)?;
    }
    if args.json { output::json(&curve) } else { output::result(&report(&curve)) }
}

fn report(Curve { points, suggestion }: &Curve) -> String {
    let every = points.len().div_ceil(LINES).max(1);
    let highest = points.iter().map(|point| point.smoothed).fold(f64::MIN_POSITIVE, f64::max);
    let mut table = Columns::new(0, &["Learning rate", "Loss", "Smoothed", ""]);
    table.align_left(3);
    for Point { learning_rate, loss, smoothed } in points.iter().step_by(every) {
        let bar = "#".repeat((smoothed / highest * BAR).round() as usize);
        table.row([format!("{learning_rate:.2e}"), format!("{loss:.4}"), format!("{smoothed:.4}"), bar]);
    }
    let told = match suggestion {
        Some(rate) => format!(
            "the loss fell fastest at a learning rate of {rate:.2e}: try `--set learning_rate={rate:.1e}`, and less if it is unsteady\n"
        ),
        None => "the loss never fell: try other rates with --start and --end, or more steps\n".to_owned(),
    };
    format!("{}\n{told}", table.text())
}
