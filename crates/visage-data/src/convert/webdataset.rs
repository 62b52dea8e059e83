//! WebDataset shards: tar archives in which the files of a sample share a name and differ in its ending.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value};

use super::{extension, writing};
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::sample::Sample;
use crate::split::Split;

/// Samples in a shard: some tens of megabytes of CelebA, so that a shard is read in one go.
const SHARD: usize = 10_000;

/// Shards are called `train-000000.tar` and so on; samples without a split go to `unassigned-000000.tar`.
pub(super) fn write(dataset: &Dataset, folder: &Path, progress: &mut dyn FnMut(usize)) -> Result<(), DataError> {
    fs::create_dir_all(folder).map_err(writing(folder))?;
    let mut done = 0;
    for split in Split::ALL.map(Some).into_iter().chain([None]) {
        let members: Vec<usize> =
            (0..dataset.samples().len()).filter(|&index| dataset.samples()[index].split == split).collect();
        for (number, members) in members.chunks(SHARD).enumerate() {
            let path = folder.join(format!("{}-{number:06}.tar", split.map_or("unassigned", Split::name)));
            let failed = writing(&path);
            let mut archive = tar::Builder::new(BufWriter::new(File::create(&path).map_err(&failed)?));
            for &index in members {
                let encoded = dataset.encoded_image(index)?;
                let about = about(dataset, &dataset.samples()[index]);
                // A name that is a number: a point or a slash in a name would mean something else here.
                for (extension, content) in [(extension(&encoded), &encoded[..]), ("json", about.as_bytes())] {
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

/// What is known of a sample, as JSON.
fn about(dataset: &Dataset, sample: &Sample) -> String {
    let mut fields = Map::new();
    if let Some(identity) = &sample.identity {
        fields.insert("identity".to_owned(), Value::from(identity.as_str()));
    }
    for (name, word) in dataset.categories().iter().zip(&sample.categories) {
        fields.insert(name.clone(), Value::from(word.as_deref()));
    }
    for (name, label) in dataset.attributes().iter().zip(&sample.labels) {
        fields.insert(name.clone(), label.known().map_or(Value::Null, Value::from));
    }
    Value::Object(fields).to_string()
}
