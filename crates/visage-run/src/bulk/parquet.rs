//! Conversion of the rows from CSV to Parquet.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

use ::parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, FloatType};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::types::Type;
use visage_weights::atomic;

use super::{BulkError, Rows};

/// Rows in a row group, which is held in memory: about 8 MiB with CelebA's attributes.
const ROW_GROUP: usize = 50_000;

/// Converts the CSV file `from` to the Parquet file `to`: a column of image names, and a column per attribute, of probabilities or,
/// with rules, of booleans.
///
/// # Errors
///
/// If `from` cannot be read or `to` cannot be written; then nothing is written.
pub fn convert(from: &Path, rows: &Rows<'_>, to: &Path) -> Result<(), BulkError> {
    let unreadable = |source| BulkError::Read { path: from.to_owned(), source };
    let file = File::open(from).map_err(unreadable)?;
    let csv = csv::Reader::from_reader(BufReader::new(file));
    atomic::write(to, |file| copy(csv, rows, file).map_err(std::io::Error::other))
        .map_err(|source| BulkError::Write { path: to.to_owned(), source })
}

fn copy<R: Read, W: Write + Send>(mut csv: csv::Reader<R>, rows: &Rows<'_>, file: W) -> Result<(), ParquetError> {
    let external = |error: csv::Error| ParquetError::External(Box::new(error));
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema(rows)?), Arc::new(properties))?;
    let mut records = csv.records();
    loop {
        let records: Vec<csv::StringRecord> =
            records.by_ref().take(ROW_GROUP).collect::<Result<_, _>>().map_err(external)?;
        if records.is_empty() {
            break;
        }
        let mut group = writer.next_row_group()?;
        let names: Vec<ByteArray> = records.iter().map(|record| record[0].as_bytes().to_vec().into()).collect();
        column::<ByteArrayType, _>(&mut group, &names)?;
        for cell in 1..=rows.columns.len() {
            let cells = records.iter().map(|record| &record[cell]);
            if rows.rules.is_some() {
                column::<BoolType, _>(&mut group, &cells.map(|cell| cell == "1").collect::<Vec<_>>())?;
            } else {
                let values = cells.map(str::parse).collect::<Result<Vec<f32>, _>>();
                let values = values.map_err(|error| ParquetError::External(Box::new(error)))?;
                column::<FloatType, _>(&mut group, &values)?;
            }
        }
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

fn column<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
) -> Result<(), ParquetError> {
    if let Some(mut column) = group.next_column()? {
        column.typed::<T>().write_batch(values, None, None)?;
        column.close()?;
    }
    Ok(())
}

fn schema(rows: &Rows<'_>) -> Result<Type, ParquetError> {
    let column = |name: &str, physical, logical| {
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(logical)
            .build()
            .map(Arc::new)
    };
    let cell = if rows.rules.is_some() { Physical::BOOLEAN } else { Physical::FLOAT };
    let mut fields = vec![column("image", Physical::BYTE_ARRAY, Some(LogicalType::String))?];
    for name in rows.names() {
        fields.push(column(name, cell, None)?);
    }
    Type::group_type_builder("schema").with_fields(fields).build()
}
