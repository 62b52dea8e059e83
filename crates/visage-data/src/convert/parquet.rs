//! Parquet files as Hugging Face's `datasets` reads and writes them: a group of bytes and path for the image, and one column for
//! each label.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type};
use serde_json::{Map, json};

use super::{by_split, extension, writing};
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::sample::Sample;

/// Rows in a row group: some megabytes of CelebA.
const ROW_GROUP: usize = 1000;
/// Rows in a page. Reading one row decompresses all of them.
const PAGE: usize = 16;

/// Files are called `data/train-00000-of-00001.parquet` and so on, where `datasets` looks for splits. Images without a split
/// go to `data/unassigned-...`.
pub(super) fn write(dataset: &Dataset, folder: &Path, progress: &mut dyn FnMut(usize)) -> Result<(), DataError> {
    let data = folder.join("data");
    fs::create_dir_all(&data).map_err(writing(&data))?;
    let has_identities = dataset.samples().iter().any(|sample| sample.identity.is_some());
    let mut done = 0;
    for (split, members) in by_split(dataset) {
        let path = data.join(format!("{split}-00000-of-00001.parquet"));
        let failed = |error: ParquetError| writing(&path)(std::io::Error::other(error));
        let schema = schema(dataset, has_identities).map_err(failed)?;
        let file = File::create(&path).map_err(writing(&path))?;
        let mut writer =
            SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties(dataset, has_identities)))
                .map_err(failed)?;
        for members in members.chunks(ROW_GROUP) {
            let images = members
                .iter()
                .map(|&index| {
                    let encoded = dataset.encoded_image(index)?;
                    let name = format!("{:06}.{}", index + 1, extension(&encoded));
                    Ok((ByteArray::from(encoded), ByteArray::from(name.into_bytes())))
                })
                .collect::<Result<Vec<_>, DataError>>()?;
            let mut group = writer.next_row_group().map_err(failed)?;
            write_group(dataset, members, images, has_identities, &mut group).map_err(failed)?;
            group.close().map_err(failed)?;
            done += members.len();
            progress(done);
        }
        let file = writer.into_inner().map_err(failed)?;
        file.sync_all().map_err(writing(&path))?;
    }
    Ok(())
}

fn write_group(
    dataset: &Dataset,
    members: &[usize],
    images: Vec<(ByteArray, ByteArray)>,
    has_identities: bool,
    group: &mut SerializedRowGroupWriter<'_, File>,
) -> Result<(), ParquetError> {
    let (bytes, names): (Vec<_>, Vec<_>) = images.into_iter().unzip();
    for values in [bytes, names] {
        if let Some(mut column) = group.next_column()? {
            // Definition level 2: the group and its field are both present.
            column.typed::<ByteArrayType>().write_batch(&values, Some(&vec![2; members.len()]), None)?;
            column.close()?;
        }
    }
    let mut write_texts = |text: &dyn Fn(&Sample) -> Option<&str>| -> Result<(), ParquetError> {
        let Some(mut column) = group.next_column()? else { return Ok(()) };
        let texts = || members.iter().map(|&index| text(&dataset.samples()[index]));
        let levels: Vec<i16> = texts().map(|text| i16::from(text.is_some())).collect();
        let values: Vec<ByteArray> = texts().flatten().map(|text| ByteArray::from(text.as_bytes().to_vec())).collect();
        column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
        column.close()
    };
    if has_identities {
        write_texts(&|sample| sample.identity.as_deref())?;
    }
    for category in 0..dataset.categories().len() {
        write_texts(&|sample| sample.categories[category].as_deref())?;
    }
    for attribute in 0..dataset.attributes().len() {
        if let Some(mut column) = group.next_column()? {
            let label = |&index: &usize| dataset.samples()[index].labels[attribute].known();
            let levels: Vec<i16> = members.iter().map(|index| i16::from(label(index).is_some())).collect();
            let values: Vec<bool> = members.iter().filter_map(label).collect();
            column.typed::<BoolType>().write_batch(&values, Some(&levels), None)?;
            column.close()?;
        }
    }
    Ok(())
}

fn schema(dataset: &Dataset, has_identities: bool) -> Result<Type, ParquetError> {
    let column = |name: &str, physical, logical| {
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()
            .map(Arc::new)
    };
    let image = vec![
        column("bytes", Physical::BYTE_ARRAY, None)?,
        column("path", Physical::BYTE_ARRAY, Some(LogicalType::String))?,
    ];
    let image = Type::group_type_builder("image").with_repetition(Repetition::OPTIONAL).with_fields(image).build()?;
    let mut fields = vec![Arc::new(image)];
    if has_identities {
        fields.push(column("identity", Physical::BYTE_ARRAY, Some(LogicalType::String))?);
    }
    for name in dataset.categories() {
        fields.push(column(name, Physical::BYTE_ARRAY, Some(LogicalType::String))?);
    }
    for name in dataset.attributes() {
        fields.push(column(name, Physical::BOOLEAN, None)?);
    }
    Type::group_type_builder("schema").with_fields(fields).build()
}

fn properties(dataset: &Dataset, has_identities: bool) -> WriterProperties {
    let mut features = Map::new();
    features.insert("image".to_owned(), json!({"_type": "Image"}));
    if has_identities {
        features.insert("identity".to_owned(), json!({"dtype": "string", "_type": "Value"}));
    }
    for name in dataset.categories() {
        features.insert(name.clone(), json!({"dtype": "string", "_type": "Value"}));
    }
    for name in dataset.attributes() {
        features.insert(name.clone(), json!({"dtype": "bool", "_type": "Value"}));
    }
    let info = json!({"info": {"features": features}}).to_string();
    let bytes = ColumnPath::new(vec!["image".to_owned(), "bytes".to_owned()]);
    WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        // Images are compressed already, and neither a dictionary nor statistics of them help.
        .set_column_compression(bytes.clone(), Compression::UNCOMPRESSED)
        .set_column_dictionary_enabled(bytes.clone(), false)
        .set_column_statistics_enabled(bytes, EnabledStatistics::None)
        .set_data_page_row_count_limit(PAGE)
        .set_write_batch_size(PAGE)
        .set_key_value_metadata(Some(vec![KeyValue::new("huggingface".to_owned(), info)]))
        .build()
}
