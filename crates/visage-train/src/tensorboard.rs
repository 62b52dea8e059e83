//! TensorBoard event files.
//!
//! An event file is a sequence of TFRecords: a length, its checksum, the bytes of a protocol buffer, and their checksum. The
//! buffers are TensorFlow's `Event`s, of which the few fields that scalars need are encoded here.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// An event file open for appending.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Creates a file in `folder`, which is created too if necessary, for the steps after `step`. TensorBoard discards later
    /// steps of earlier files in the folder. `seconds` is the Unix time.
    ///
    /// # Errors
    ///
    /// When the file system refuses.
    pub fn create(folder: &Path, seconds: f64, step: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("events.out.tfevents.{:010}.visage.{step}", seconds as u64));
        let mut file = Self { file: File::create(&path)?, path };
        file.append(&version_event(seconds))?;
        if step > 0 {
            file.append(&restart_event(seconds, step))?;
        }
        Ok(file)
    }

    /// Appends values of one step, each with its tag. They are in the file when this returns.
    ///
    /// # Errors
    ///
    /// When the file system refuses.
    pub fn scalars(&mut self, seconds: f64, step: u64, values: &[(&str, f64)]) -> io::Result<()> {
        self.append(&scalars_event(seconds, step, values))
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn append(&mut self, event: &[u8]) -> io::Result<()> {
        self.file.write_all(&record(event))
    }
}

enum Field<'a> {
    Integer(u64),
    Double(f64),
    Float(f32),
    Bytes(&'a [u8]),
}

impl Field<'_> {
    fn append(&self, number: u64, message: &mut Vec<u8>) {
        let wire_type = match self {
            Field::Integer(_) => 0,
            Field::Double(_) => 1,
            Field::Bytes(_) => 2,
            Field::Float(_) => 5,
        };
        varint(number << 3 | wire_type, message);
        match self {
            Field::Integer(value) => varint(*value, message),
            Field::Double(value) => message.extend(value.to_le_bytes()),
            Field::Float(value) => message.extend(value.to_le_bytes()),
            Field::Bytes(bytes) => {
                varint(bytes.len() as u64, message);
                message.extend_from_slice(bytes);
            }
        }
    }
}

fn varint(mut value: u64, message: &mut Vec<u8>) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

fn message(fields: &[(u64, Field<'_>)]) -> Vec<u8> {
    let mut message = Vec::new();
    fields.iter().for_each(|(number, field)| field.append(*number, &mut message));
    message
}

/// `Event { wall_time: 1, file_version: 3 }`
fn version_event(seconds: f64) -> Vec<u8> {
    message(&[(1, Field::Double(seconds)), (3, Field::Bytes(b"brain.Event:2"))])
}

/// `Event { wall_time: 1, step: 2, session_log: 7 { status: 1 = START } }`
fn restart_event(seconds: f64, step: u64) -> Vec<u8> {
    let start = message(&[(1, Field::Integer(1))]);
    message(&[(1, Field::Double(seconds)), (2, Field::Integer(step)), (7, Field::Bytes(&start))])
}

/// `Event { wall_time: 1, step: 2, summary: 5 { value: 1 { tag: 1, simple_value: 2 } } }`
fn scalars_event(seconds: f64, step: u64, values: &[(&str, f64)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, value) in values {
        let value = message(&[(1, Field::Bytes(tag.as_bytes())), (2, Field::Float(*value as f32))]);
        Field::Bytes(&value).append(1, &mut summary);
    }
    message(&[(1, Field::Double(seconds)), (2, Field::Integer(step)), (5, Field::Bytes(&summary))])
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked_checksum(&length).to_le_bytes(), data, &masked_checksum(data).to_le_bytes()].concat()
}

/// The CRC-32C of `data`, masked as in TFRecords.
fn masked_checksum(data: &[u8]) -> u32 {
    checksum(data).rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// CRC-32C (Castagnoli), a bit at a time: an event is a hundred bytes.
fn checksum(data: &[u8]) -> u32 {
    const REVERSED_POLYNOMIAL: u32 = 0x82F6_3B78;
    !data.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (REVERSED_POLYNOMIAL & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        // The check value of the catalogue of CRCs, and RFC 3720's of 32 zeros.
        assert_eq!(checksum(b"123456789"), 0xE306_9283);
        assert_eq!(checksum(&[0; 32]), 0x8A91_36AA);
    }

    #[test]
    fn events_are_tensorboards_byte_for_byte() {
        const GOLDEN: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/events.tfevents"));
        let folder = tempfile::tempdir().unwrap();
        let mut file = EventFile::create(folder.path(), 1_767_225_600.25, 300).unwrap();
        file.scalars(1_767_225_601.5, 301, &[("train/loss", 0.75), ("train/learning_rate", 3e-4)]).unwrap();
        file.scalars(1_767_225_602.0, 70_000, &[("validation/f1", f64::NAN)]).unwrap();
        assert_eq!(fs::read(file.path()).unwrap(), GOLDEN);
    }
}
