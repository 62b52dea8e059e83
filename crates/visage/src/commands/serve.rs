//! `visage serve`.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use visage_run::RunFolder;
use visage_serve::{Addresses, Batching, Limits, Options, Source, Token};

use super::model_file;
use crate::cli::ServeArgs;
use crate::compute::Compute;
use crate::error::CommandError;
use crate::interrupt::Listening;
use crate::output;

/// The variable that holds the token where no file is named.
const TOKEN_VARIABLE: &str = "VISAGE_TOKEN";

/// Answers about images over HTTP until it is asked to stop.
pub fn run(args: &ServeArgs) -> Result<(), CommandError> {
    let compute = Compute::for_asking(&args.ask)?;
    let mut sources = Vec::new();
    for model in &args.models {
        sources.extend(models(model)?);
    }
    let usual = Options::default();
    let options = Options {
        host: args.host.clone(),
        port: args.port,
        #[cfg(feature = "grpc")]
        grpc_port: args.grpc_port,
        precision: compute.precision,
        token: token(args)?,
        batching: Batching { images: args.batch, delay: Duration::from_millis(args.batch_delay), queue: args.queue },
        limits: Limits {
            body_bytes: args.max_body.get().saturating_mul(1 << 20),
            pixels: args.max_pixels.get().saturating_mul(1_000_000),
            images: args.max_images.get(),
            connections: args.max_connections.get(),
            read: Duration::from_secs(args.read_timeout.get() as u64),
            ..usual.limits
        },
        grace: Duration::from_secs(args.grace),
        ..usual
    };
    let names: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
    let listening = Listening::begin("finishing what was accepted");
    let mut ready = |heard: Addresses| {
        let grpc = heard.grpc.map(|address| format!("gRPC at {address}, ")).unwrap_or_default();
        // Whoever started the server may not care to read this.
        let _ = output::result(&format!("serving {}: {grpc}http://{}\n", names.join(", "), heard.http));
    };
    Ok(visage_serve::serve(sources, &options, &compute.device, listening.flag(), &mut ready)?)
}

/// The model that is named, or those in the folder that is.
fn models(named: &str) -> Result<Vec<Source>, CommandError> {
    let source = Source::parse(named);
    let mut inside = models_in(&source.path)?;
    let has_name = source.path != Path::new(named);
    match inside.len() {
        0 => Ok(vec![Source { path: model_file(&source.path)?, ..source }]),
        1 if has_name => Ok(vec![Source { path: inside.remove(0).path, ..source }]),
        count if has_name => Err(CommandError::OneNameForModels { name: source.name, folder: source.path, count }),
        _ => Ok(inside),
    }
}

/// The model files and runs in a folder that is no run itself, in the order of their names.
fn models_in(folder: &Path) -> Result<Vec<Source>, CommandError> {
    if !folder.is_dir() || RunFolder::model_file(folder).is_file() {
        return Ok(Vec::new());
    }
    let unreadable = |source| CommandError::Read { path: folder.to_owned(), source };
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(unreadable)?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
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

/// The token that requests must carry, if any.
fn token(args: &ServeArgs) -> Result<Option<Token>, CommandError> {
    let text = match &args.token_file {
        Some(path) => {
            let unreadable = |source| CommandError::Read { path: path.clone(), source };
            Some(fs::read_to_string(path).map_err(unreadable)?)
        }
        None => env::var(TOKEN_VARIABLE).ok(),
    };
    Ok(text.map(|text| Token::new(&text)).transpose()?)
}
