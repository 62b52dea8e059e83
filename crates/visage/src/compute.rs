//! Where to compute, and with how many threads.

use std::num::NonZeroUsize;

use burn::tensor::Device;

use crate::cli::{ComputeArgs, DeviceName};
use crate::error::CommandError;

/// A device, ready to use.
#[derive(Clone, Debug)]
pub struct Compute {
    /// The device.
    pub device: Device,
    /// Its name.
    pub name: &'static str,
    /// Threads that compute, and as many that decode.
    pub threads: usize,
}

impl Compute {
    /// Gets the device and its threads ready. Once a process.
    ///
    /// # Errors
    ///
    /// When the threads cannot be started.
    pub fn new(args: &ComputeArgs) -> Result<Self, CommandError> {
        let threads = start_threads(args.threads)?;
        let (device, name) = match args.device {
            DeviceName::Cpu => (Device::flex(), "cpu"),
        };
        Ok(Self { device, name, threads })
    }
}

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
