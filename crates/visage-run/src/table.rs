//! `steps.csv` and `epochs.csv`: rows in order, each written by a single call.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, ErrorKind, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use crc32fast::Hasher;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::RunError;

/// One optimiser step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRow {
    /// Steps done, this one included: the first is 1.
    pub step: u64,
    /// The epoch it belongs to, from 1.
    pub epoch: u64,
    /// Training loss of the batch.
    pub loss: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// L2 norm of the gradient of all weights.
    pub gradient_norm: f64,
    /// Training images per second since the previous step.
    pub images_per_second: f64,
    /// Fraction of that time spent waiting for the next batch, from 0 to 1. A GPU works asynchronously, so this is an upper
    /// bound of its idle time for lack of data. Tables of older runs do not have this column.
    #[serde(default)]
    pub waiting: f64,
}

/// One epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRow {
    /// The epoch, from 1.
    pub epoch: u64,
    /// Steps done at its end.
    pub step: u64,
    /// Mean training loss over its steps, with augmentation and dropout, each with the weights before the step.
    pub train_loss: f64,
    /// Mean loss on the validation split at its end.
    pub validation_loss: f64,
    /// Validation accuracy: the mean over the attributes for which it is defined, as the metrics below.
    pub accuracy: Option<f64>,
    /// Validation balanced accuracy.
    pub balanced_accuracy: Option<f64>,
    /// Validation precision.
    pub precision: Option<f64>,
    /// Validation recall.
    pub recall: Option<f64>,
    /// Validation F1.
    pub f1: Option<f64>,
    /// Validation average precision.
    pub average_precision: Option<f64>,
    /// Learning rate of its last step.
    pub learning_rate: f64,
    /// Duration of training and validation, in seconds.
    pub seconds: f64,
    /// Training images per second, without validation.
    pub images_per_second: f64,
    /// Whether it was the best so far.
    pub best: bool,
}

/// A row of a table, identified by a number that increases from row to row.
pub trait Row: Serialize + DeserializeOwned {
    /// The first line of the table.
    const HEADER: &str;

    /// The row's number: the value of its first column.
    fn number(&self) -> u64;
}

impl Row for StepRow {
    const HEADER: &str = "step,epoch,loss,learning_rate,gradient_norm,images_per_second,waiting";

    fn number(&self) -> u64 {
        self.step
    }
}

impl Row for EpochRow {
    const HEADER: &str = "epoch,step,train_loss,validation_loss,accuracy,balanced_accuracy,precision,recall,f1,\
                          average_precision,learning_rate,seconds,images_per_second,best";

    fn number(&self) -> u64 {
        self.epoch
    }
}

/// `steps.csv`, open for appending.
pub type StepTable = Table<StepRow>;
/// `epochs.csv`, open for appending.
pub type EpochTable = Table<EpochRow>;

/// What a table held at some time: the length and the checksum (CRC-32) of its header and its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableMark {
    /// The number of bytes.
    pub bytes: u64,
    /// Their checksum.
    pub checksum: u32,
}

/// A table open for appending. It is locked while open, so that no second process writes into the same run.
#[derive(Debug)]
pub struct Table<R> {
    path: PathBuf,
    file: File,
    /// The length of the header and the rows, and their checksum.
    bytes: u64,
    hasher: Hasher,
    is_new: bool,
    row: PhantomData<R>,
}

impl<R: Row> Table<R> {
    /// Opens the table, or creates it, for the rows after number `done`. Later rows are removed, and so is an incomplete one
    /// that a killed process left. A table that lacks rows up to `done` was cut, and one that does not begin with what it held at
    /// the mark `before` was changed. One that was removed begins here.
    pub(super) fn open(path: &Path, done: u64, before: Option<TableMark>) -> Result<Self, RunError> {
        Self::open_up_to(path, Some(done), before)
    }

    /// Whether there was no file before.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// What the table holds.
    #[must_use]
    pub fn mark(&self) -> TableMark {
        TableMark { bytes: self.bytes, checksum: self.hasher.clone().finalize() }
    }

    /// Opens the table, or creates it, for the rows after those it has. An incomplete row that a killed process left is removed.
    pub(super) fn open_whole(path: &Path) -> Result<Self, RunError> {
        Self::open_up_to(path, None, None)
    }

