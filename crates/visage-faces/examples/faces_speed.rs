//! Photographs per second in which faces are found.
//!
//! ```text
//! cargo run --release -p visage-faces --example faces_speed -- PHOTOGRAPHS [--faces | --faces-whole]
//! ```
//!
//! PHOTOGRAPHS is a folder. Without an option the speeds are measured, by one thread and by all of rayon's: of decoding alone, and of
//! decoding and searching, in the whole picture only and at finer scales as well. `--faces` prints the faces of each photograph found
//! at finer scales as well, `--faces-whole` those found in the whole picture, each photograph as a line of JSON.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use image::RgbImage;
use rayon::prelude::*;
use serde_json::json;
use visage_data::{Truncated, decode};
use visage_faces::{Face, FaceFinder, Search, Store};
use visage_kernels::alignment::LineAligned;

#[global_allocator]
static ALLOCATOR: LineAligned = LineAligned;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let finder = FaceFinder::new(&Store::of_user()?)?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [folder] => measure(&finder, &photographs(folder)?),
        [folder, option @ ("--faces" | "--faces-whole")] => print(&finder, &photographs(folder)?, option == "--faces"),
        _ => Err("name PHOTOGRAPHS, and --faces or --faces-whole".into()),
    }
}

/// The files of a folder in the order of their names.
fn photographs(folder: &str) -> Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn search(finer_scales: bool) -> Search {
    Search { finer_scales, ..Search::default() }
}

fn read(path: &PathBuf) -> Result<RgbImage> {
    Ok(decode(&fs::read(path)?, Truncated::Refuse)?.image)
}

fn measure(finder: &FaceFinder, paths: &[PathBuf]) -> Result<()> {
    type Step<'a> = &'a (dyn Fn(&RgbImage) -> Result<Vec<Face>> + Sync);
    let steps: [(&str, Step<'_>); 3] = [
        ("decoding", &|_| Ok(Vec::new())),
        ("whole", &|image| Ok(finder.find(image, search(false))?)),
        ("finer scales", &|image| Ok(finder.find(image, search(true))?)),
    ];
    for (name, step) in steps {
        for threads in [1, rayon::current_num_threads()] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
            let run = || paths.par_iter().map(|path| Ok(step(&read(path)?)?.len())).collect::<Result<Vec<_>>>();
            let start = Instant::now();
            let faces: usize = pool.install(run)?.iter().sum();
            let speed = paths.len() as f64 / start.elapsed().as_secs_f64();
            println!("{name}, {threads} threads: {speed:.1} photographs per second, {faces} faces");
        }
    }
    Ok(())
}

fn print(finder: &FaceFinder, paths: &[PathBuf], finer_scales: bool) -> Result<()> {
    let line = |path: &PathBuf| {
        let faces = finder.find(&read(path)?, search(finer_scales))?;
        Ok(json!({ "photograph": path, "faces": faces }).to_string())
    };
    let lines = paths.par_iter().map(line).collect::<Result<Vec<_>>>()?;
    lines.iter().for_each(|line| println!("{line}"));
    Ok(())
}
