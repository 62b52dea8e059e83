//! Reads any bytes as a table, an archive or a Parquet file: a dataset, or an error. The first byte selects the format.
use visage_data::{Dataset, Preparation, Size};

#[path = "scratch.rs"]
mod scratch;

const NAMES: [&str; 6] = ["data.csv", "data.tsv", "data.jsonl", "data.parquet", "data.zip", "data.tar"];

pub fn run(bytes: &[u8]) {
    let Some((&format, content)) = bytes.split_first() else { return };
    scratch::with_file(NAMES[usize::from(format) % NAMES.len()], content, |path| {
        let Ok(dataset) = Dataset::open(path) else { return };
        let _ = (dataset.fingerprint(), dataset.missing_images(&[0]));
        for (index, sample) in dataset.samples().iter().enumerate().take(3) {
            assert_eq!(sample.labels.len(), dataset.attributes().len());
            let _ = dataset.pixels(index, &Preparation::exact(Size::square(8)));
        }
    });
}
