//! WebDataset shards: tar archives in which the files of a sample share a name and differ in their extensions.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value};

use super::{by_split, extension, writing};
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::sample::Sample;

/// Samples in a shard: some tens of megabytes of CelebA.
const SHARD: usize = 10_000;

/// Shards are called `train-000000.tar` and so on; samples without a split go to `unassigned-000000.tar`.
pub(super) fn write(dataset: &Dataset, folder: &Path, progress: &mut dyn FnMut(usize)) -> Result<(), DataError> {
    fs::create_dir_all(folder).map_err(writing(folder))?;
    let mut done = 0;
    for (split, members) in by_split(dataset) {
        for (number, members) in members.chunks(SHARD).enumerate() {
            let path = folder.join(format!("{split}-{number:06}.tar"));
            let failed = writing(&path);
            let mut archive = tar::Builder::new(BufWriter::new(File::create(&path).map_err(&failed)?));
            for &index in members {
                let encoded = dataset.encoded_image(index)?;
                let labels = labels(dataset, &dataset.samples()[index]);
                // The sample is named by its number, because a dot or a slash in a name has a meaning here.
                for (extension, content) in [(extension(&encoded), &encoded[..]), ("json", labels.as_bytes())] {
                    let mut header = tar::Header::new_gnu();
                    header.set_size(content.len() as u64);
                    header.set_mode(0o644);
                    let name = format!("{:09}.{extension}", index + 1);
                    archive.append_data(&mut header, name, content).map_err(&failed)?;
                }
                done += 1;
                progress(done);
            }
            let mut out = archive.into_inner().map_err(&failed)?;
            out.flush().map_err(&failed)?;
            out.get_ref().sync_all().map_err(failed)?;
        }
    }
    Ok(())
}

/// The labels of a sample as JSON.
fn labels(dataset: &Dataset, sample: &Sample) -> String {
    let mut fields = Map::new();
    if let Some(identity) = &sample.identity {
        fields.insert("identity".to_owned(), Value::from(identity.as_str()));
    }
    for (name, value) in dataset.categories().iter().zip(&sample.categories) {
        fields.insert(name.clone(), Value::from(value.as_deref()));
    }
    for (name, label) in dataset.attributes().iter().zip(&sample.labels) {
        fields.insert(name.clone(), label.known().map_or(Value::Null, Value::from));
    }
    Value::Object(fields).to_string()
}
