//! Rows of a CSV file as a Parquet file.

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

use super::rows::Rows;
use crate::error::CommandError;

/// Rows that are written together, and held in memory: some 8 MiB of CelebA's attributes.
const ROW_GROUP: usize = 50_000;

/// Writes the rows of the CSV file at `from` to `to`: the image's name, and a column an attribute, of probabilities, or of yes and
/// no where rules decide.
///
/// # Errors
///
/// When one cannot be read or the other written; then nothing is.
pub fn write(from: &Path, rows: &Rows<'_>, to: &Path) -> Result<(), CommandError> {
    let unreadable = |source| CommandError::Read { path: from.to_owned(), source };
    let file = File::open(from).map_err(unreadable)?;
    let csv = csv::Reader::from_reader(BufReader::new(file));
    atomic::write(to, |file| copy(csv, rows, file).map_err(std::io::Error::other))
        .map_err(|source| CommandError::Write { path: to.to_owned(), source })
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
    let answer = if rows.rules.is_some() { Physical::BOOLEAN } else { Physical::FLOAT };
    let mut fields = vec![column("image", Physical::BYTE_ARRAY, Some(LogicalType::String))?];
    for name in rows.names() {
        fields.push(column(name, answer, None)?);
    }
    Type::group_type_builder("schema").with_fields(fields).build()
}
