//! The device and the threads to compute with.

use std::num::NonZeroUsize;

use burn::tensor::Device;
use clap::Args;
use visage_model::device::{self, Backend, Choice};
use visage_model::{Model, Precision, TestTime};

use crate::error::CommandError;
use crate::output;

/// Options for the device and the number of threads.
#[derive(Clone, Debug, Args)]
pub struct ComputeArgs {
    /// The device to compute on: cpu, cuda, metal or vulkan, with a number (cuda:1) if there are several, as `visage devices`
    /// lists them; auto selects the best that works. `visage train` can split its batches over several (cuda:0,1).
    /// The variable VISAGE_DEVICE sets it too.
    #[arg(long, value_name = "DEVICE", default_value = "auto", env = "VISAGE_DEVICE", hide_env = true)]
    pub device: Choice,
    /// Threads for computing and decoding [default: one per processor; the variable VISAGE_THREADS sets it too].
    #[arg(long, value_name = "N", env = "VISAGE_THREADS", hide_env = true)]
    pub threads: Option<NonZeroUsize>,
}

impl ComputeArgs {
    /// The same options as text, each after a space, to repeat them in a command shown to the user.
    pub fn repeated(&self) -> String {
        let device = if self.device == Choice::Auto { String::new() } else { format!(" --device {}", self.device) };
        let threads = self.threads.map(|threads| format!(" --threads {threads}")).unwrap_or_default();
        device + &threads
    }
}

/// Options for inference.
#[derive(Clone, Debug, Args)]
pub struct InferenceArgs {
    /// The type of convolutions and matrix products: f32, bf16 or f16. The 16-bit types are faster on many GPUs; the CPU computes
    /// in f32 and rounds.
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    pub precision: Precision,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// Options for the views of an image that a model predicts.
#[derive(Clone, Copy, Debug, Args)]
pub struct TestTimeArgs {
    /// Test-time augmentation: `flip` averages the logits of an image and of its mirror image, which takes twice the time; `none`
    /// uses the image alone [default: what the model was calibrated with].
    #[arg(long, value_name = "none|flip")]
    pub tta: Option<TestTime>,
}

impl TestTimeArgs {
    /// Sets the views of a model, if they were given.
    pub fn apply(self, model: &mut Model) {
        if let Some(test_time) = self.tta {
            model.card.set_test_time(test_time);
        }
    }

    /// Sets them, and warns if the model's thresholds were chosen for others.
    pub fn apply_to_chosen(self, model: &mut Model) {
        let chosen = model.card.test_time;
        self.apply(model);
        if model.card.test_time != chosen {
            output::warning(&format!(
                "the model's thresholds and calibration were chosen with --tta {chosen}: `visage calibrate --tta {}` chooses them anew",
                model.card.test_time
            ));
        }
    }
}

/// An opened device and a started thread pool.
#[derive(Clone, Debug)]
pub struct Compute {
    /// The device.
    pub device: Device,
    /// Further devices that share training batches with it.
    pub other_devices: Vec<Device>,
    /// Name of the device, such as `cpu` or `cuda:0`.
    pub name: String,
    /// Threads that compute and decode.
    pub threads: usize,
    /// The type of inference.
    pub precision: Precision,
}

impl Compute {
    /// Opens one device and starts the thread pool. Can be called once per process.
    ///
    /// # Errors
    ///
    /// If the threads cannot be started, several devices are named, or the device is missing.
    pub fn new(args: &ComputeArgs) -> Result<Self, CommandError> {
        match &args.device {
            several @ Choice::Several(..) => Err(CommandError::usage(OneDevice(several.clone()))),
            _ => Self::for_training(args),
        }
    }

    /// Opens one device for inference in a given precision.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), or if the device does not support the precision.
    pub fn for_inference(args: &InferenceArgs) -> Result<Self, CommandError> {
        let compute = Self { precision: args.precision, ..Self::new(&args.compute)? };
        device::check_precision(&compute.device, &compute.name, compute.precision)?;
        Ok(compute)
    }

    /// Opens one or several devices.
    ///
    /// # Errors
    ///
    /// If the threads cannot be started, or a device is missing.
    pub fn for_training(args: &ComputeArgs) -> Result<Self, CommandError> {
        let threads = start_threads(args.threads)?;
        let opened = device::open(&args.device)?;
        let gpus = Backend::ALL.into_iter().filter(|backend| *backend != Backend::Cpu && backend.is_compiled_in());
        let gpus: Vec<&str> = gpus.map(Backend::name).collect();
        // Without GPU backends there is nothing to select from.
        if args.device == Choice::Auto && !gpus.is_empty() {
            output::note(&match &opened.model {
                Some(model) => format!("selected {} ({model}), the first GPU that works", opened.name),
                None => format!("selected cpu: no working GPU was found by {}", gpus.join(" or ")),
            });
        }
        Ok(Self {
            device: opened.device,
            other_devices: opened.others,
            name: opened.name,
            threads,
            precision: Precision::F32,
        })
    }
}

/// Several devices for a verb that uses one.
#[derive(Debug, thiserror::Error)]
#[error("{0} names several devices, which only `visage train` can use together: name one of them")]
struct OneDevice(Choice);

/// Starts the global thread pool and returns its number of threads.
///
/// # Errors
///
/// If the threads cannot be started.
pub fn start_threads(threads: Option<NonZeroUsize>) -> Result<usize, CommandError> {
    let threads = threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let mut pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    // The calling thread joins the pool: handing every kernel to a pool of other threads costs a wake-up and a context switch
    // each, hundreds of times per step. A single thread stays outside, so that it is free to serve the pool's tasks.
    if threads > 1 {
        pool = pool.use_current_thread();
    }
    pool.build_global().map_err(CommandError::Threads)?;
    Ok(threads)
}
