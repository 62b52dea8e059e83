//! `visage bench`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use clap::{Args, ValueEnum};
use rand::{Rng, RngExt};
use serde::Serialize;
use visage_data::random::stream;
use visage_data::{Batch, CELEBA_ATTRIBUTES, Preparation, Size, Split, Statistics};
use visage_model::{Architecture, Engine, NetworkConfig, Pending, Precision, Prepared, ops};
use visage_run::Recipe;
use visage_train::{Rates, Stepper, TrainError};

use crate::compute::{Compute, InferenceArgs};
use crate::error::CommandError;
use crate::output;

/// Steps that are not counted: the first ones ask the system for memory.
const WARM_UP_STEPS: u64 = 3;
/// Fewer make no median.
const LEAST_STEPS: usize = 5;
/// Steps that are queued on a GPU before one is waited for, as in training.
const STEPS_AHEAD: u64 = 8;
/// The rates of every training step.
const RATES: Rates = Rates { learning_rate: 1e-4, momentum: 0.9 };

/// Options of `visage bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to measure.
    pub mode: BenchMode,
    /// The network, such as resnet18; one of the values of `model.architecture` in recipes.
    #[arg(long)]
    pub arch: Architecture,
    /// Height and width of the images in pixels, at least 32.
    #[arg(long, value_name = "H[xW]", value_parser = network_size)]
    pub size: Size,
    /// Images per batch.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: u32,
    /// Train with activation checkpointing, as with the recipe key of this name: less memory, more time.
    #[arg(long)]
    pub checkpoint_activations: bool,
    /// How long to measure after the warm-up, in seconds.
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    pub seconds: f64,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub inference: InferenceArgs,
}

/// What `visage bench` measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchMode {
    /// Training steps: forward pass, loss, backward pass, optimiser.
    Train,
    /// Forward passes.
    Infer,
}

/// A size that the networks accept: they halve their input five times.
fn network_size(text: &str) -> Result<Size, String> {
    let size: Size = text.parse().map_err(|error: visage_data::InvalidSize| error.to_string())?;
    if size.height.min(size.width) < 32 {
        return Err("the networks need at least 32 pixels a side".to_owned());
    }
    Ok(size)
}

