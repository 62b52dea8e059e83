//! Runs an entry point on the seeds of its fuzz target, so that ordinary tests cover the inputs that once broke it.
use std::fs;
use std::path::Path;

pub fn seeds(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let seeds: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!seeds.is_empty(), "no seeds in {}", folder.display());
    for seed in seeds {
        // Shown if the entry point panics.
        println!("{}", seed.display());
        run(&fs::read(&seed).unwrap());
    }
}
