//! `visage bench`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, RngExt};
use serde::Serialize;
use visage_data::random::stream;
use visage_data::{CELEBA_ATTRIBUTES, Preparation};
use visage_model::{
    Draws, Engine, Network, NetworkConfig, Pass, Pending, Precision, Prepared, Training, image_tensor, ops, threads,
};
use visage_run::{LossKind, OptimizerRecipe, TrainingRecipe};
use visage_train::optimizer::Optimizer;
use visage_train::{Gradients, Loss, Rates, tracking};

use crate::cli::{BenchArgs, BenchMode};
use crate::compute::Compute;
use crate::error::CommandError;
use crate::output;

/// Steps that are not counted: the first ones ask the system for memory.
const WARM_UP_STEPS: u64 = 3;
/// Fewer make no median.
const LEAST_STEPS: usize = 5;
/// Steps that a graphics card is given before one is waited for, as in training.
const STEPS_AHEAD: u64 = 8;

/// Measures the speed of training or inference on random pixels.
pub fn run(args: &BenchArgs) -> Result<(), CommandError> {
    let compute = Compute::for_asking(&args.ask)?;
    let mut work = Work::new(args, &compute.device);
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
        precision: args.ask.precision,
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

/// The work of one step, ready to be repeated.
enum Work {
    Train(Box<TrainWork>),
    Infer { input: Input, engine: Engine, ahead: u64 },
}

/// A batch of random images.
struct Input {
    preparation: Preparation,
    pixels: Vec<u8>,
    images: usize,
}

/// What a training step works on.
struct TrainWork {
    input: Input,
    /// Out only during a step, so that the optimiser holds the only handle, as in training.
    network: Option<Network>,
    optimizer: Optimizer,
    loss: Loss,
    targets: Tensor<2>,
    mask: Tensor<2>,
    precision: Precision,
    device: Device,
}

impl Work {
    fn new(args: &BenchArgs, device: &Device) -> Self {
        let images = args.batch as usize;
        let mut random = stream(0, "bench", 0, 0);
        let mut pixels = vec![0; images * args.size.pixels() * 3];
        random.fill_bytes(&mut pixels);
        let input = Input { preparation: Preparation::exact(args.size), pixels, images };
        let outputs = CELEBA_ATTRIBUTES.len();
        let config = NetworkConfig::new(args.arch, outputs);
        if args.mode == BenchMode::Infer {
            let engine = Engine::new(&config.init(0, device), &input.preparation, device, args.ask.precision);
            let ahead = if ops::has_kernels(device) { 1 } else { STEPS_AHEAD };
            return Self::Infer { input, engine, ahead };
        }
        let recipe =
            TrainingRecipe { checkpoint_activations: args.checkpoint_activations, ..TrainingRecipe::default() };
        let device = tracking(&recipe, device);
        let labels: Vec<f32> = (0..images * outputs).map(|_| f32::from(u8::from(random.random::<bool>()))).collect();
        Self::Train(Box::new(TrainWork {
            input,
            network: Some(config.init(0, &device).train()),
            optimizer: Optimizer::new(OptimizerRecipe::default()),
            loss: Loss::new(LossKind::Bce),
            targets: Tensor::from_data(TensorData::new(labels, [images, outputs]), &device),
            mask: Tensor::ones([images, outputs], &device),
            precision: args.ask.precision,
            device,
        }))
    }

    /// A step, or on a graphics card a few, to their end: the result is read. How many they were.
    fn steps(&mut self, step: u64) -> f64 {
        match self {
            Self::Train(work) if ops::has_kernels(&work.device) => {
                threads::awake(|| drop(black_box(work.step(step).map(Tensor::into_data))));
                1.0
            }
            Self::Train(work) => {
                let results: Vec<_> =
                    (0..STEPS_AHEAD).filter_map(|ahead| work.step(step * STEPS_AHEAD + ahead)).collect();
                drop(black_box(Tensor::cat(results, 0).into_data()));
                STEPS_AHEAD as f64
            }
            Self::Infer { input, engine, ahead } => {
                let steps: Vec<Pending> =
                    (0..*ahead).map(|_| engine.start(&[Prepared::Pixels(&input.pixels)])).collect();
                steps.into_iter().for_each(|step| drop(black_box(step.read())));
                *ahead as f64
            }
        }
    }
}

impl TrainWork {
    /// The loss and what the norm of the gradient is made of.
    fn step(&mut self, step: u64) -> Option<Tensor<1>> {
        let network = self.network.take()?;
        let Input { preparation, pixels, images } = &self.input;
        let samples: Vec<u64> = (0..*images as u64).collect();
        let draws = Draws { seed: 0, epoch: step, samples: &samples };
        let images = image_tensor(preparation, pixels, &self.device);
        let training = Training { precision: self.precision, ..draws.into() };
        let logits = network.forward(images, Pass::Training(&training));
        let loss = self.loss.mean(logits, self.targets.clone(), self.mask.clone());
        let mut tape = loss.backward();
        let gradients = Gradients::take(&network, &mut tape);
        let squares = gradients.squares()?;
        let rates = Rates { learning_rate: 1e-4, momentum: 0.9 };
        self.network = Some(self.optimizer.step(network, gradients, rates));
        Some(Tensor::cat(vec![loss.inner(), squares], 0))
    }
}

/// The most memory the process ever held, in bytes, where Linux says it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}