/// Measures the speed of training or inference on random pixels.
pub fn run(args: &BenchArgs) -> Result<(), CommandError> {
    let compute = Compute::for_inference(&args.inference)?;
    let mut work = Work::new(args, &compute.device)?;
    for step in 0..WARM_UP_STEPS {
        work.steps(step);
    }
    let mut seconds = Vec::new();
    let end = Instant::now() + Duration::try_from_secs_f64(args.seconds).unwrap_or_default();
    while seconds.len() < LEAST_STEPS || Instant::now() < end {
        let began = Instant::now();
        let steps = work.steps(WARM_UP_STEPS + seconds.len() as u64);
        seconds.push(began.elapsed().as_secs_f64() / steps);
    }
    seconds.sort_by(f64::total_cmp);
    let step_seconds = seconds[seconds.len() / 2];
    let speed = Speed {
        mode: match args.mode {
            BenchMode::Train => "train",
            BenchMode::Infer => "infer",
        },
        architecture: args.arch.name(),
        height: args.size.height,
        width: args.size.width,
        batch: args.batch,
        device: compute.name,
        precision: args.inference.precision,
        threads: compute.threads,
        steps: seconds.len(),
        step_seconds,
        slow_step_seconds: seconds[(seconds.len() - 1) * 99 / 100],
        images_per_second: f64::from(args.batch) / step_seconds,
        peak_memory_bytes: peak_memory(),
    };
    if args.json { output::json(&speed) } else { output::result(&speed.report()) }
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Speed {
    mode: &'static str,
    architecture: &'static str,
    height: usize,
    width: usize,
    batch: u32,
    device: String,
    precision: Precision,
    threads: usize,
    /// Steps measured.
    steps: usize,
    /// The median.
    step_seconds: f64,
    /// What 99 of 100 steps do not exceed.
    slow_step_seconds: f64,
    /// By the median step.
    images_per_second: f64,
    /// The most memory the process ever held, where the system says.
    peak_memory_bytes: Option<u64>,
}

impl Speed {
    fn report(&self) -> String {
        let memory =
            self.peak_memory_bytes.map_or_else(String::new, |bytes| format!(", peak memory {} MiB", bytes >> 20));
        format!(
            "{} {} at {}x{}, batches of {}, {} in {} with {} threads: {:.1} images/s ({:.1} ms a step, median of {}; {:.1} ms at 99 %){memory}\n",
            self.mode,
            self.architecture,
            self.height,
            self.width,
            self.batch,
            self.device,
            self.precision.name(),
            self.threads,
            self.images_per_second,
            self.step_seconds * 1e3,
            self.steps,
            self.slow_step_seconds * 1e3,
        )
    }
}

/// The work that is measured.
enum Work {
    Train { stepper: Box<Stepper>, batch: Batch },
    Infer { pixels: Vec<u8>, engine: Engine, ahead: u64 },
}

impl Work {
    fn new(args: &BenchArgs, device: &Device) -> Result<Self, CommandError> {
        let images = args.batch as usize;
        let mut random = stream(0, "bench", 0, 0);
        let mut pixels = vec![0; images * args.size.pixels() * 3];
        random.fill_bytes(&mut pixels);
        let outputs = CELEBA_ATTRIBUTES.len();
        let config = NetworkConfig::new(args.arch, outputs);
        if args.mode == BenchMode::Infer {
            let engine =
                Engine::new(&config.init(0, device), &Preparation::exact(args.size), device, args.inference.precision);
            let ahead = if ops::has_kernels(device) { 1 } else { STEPS_AHEAD };
            return Ok(Self::Infer { pixels, engine, ahead });
        }
        let targets = (0..images * outputs).map(|_| f32::from(u8::from(random.random::<bool>())));
        let batch = Batch {
            number: 0,
            indices: (0..images).collect(),
            size: args.size,
            pixels,
            targets: targets.collect(),
            mixed: None,
        };
        // Whatever the labels, the loss has no weights.
        let statistics = Statistics {
            split: Split::Train,
            samples: args.batch.into(),
            attributes: Vec::new(),
            majority_accuracy: None,
        };
        let network = config.init(0, device);
        let stepper = Stepper::new(&recipe(args), &statistics, network, device, &[]).map_err(TrainError::from)?;
        Ok(Self::Train { stepper: Box::new(stepper), batch })
    }

    /// Takes a step, or several on a GPU, and waits for the results. Returns the number of steps.
    fn steps(&mut self, step: u64) -> f64 {
        match self {
            Self::Train { stepper, batch } => {
                let ahead = if stepper.runs_ahead() { STEPS_AHEAD } else { 1 };
                let steps: Vec<_> = (0..ahead)
                    .map(|number| {
                        stepper.accumulate(batch, step * ahead + number);
                        stepper.step(RATES)
                    })
                    .collect();
                for step in steps {
                    let _ = black_box(step.wait());
                }
                ahead as f64
            }
            Self::Infer { pixels, engine, ahead } => {
                let steps: Vec<Pending> = (0..*ahead).map(|_| engine.start(&[Prepared::Pixels(pixels)])).collect();
                steps.into_iter().for_each(|step| drop(black_box(step.read())));
                *ahead as f64
            }
        }
    }
}

/// The recipe of the training steps: the defaults.
fn recipe(args: &BenchArgs) -> Recipe {
    let mut recipe = Recipe::new(args.arch, args.size);
    recipe.training.precision = args.inference.precision;
    recipe.training.checkpoint_activations = args.checkpoint_activations;
    recipe
}

/// The most memory the process ever held, in bytes, where Linux says it.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}
