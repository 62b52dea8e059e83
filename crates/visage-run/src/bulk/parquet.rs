//! Conversion of the rows from CSV to Parquet.

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use ::parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, FloatType, Int32Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::types::Type;
use visage_weights::atomic;

use super::rows::FACE;
use super::{BulkError, Rows};
use crate::spreadsheet::name;

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
        let names: Vec<ByteArray> = records.iter().map(|record| name(&record[0]).as_bytes().to_vec().into()).collect();
        column::<ByteArrayType, _>(&mut group, &names)?;
        for (cell, physical) in cells(rows).enumerate() {
            let cells = records.iter().map(|record| &record[cell + 1]);
            match physical {
                Physical::BOOLEAN => {
                    column::<BoolType, _>(&mut group, &cells.map(|cell| cell == "1").collect::<Vec<_>>())?;
                }
                Physical::INT32 => column::<Int32Type, _>(&mut group, &numbers(cells)?)?,
                _ => column::<FloatType, _>(&mut group, &numbers(cells)?)?,
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

/// The types of the columns after the image's name.
fn cells(rows: &Rows<'_>) -> impl Iterator<Item = Physical> {
    let face = |column: usize| if column == 0 { Physical::INT32 } else { Physical::FLOAT };
    let face = (0..if rows.has_faces { FACE.len() } else { 0 }).map(face);
    let cell = if rows.rules.is_some() { Physical::BOOLEAN } else { Physical::FLOAT };
    face.chain(rows.columns.iter().map(move |_| cell))
}

fn numbers<'a, T: FromStr<Err: Error + Send + Sync + 'static>>(
    cells: impl Iterator<Item = &'a str>,
) -> Result<Vec<T>, ParquetError> {
    cells.map(str::parse).collect::<Result<_, _>>().map_err(|error| ParquetError::External(Box::new(error)))
}

fn schema(rows: &Rows<'_>) -> Result<Type, ParquetError> {
    let column = |name: &str, physical, logical| {
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(logical)
            .build()
            .map(Arc::new)
    };
    let mut fields = vec![column("image", Physical::BYTE_ARRAY, Some(LogicalType::String))?];
    for (name, cell) in rows.csv_columns().skip(1).zip(cells(rows)) {
        fields.push(column(name, cell, None)?);
    }
    Type::group_type_builder("schema").with_fields(fields).build()
}
