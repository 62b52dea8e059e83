//! A zip archive of the images and one CSV table.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{extension, writing};
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::label::Label;

pub(super) fn write(dataset: &Dataset, path: &Path, progress: &mut dyn FnMut(usize)) -> Result<(), DataError> {
    let failed = writing(path);
    let mut archive = ZipWriter::new(BufWriter::new(File::create(path).map_err(&failed)?));
    let zip_failed = |error: zip::result::ZipError| writing(path)(error.into());
    // Images are compressed already.
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut table = csv::Writer::from_writer(Vec::new());
    let has_splits = dataset.has_splits();
    let has_identities = dataset.samples().iter().any(|sample| sample.identity.is_some());
    let mut header = vec!["image"];
    header.extend(has_splits.then_some("split"));
    header.extend(has_identities.then_some("identity"));
    header.extend(dataset.categories().iter().chain(dataset.attributes()).map(String::as_str));
    let csv_failed = |error: csv::Error| writing(path)(error.into());
    table.write_record(&header).map_err(csv_failed)?;
    for (index, sample) in dataset.samples().iter().enumerate() {
        let encoded = dataset.encoded_image(index)?;
        let name = format!("images/{:06}.{}", index + 1, extension(&encoded));
        archive.start_file(name.as_str(), stored).map_err(zip_failed)?;
        archive.write_all(&encoded).map_err(&failed)?;
        let mut row = vec![name.as_str()];
        row.extend(has_splits.then_some(sample.split.map_or("", |split| split.name())));
        row.extend(has_identities.then_some(sample.identity.as_deref().unwrap_or_default()));
        row.extend(sample.categories.iter().map(|word| word.as_deref().unwrap_or_default()));
        row.extend(sample.labels.iter().map(|label| spelling(*label)));
        table.write_record(&row).map_err(csv_failed)?;
        progress(index + 1);
    }
    let table = table.into_inner().map_err(|error| failed(error.into_error()))?;
    archive.start_file("labels.csv", SimpleFileOptions::default()).map_err(zip_failed)?;
    archive.write_all(&table).map_err(&failed)?;
    let mut out = archive.finish().map_err(zip_failed)?;
    out.flush().map_err(&failed)?;
    out.get_ref().sync_all().map_err(failed)
}

fn spelling(label: Label) -> &'static str {
    match label {
        Label::Present => "1",
        Label::Absent => "0",
        Label::Unknown => "",
    }
}
