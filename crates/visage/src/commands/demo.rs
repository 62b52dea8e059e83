//! `visage demo`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use visage_data::{Dataset, Size, Split};
use visage_report::ReportSettings;
use visage_run::MetricsFile;
use visage_run::comparison::{EvaluatedRun, compare};
use visage_run::evaluation::EvaluationSettings;
use visage_run::results::EvaluationChoice;
use visage_run::shell;
use visage_synth::Options;

use super::data::synth;
use super::train::Shown;
use super::{attributes_to_judge, evaluate, read_predictor, read_rules, recipe, report, train};
use crate::compute::{Compute, ComputeArgs};
use crate::error::CommandError;
use crate::extension;
use crate::tables::duration;
use crate::{output, tables};

/// The seed of the faces.
const SEED: u64 = 1;

/// The recipes that are trained, with the changes that make them train in a minute or two from random weights. `enhanced` gets the
/// network of `baseline`: its own needs many more epochs to get started. So do crops and erased rectangles to be worth it; the rest of
/// the recipe makes the difference.
const RECIPES: [(&str, &[&str]); 2] = [
    ("baseline", &["batch_size=32"]),
    (
        "enhanced",
        &[
            "batch_size=32",
            "model.architecture=resnet18",
            "optimizer.learning_rate=2e-3",
            "augmentation.crop=0",
            "augmentation.erasing=0",
        ],
    ),
];

/// Options of `visage demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The folder for everything; must not exist.
    #[arg(long, value_name = "DIR", default_value = "visage-demo")]
    pub out: PathBuf,
    /// Number of faces.
    #[arg(long, value_name = "N", default_value_t = 3000)]
    pub images: usize,
    /// Training epochs of each model.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub epochs: u32,
    /// Height and width of the networks' input, in pixels.
    #[arg(long, value_name = "H[xW]", default_value = "64")]
    pub size: Size,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// Generates a dataset, trains two models, evaluates, compares and reports them.
pub fn run(args: &DemoArgs) -> Result<(), CommandError> {
    extension::check_folder("--out", &args.out)?;
    let started = Instant::now();
    let compute = Compute::new(&args.compute)?;
    let faces = args.out.join("faces");
    output::note(&format!("\n== drawing {} faces", args.images));
    let summary = synth::generate(&Options::new(args.images, SEED), &faces)?;
    output::note(synth::text(&summary).trim_end());
    let dataset = Arc::new(Dataset::open(&faces)?);

    let (mut folders, mut runs) = (Vec::new(), Vec::new());
    for (name, overrides) in RECIPES {
        output::note(&format!("\n== training {name}"));
        let folder = args.out.join(name);
        train_and_evaluate(args, name, overrides, &dataset, &faces, &folder, &compute).map(|run| runs.push(run))?;
        folders.push(folder);
    }

    output::note("\n== comparing both on faces they were not trained on\n");
    output::result(&tables::comparison::text(&compare(runs, false)?, false))?;
    output::note("\n== writing the report");
    let choice = EvaluationChoice { split: Some(Split::Test.into()), dataset: None };
    let settings = ReportSettings { runs: &folders, choice: &choice, gallery: false };
    output::result(&format!("\n{}", report::summary(&report::write_report(&settings, &args.out)?)))?;
    output::result(&next_steps(args, &faces, started.elapsed().as_secs_f64()))
}

/// Trains a recipe and evaluates it on the test split.
fn train_and_evaluate(
    args: &DemoArgs,
    recipe: &str,
    overrides: &[&str],
    dataset: &Arc<Dataset>,
    faces: &Path,
    folder: &Path,
    compute: &Compute,
) -> Result<EvaluatedRun, CommandError> {
    let mut changes = vec![format!("input.size={}", args.size), format!("epochs={}", args.epochs)];
    changes.extend(overrides.iter().map(ToString::to_string));
    output::note(&format!("reduced to train in minutes: {}", changes.join(" ")));
    let recipe = recipe::load(recipe, &changes)?;
    let settings = train::settings(recipe, Arc::clone(dataset), faces, folder, compute);
    let resume = format!("visage train --resume {}", shell::path(folder));
    train::train(&settings, Shown::default(), &resume)?;

    let (predictor, model_file) = read_predictor(folder, compute)?;
    let settings = EvaluationSettings {
        predictor: &predictor,
        model_file: &model_file,
        precision: compute.precision,
        dataset,
        data: faces,
        split: Split::Test.into(),
        attributes: &attributes_to_judge(&[], predictor.card())?,
        threshold: None,
        group_by: &[],
        rules: &read_rules(None, &predictor.card().attributes)?,
        consistent: false,
    };
    let evaluated = evaluate::evaluate(&settings)?;
    evaluated.write(&folder.join(MetricsFile::name(Split::Test)))?;
    let (metrics, predictions) = (evaluated.metrics, Some(evaluated.predictions));
    Ok(EvaluatedRun { path: folder.to_owned(), metrics, predictions })
}

fn next_steps(args: &DemoArgs, faces: &Path, seconds: f64) -> String {
    let best = shell::path(&args.out.join(RECIPES[RECIPES.len() - 1].0));
    let data = shell::path(faces);
    format!(
        "\nfinished in {}; {} holds the dataset in faces, and a folder per run with its model (best.safetensors), recipe.toml, \
         epochs.csv, steps.csv and {}\n\
         next: visage predict {best} {data}/Img/img_align_celeba/000001.jpg\n      \
         visage evaluate {best} --data {data} --group-by Male\n\
         on your own images: visage train enhanced --data PATH\n",
        duration(seconds),
        args.out.display(),
        MetricsFile::name(Split::Test),
    )
}
