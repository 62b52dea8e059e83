//! Where to compute, and with how many threads.

use std::num::NonZeroUsize;

use burn::tensor::Device;
use visage_model::Precision;
use visage_model::device::{self, Backend, Choice};

use crate::cli::{AskArgs, ComputeArgs};
use crate::error::CommandError;
use crate::output;

/// A device, ready to use.
#[derive(Clone, Debug)]
pub struct Compute {
    /// The device.
    pub device: Device,
    /// Those that share batches with it when it trains.
    pub others: Vec<Device>,
    /// Its name, such as `cpu` or `cuda:0`.
    pub name: String,
    /// Threads that compute and decode.
    pub threads: usize,
    /// The type that models are asked in.
    pub precision: Precision,
}

impl Compute {
    /// Gets the device and its threads ready. Once a process.
    ///
    /// # Errors
    ///
    /// When the threads cannot be started, several devices are asked for, or the one is not there.
    pub fn new(args: &ComputeArgs) -> Result<Self, CommandError> {
        match &args.device {
            several @ Choice::Several(..) => Err(CommandError::usage(OneDevice(several.clone()))),
            _ => Self::for_training(args),
        }
    }

    /// The same for models that are asked in a type of one's choice.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), or if the device lacks the type.
    pub fn for_asking(args: &AskArgs) -> Result<Self, CommandError> {
        let compute = Self { precision: args.precision, ..Self::new(&args.compute)? };
        device::check_precision(&compute.device, &compute.name, compute.precision)?;
        Ok(compute)
    }

    /// The same of several devices too.
    ///
    /// # Errors
    ///
    /// When the threads cannot be started, or a device that was asked for is not there.
    pub fn for_training(args: &ComputeArgs) -> Result<Self, CommandError> {
        let threads = start_threads(args.threads)?;
        let opened = device::open(&args.device)?;
        let cards = Backend::ALL.into_iter().filter(|backend| *backend != Backend::Cpu && backend.is_compiled_in());
        let cards: Vec<&str> = cards.map(Backend::name).collect();
        // Where there is a choice, it is told.
        if args.device == Choice::Auto && !cards.is_empty() {
            output::note(&match &opened.model {
                Some(model) => format!("computing on {}, {model}: the first card that works", opened.name),
                None => {
                    format!("computing on the processor: {} found no graphics card that works", cards.join(" and "))
                }
            });
        }
        Ok(Self { device: opened.device, others: opened.others, name: opened.name, threads, precision: Precision::F32 })
    }
}

/// Several devices for what one does.
#[derive(Debug, thiserror::Error)]
#[error("{0} are several devices, which only `visage train` can use together: name one of them")]
struct OneDevice(Choice);

/// Starts the threads that everything parallel runs on, and says how many there are.
///
/// # Errors
///
/// When they cannot be started.
pub fn start_threads(threads: Option<NonZeroUsize>) -> Result<usize, CommandError> {
    let threads = threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let mut pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    // The thread that runs the command is one of them: handing every kernel to a pool of others, and waiting, costs a
    // wake-up and a switch each, hundreds of times a step. A thread alone must be free to serve others, should they ask.
    if threads > 1 {
        pool = pool.use_current_thread();
    }
    pool.build_global().map_err(CommandError::Threads)?;
    Ok(threads)
}