    fn open_up_to(path: &Path, done: Option<u64>, before: Option<TableMark>) -> Result<Self, RunError> {
        let is_new = !path.try_exists().map_err(RunError::io("open", path))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(RunError::io("open", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(RunError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(RunError::io("lock", path)(error)),
        }
        let Kept { bytes: kept, hasher, has_mark } = Kept::read::<R>(&file, path, done, before)?;
        if !is_new && !has_mark {
            let message = "its rows are not as they were when the checkpoint was written".to_owned();
            return Err(RunError::Table { path: path.to_owned(), line: 1, message });
        }
        let rewind = |file: &mut File| {
            file.set_len(kept)?;
            file.seek(SeekFrom::Start(kept))
        };
        rewind(&mut file).map_err(RunError::io("shorten", path))?;
        let mut table = Self { path: path.to_owned(), file, bytes: kept, hasher, is_new, row: PhantomData };
        if kept == 0 {
            table.write(format!("{}\n", R::HEADER).as_bytes())?;
        }
        Ok(table)
    }

    /// Appends a row. It is in the file when this returns, even if the process is killed afterwards.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn append(&mut self, row: &R) -> Result<(), RunError> {
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        let line = writer
            .serialize(row)
            .map_err(std::io::Error::other)
            .and_then(|()| writer.into_inner().map_err(|error| std::io::Error::other(error.to_string())))
            .map_err(RunError::io("write", &self.path))?;
        self.write(&line)
    }

    /// Waits until all rows are on the disk, so that no checkpoint survives a power failure without the rows before it.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    pub fn sync(&self) -> Result<(), RunError> {
        self.file.sync_data().map_err(RunError::io("write", &self.path))
    }

    /// One call for a whole line, so that a killed process leaves at most the last line incomplete.
    fn write(&mut self, line: &[u8]) -> Result<(), RunError> {
        self.file.write_all(line).map_err(RunError::io("write", &self.path))?;
        self.bytes += line.len() as u64;
        self.hasher.update(line);
        Ok(())
    }
}

/// The header and the rows up to a number, or all rows.
struct Kept {
    /// Their length.
    bytes: u64,
    hasher: Hasher,
    /// Whether they begin with what the table held at a mark, if there is one.
    has_mark: bool,
}

impl Kept {
    /// Reads the rows up to number `done`, or all.
    ///
    /// # Errors
    ///
    /// Also when a row is missing.
    fn read<R: Row>(file: &File, path: &Path, done: Option<u64>, mark: Option<TableMark>) -> Result<Self, RunError> {
        let mut hasher = Hasher::new();
        let mut reader = BufReader::new(file);
        let mut kept = 0;
        let mut has_mark = mark.is_none();
        let mut line = String::new();
        let mut last: Option<u64> = None;
        let mut number = 0;
        loop {
            number += 1;
            line.clear();
            let length = match reader.read_line(&mut line) {
                Err(error) if error.kind() == ErrorKind::InvalidData => return Err(not_text(path, number)),
                length => length.map_err(RunError::io("read", path))?,
            };
            // The end, or an incomplete line.
            let Some(text) = line.strip_suffix('\n') else { break };
            if number == 1 {
                if text != R::HEADER {
                    let message = format!("the columns are {text:?}, not {:?}", R::HEADER);
                    return Err(RunError::Table { path: path.to_owned(), line: number, message });
                }
            } else {
                let first = text.split(',').next().unwrap_or_default();
                let wrong = |message| RunError::Table { path: path.to_owned(), line: number, message };
                let row: u64 = first.parse().map_err(|_| wrong(format!("{first:?} is not the number of a row")))?;
                if let Some(last) = last.filter(|last| row != last + 1) {
                    return Err(wrong(format!("row {row} follows row {last}")));
                }
                if done.is_some_and(|done| row > done) {
                    break;
                }
                last = Some(row);
            }
            kept += length as u64;
            hasher.update(line.as_bytes());
            has_mark |= mark == Some(TableMark { bytes: kept, checksum: hasher.clone().finalize() });
        }
        match (last, done) {
            (Some(last), Some(done)) if last < done => {
                let message = format!("the rows end with number {last}, and the checkpoint is of number {done}");
                Err(RunError::Table { path: path.to_owned(), line: number, message })
            }
            _ => Ok(Kept { bytes: kept, hasher, has_mark }),
        }
    }
}

fn not_text(path: &Path, line: u64) -> RunError {
    RunError::Table { path: path.to_owned(), line, message: "this is not UTF-8 text".to_owned() }
}

/// Every row of a table; none if there is no file. An incomplete last row is left out.
pub(super) fn read<R: Row>(path: &Path) -> Result<Vec<R>, RunError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(RunError::io("read", path)(error)),
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        not_text(path, 1 + before.iter().filter(|&&byte| byte == b'\n').count() as u64)
    })?;
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    // Tables of older versions have fewer columns, but the same first one.
    let first = |header: &str| header.split(',').next().unwrap_or_default().to_owned();
    if let Some(header) = whole.lines().next().filter(|header| first(header) != first(R::HEADER)) {
        let message = format!("the columns are {header:?}, not {:?}", R::HEADER);
        return Err(RunError::Table { path: path.to_owned(), line: 1, message });
    }
    let rows = csv::Reader::from_reader(whole.as_bytes()).into_deserialize();
    rows.map(|row| {
        row.map_err(|error| RunError::Table {
            path: path.to_owned(),
            line: error.position().map_or(1, csv::Position::line),
            message: error.to_string(),
        })
    })
    .collect()
}

#[cfg(test)]
mod tests;
