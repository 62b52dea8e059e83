//! `visage demo`.

use std::sync::Arc;
use std::time::Instant;

use visage_data::{Dataset, Split};
use visage_run::{MetricsFile, Recipe};
use visage_synth::Options;

use super::{compare, data, evaluate, read_predictor, read_rules, report, train};
use crate::cli::{DemoArgs, Threshold};
use crate::compute::Compute;
use crate::error::CommandError;
use crate::output;
use crate::report_runs::Asked;
use crate::shell;
use crate::table::duration;

/// The population that is drawn.
const SEED: u64 = 1;

/// The recipes that are trained, each with what it takes to train in a minute or two from random weights. `enhanced` gets
/// the network of `baseline`: its own needs many more epochs to begin with, and the rest of it is what makes the difference.
const RECIPES: [(&str, &[&str]); 2] = [
    ("baseline", &["batch_size=32"]),
    ("enhanced", &["batch_size=32", "model.architecture=resnet18", "optimizer.learning_rate=2e-3"]),
];

/// Draws a dataset, trains two models, judges and compares them.
pub fn run(args: &DemoArgs) -> Result<(), CommandError> {
    let began = Instant::now();
    let compute = Compute::new(&args.compute)?;
    let faces = args.out.join("faces");
    output::note(&format!("\n== {} faces, drawn", args.images));
    let summary = data::draw(&Options::new(args.images, SEED), &faces)?;
    output::note(data::told(&summary).trim_end());
    let dataset = Arc::new(Dataset::open(&faces)?);

    let (mut runs, mut judged) = (Vec::new(), Vec::new());
    for (name, overrides) in RECIPES {
        output::note(&format!("\n== {name}, trained"));
        let run = args.out.join(name);
        let mut recipe = Recipe::load(name)?;
        let size = [format!("input.size={}", args.size), format!("epochs={}", args.epochs)];
        let changes: Vec<&str> = size.iter().map(String::as_str).chain(overrides.iter().copied()).collect();
        output::note(&format!("small for the sake of minutes: {}", changes.join(" ")));
        recipe.set_all(changes).map_err(CommandError::usage)?;
        train::train(&train::Training {
            recipe,
            dataset: Arc::clone(&dataset),
            data: &faces,
            split_seed: None,
            folder: &run,
            resume: false,
            accept_changes: false,
            tensorboard: false,
            compute: &compute,
            resume_command: format!("visage train --resume --out {} --data {}", shell::path(&run), shell::path(&faces)),
        })?;
        let (model, model_file) = read_predictor(&run, &compute)?;
        let judgement = evaluate::evaluate(&evaluate::Judging {
            model: &model,
            model_file,
            dataset: &dataset,
            data: &faces,
            split: Split::Test,
            threshold: Threshold::Model,
            group_by: &[],
            rules: &read_rules(None, &model.card().attributes)?,
            consistent: false,
            compute: &compute,
        })?;
        judgement.write(&run.join(MetricsFile::name(Split::Test)))?;
        judged.push(compare::Run::new(&run, judgement.metrics, Some(judgement.predictions)));
        runs.push(run);
    }

    output::note("\n== both, judged on faces they have not seen\n");
    let compared = compare::compare(judged, false)?;
    output::result(&compare::report(&compared, false))?;
    output::note("\n== the report");
    let asked = Asked { runs: &runs, split: Some(Split::Test), gallery: false };
    output::result(&format!("\n{}", report::told(&report::report(&asked, &args.out)?)))?;
    let best = shell::path(&args.out.join(RECIPES[RECIPES.len() - 1].0));
    let data = shell::path(&faces);
    output::result(&format!(
        "\nall of it took {} and lies in {}: the dataset in faces, a folder a run, each with its model \
         (best.safetensors), recipe.toml, epochs.csv, steps.csv and {}\n\
         next: visage predict {best} {data}/Img/img_align_celeba/000001.jpg\n      \
         visage evaluate {best} --data {data} --group-by Male\n      visage train enhanced --data PATH_OF_YOUR_OWN\n",
        duration(began.elapsed().as_secs_f64()),
        args.out.display(),
        MetricsFile::name(Split::Test),
    ))
}
