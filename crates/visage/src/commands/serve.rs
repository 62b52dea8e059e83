//! `visage serve`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::{env, fs, process, thread};

use clap::Args;
use visage_data::Truncated;
use visage_faces::{FaceFinder, Store};
use visage_run::RunFolder;
use visage_serve::{Addresses, AllowedOrigin, Batching, FaceOptions, Limits, Options, ServeError, Source, Token};

use super::model_file;
use crate::compute::{Compute, InferenceArgs, TestTimeArgs};
use crate::error::CommandError;
use crate::logging::{self, LogFormat};
use crate::{interrupt, output};

/// The environment variable with the token, if no file is named.
const TOKEN_VARIABLE: &str = "VISAGE_TOKEN";

/// Interval at which it is checked whether the server was told to stop.
const STOP_CHECK: Duration = Duration::from_millis(250);

/// Time that the server has to end, in addition to that for accepted requests.
const AFTER_GRACE: Duration = Duration::from_secs(5);

/// Options of `visage serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Model files, run folders, or folders of either. A model is named after its file or run, or by NAME=PATH. The first is the
    /// default of requests that name none. A file that changes is reloaded.
    #[arg(required = true, value_name = "[NAME=]MODEL")]
    pub models: Vec<String>,
    /// The address to listen on: 0.0.0.0 for all interfaces.
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,
    /// The port to listen on; 0 selects a free one.
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Also serve gRPC on this port; 0 selects a free one. Needs a build with the feature grpc.
    #[arg(long, value_name = "PORT")]
    pub grpc_port: Option<u16>,
    /// A file with the token that requests must carry as `Authorization: Bearer TOKEN` [default: the value of VISAGE_TOKEN, or none].
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// An origin whose pages may use the server from a browser, such as <https://example.com>, or `*` for any; may be repeated. Without
    /// it, only the server's own page and requests with the token may.
    #[arg(long, value_name = "ORIGIN")]
    pub allow_origin: Vec<AllowedOrigin>,
    /// Most images in a batch of the network.
    #[arg(long, value_name = "N", default_value = "16")]
    pub batch: NonZeroUsize,
    /// How long an image waits for others that are being received, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 2)]
    pub batch_delay: u64,
    /// Most images that are accepted and not yet answered; further requests are refused with status 429.
    #[arg(long, value_name = "N", default_value = "256")]
    pub queue: NonZeroUsize,
    /// Most images in a request.
    #[arg(long, value_name = "N", default_value = "64")]
    pub max_images: NonZeroUsize,
    /// Most bytes in a request, in MiB.
    #[arg(long, value_name = "MIB", default_value = "32")]
    pub max_body: NonZeroUsize,
    /// Most pixels in all images of a request, in millions, by their headers.
    #[arg(long, value_name = "MILLIONS", default_value = "50")]
    pub max_pixels: NonZeroUsize,
    /// Find the faces in photographs where a request asks for it, align each and classify it. Needs `visage faces install`.
    #[arg(long)]
    pub faces: bool,
    /// Most faces of a photograph that are answered: the largest ones.
    #[arg(long, value_name = "N", default_value = "64", requires = "faces")]
    pub max_faces: NonZeroUsize,
    /// How long finding the faces in a request's photographs may take, in seconds; then the request is refused with status 503.
    #[arg(long, value_name = "S", default_value = "30", requires = "faces")]
    pub face_timeout: NonZeroUsize,
    /// Also answer images whose files are cut short, from the part that is there, with a line in the log for each; otherwise such a
    /// request is refused with status 422.
    #[arg(long)]
    pub allow_truncated: bool,
    /// Most connections. When all places are taken, a new connection takes the place of the one that has been idle or slow for the
    /// longest time. If all are busy, connections are closed after their next response.
    #[arg(long, value_name = "N", default_value = "1024")]
    pub max_connections: NonZeroUsize,
    /// Connections of one address that are not the first to be closed when all places are taken: addresses with more of them lose
    /// theirs first. It has no effect while there are free places.
    #[arg(long, value_name = "N", default_value = "64")]
    pub connections_per_client: NonZeroUsize,
    /// How long the head and then the body of a request may take to arrive, in seconds. Idle connections are closed after this time.
    #[arg(long, value_name = "S", default_value = "15")]
    pub read_timeout: NonZeroUsize,
    /// How long a batch of the network or the decoding of an image may take, in seconds. Beyond it, or if the network or the decoding
    /// threads give no sign of life for that time, the server reports that it is neither live nor ready, so that it is restarted.
    #[arg(long, value_name = "S", default_value = "120")]
    pub stall_timeout: NonZeroUsize,
    /// The format of the log on standard error: one line per request, without image content.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text)]
    pub log: LogFormat,
    /// How long accepted requests may take to finish at shutdown, in seconds.
    #[arg(long, value_name = "S", default_value_t = 30)]
    pub grace: u64,
    #[command(flatten)]
    pub test_time: TestTimeArgs,
    #[command(flatten)]
    pub inference: InferenceArgs,
}

