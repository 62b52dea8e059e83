//! Any bytes as a table, an archive or a Parquet file: a dataset, or an error. The first byte says which.
#![no_main]

mod scratch;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use visage_data::{Dataset, Preparation, Size};

const NAMES: [&str; 6] = ["data.csv", "data.tsv", "data.jsonl", "data.parquet", "data.zip", "data.tar"];

/// Libraries that panic on what is damaged are caught: only what gets out is a fault. The fuzzer's own hook would end it before.
static CAUGHT: LazyLock<()> = LazyLock::new(|| std::panic::set_hook(Box::new(|_| ())));

fuzz_target!(|bytes: &[u8]| {
    LazyLock::force(&CAUGHT);
    let Some((&first, content)) = bytes.split_first() else { return };
    let path = scratch::file(NAMES[usize::from(first) % NAMES.len()], content);
    let opened = Dataset::open(&path);
    if let Ok(dataset) = &opened {
        let _ = (dataset.fingerprint(), dataset.missing_images(&[0]));
        for index in 0..dataset.samples().len().min(3) {
            assert_eq!(dataset.samples()[index].labels.len(), dataset.attributes().len());
            let _ = dataset.pixels(index, &Preparation::exact(Size::square(8)));
        }
    }
    // Not beside the next one.
    let _ = std::fs::remove_file(path);
});