/// Serves models over HTTP until interrupted.
pub fn run(args: &ServeArgs) -> Result<(), CommandError> {
    if cfg!(not(feature = "grpc")) && args.grpc_port.is_some() {
        return Err(CommandError::usage("this visage was built without gRPC: build it with --features grpc"));
    }
    let compute = Compute::for_inference(&args.inference)?;
    // After the threads are started, which the networks for faces use.
    let faces = faces(args)?;
    let mut sources = Vec::new();
    for model in &args.models {
        sources.extend(models(model)?);
    }
    let options = Options { faces, ..options(args, &compute)? };
    let names: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
    let mut ready = |addresses: Addresses| {
        let grpc = addresses.grpc.map(|address| format!("gRPC at {address}, ")).unwrap_or_default();
        // The server works whether or not anybody reads this.
        let _ = output::result(&format!("serving {}: {grpc}http://{}\n", names.join(", "), addresses.http));
    };
    end_after(options.grace)?;
    visage_serve::serve(sources.clone(), &options, &compute.device, interrupt::flag(), &mut ready)
        .map_err(|error| unserved(error, &sources))
}

/// Ends the program if it is told to stop and a network that does not finish, or a model that is being read, keeps it from doing so.
fn end_after(grace: Duration) -> Result<(), CommandError> {
    let watch = move || {
        while !interrupt::flag().load(Ordering::Relaxed) {
            thread::sleep(STOP_CHECK);
        }
        thread::sleep(grace.saturating_add(AFTER_GRACE));
        output::problem("the server did not finish in time, and ends as it is");
        logging::flush();
        process::exit(1);
    };
    let started = thread::Builder::new().name("visage-stop".to_owned()).spawn(watch);
    started.map(drop).map_err(|error| ServeError::Start(error).into())
}

/// Why nothing was served. For a damaged checkpoint of a run that is the error with the other checkpoint.
fn unserved(error: ServeError, sources: &[Source]) -> CommandError {
    let ServeError::Model { name, source } = error else { return error.into() };
    let damaged = sources.iter().find(|source| source.name == name).map(|served| served.path.as_path());
    match CommandError::model(damaged.unwrap_or(Path::new("")), *source) {
        CommandError::Model(source) => ServeError::Model { name, source: Box::new(source) }.into(),
        damaged => damaged,
    }
}

fn options(args: &ServeArgs, compute: &Compute) -> Result<Options, CommandError> {
    let default = Options::default();
    Ok(Options {
        host: args.host.clone(),
        port: args.port,
        #[cfg(feature = "grpc")]
        grpc_port: args.grpc_port,
        precision: compute.precision,
        test_time: args.test_time.tta,
        token: token(args)?,
        allowed_origins: args.allow_origin.clone(),
        batching: Batching { images: args.batch, delay: Duration::from_millis(args.batch_delay), queue: args.queue },
        limits: Limits {
            body_bytes: args.max_body.get().saturating_mul(1 << 20),
            pixels: args.max_pixels.get().saturating_mul(1_000_000),
            images: args.max_images.get(),
            connections: args.max_connections.get(),
            connections_per_client: args.connections_per_client.get(),
            read: Duration::from_secs(args.read_timeout.get() as u64),
            ..default.limits
        },
        truncated: Truncated::allowed(args.allow_truncated),
        stall: Duration::from_secs(args.stall_timeout.get() as u64),
        grace: Duration::from_secs(args.grace),
        log_lines_dropped: logging::dropped(),
        ..default
    })
}

/// The model that `[NAME=]PATH` names, or those in the folder it names.
fn models(argument: &str) -> Result<Vec<Source>, CommandError> {
    let source = Source::parse(argument);
    let mut inside = models_in(&source.path)?;
    let has_name = source.path != Path::new(argument);
    match inside.len() {
        0 => Ok(vec![Source { path: model_file(&source.path)?, ..source }]),
        1 if has_name => Ok(vec![Source { path: inside.remove(0).path, ..source }]),
        count if has_name => Err(CommandError::OneNameForModels { name: source.name, folder: source.path, count }),
        _ => Ok(inside),
    }
}

/// The model files and runs in a folder that is not itself a run, sorted by name.
fn models_in(folder: &Path) -> Result<Vec<Source>, CommandError> {
    if !folder.is_dir() || RunFolder::model_file(folder).is_file() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut paths: Vec<PathBuf> =
        entries.map_err(CommandError::read(folder))?.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    let source = |path: PathBuf| {
        let file = match path.extension() {
            _ if path.is_dir() => RunFolder::model_file(&path),
            Some(extension) if extension == "safetensors" => path.clone(),
            _ => return None,
        };
        file.is_file().then(|| Source { path: file, ..Source::of(path) })
    };
    Ok(paths.into_iter().filter_map(source).collect())
}

/// How faces are found, if they are.
fn faces(args: &ServeArgs) -> Result<Option<FaceOptions>, CommandError> {
    if !args.faces {
        return Ok(None);
    }
    let finder = Arc::new(FaceFinder::new(&Store::of_user()?)?);
    let timeout = Duration::from_secs(args.face_timeout.get() as u64);
    Ok(Some(FaceOptions { finder, max_faces: args.max_faces, timeout }))
}

/// The token that requests must carry, if any.
fn token(args: &ServeArgs) -> Result<Option<Token>, CommandError> {
    let text = match &args.token_file {
        Some(path) => Some(fs::read_to_string(path).map_err(CommandError::read(path))?),
        None => env::var(TOKEN_VARIABLE).ok(),
    };
    Ok(text.map(|text| Token::new(&text)).transpose()?)
}
