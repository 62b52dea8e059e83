//! `steps.csv` and `epochs.csv`: rows in order, each written whole and at once.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::RunFolderError;

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
    /// Training images a second, since the step before.
    pub images_per_second: f64,
    /// The part of that time in which the next batch was waited for, from 0 to 1: of a graphics card, which works behind the
    /// processor, the most that it can have been idle for want of data. Tables of older runs lack it.
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
    /// Mean training loss over its steps, each with the weights of that moment, augmentation and dropout included.
    pub train_loss: f64,
    /// Mean loss on the validation split after it.
    pub validation_loss: f64,
    /// Validation accuracy, mean over the attributes for which it is defined; so too the metrics below.
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
    /// Time of training and validation, in seconds.
    pub seconds: f64,
    /// Training images a second, validation left out.
    pub images_per_second: f64,
    /// Whether it was the best so far.
    pub best: bool,
}

/// A row of a table, placed by a number that grows from row to row.
pub trait Row: Serialize + DeserializeOwned {
    /// The first line of the table.
    const HEADER: &str;

    /// The row's number: that of the first column.
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
pub type StepLog = Log<StepRow>;
/// `epochs.csv`, open for appending.
pub type EpochLog = Log<EpochRow>;

/// A table open for appending. Locked while it is open, so that no second process writes into the same run.
#[derive(Debug)]
pub struct Log<R> {
    path: PathBuf,
    file: File,
    row: PhantomData<R>,
}

impl<R: Row> Log<R> {
    /// Opens the table, made if it is not there, for the rows after number `done`. Later rows, and one that was cut off
    /// as the process was killed, are taken back.
    pub(super) fn open(path: &Path, done: u64) -> Result<Self, RunFolderError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(RunFolderError::io("open", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(RunFolderError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(RunFolderError::io("lock", path)(error)),
        }
        let kept = kept_length::<R>(&file, path, done)?;
        let rewind = |file: &mut File| {
            file.set_len(kept)?;
            file.seek(SeekFrom::Start(kept))
        };
        rewind(&mut file).map_err(RunFolderError::io("shorten", path))?;
        let mut log = Self { path: path.to_owned(), file, row: PhantomData };
        if kept == 0 {
            log.write(format!("{}\n", R::HEADER).as_bytes())?;
        }
        Ok(log)
    }

    /// Appends a row. It is in the file when this returns, whatever becomes of the process.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn append(&mut self, row: &R) -> Result<(), RunFolderError> {
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        let line = writer
            .serialize(row)
            .map_err(std::io::Error::other)
            .and_then(|()| writer.into_inner().map_err(|error| std::io::Error::other(error.to_string())))
            .map_err(RunFolderError::io("write", &self.path))?;
        self.write(&line)
    }

    /// One call for a whole line, so that a killed process leaves at most the last line cut off.
    fn write(&mut self, line: &[u8]) -> Result<(), RunFolderError> {
        self.file.write_all(line).map_err(RunFolderError::io("write", &self.path))
    }
}

/// The length in bytes of what stays: the header and the rows up to number `done`.
fn kept_length<R: Row>(file: &File, path: &Path, done: u64) -> Result<u64, RunFolderError> {
    let mut reader = BufReader::new(file);
    let mut kept = 0;
    let mut line = String::new();
    for number in 1.. {
        line.clear();
        let length = reader.read_line(&mut line).map_err(RunFolderError::io("read", path))?;
        // The end, or a line that was cut off.
        let Some(text) = line.strip_suffix('\n') else { break };
        if number == 1 {
            if text != R::HEADER {
                let message = format!("the columns are {text:?}, not {:?}", R::HEADER);
                return Err(RunFolderError::Table { path: path.to_owned(), line: number, message });
            }
        } else {
            let first = text.split(',').next().unwrap_or_default();
            let row: u64 = first.parse().map_err(|_| RunFolderError::Table {
                path: path.to_owned(),
                line: number,
                message: format!("{first:?} is not the number of a row"),
            })?;
            if row > done {
                break;
            }
        }
        kept += length as u64;
    }
    Ok(kept)
}

/// Every row of a table; none if there is no file. A row that was cut off is left out.
pub(super) fn read<R: Row>(path: &Path) -> Result<Vec<R>, RunFolderError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(RunFolderError::io("read", path)(error)),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let rows = csv::Reader::from_reader(whole.as_bytes()).into_deserialize();
    rows.map(|row| {
        row.map_err(|error| RunFolderError::Table {
            path: path.to_owned(),
            line: error.position().map_or(1, csv::Position::line),
            message: error.to_string(),
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: u64) -> StepRow {
        StepRow {
            step,
            epoch: 1,
            loss: 0.1 + step as f64,
            learning_rate: 1e-3,
            gradient_norm: 1.0 / 3.0,
            images_per_second: 31.5,
            waiting: 0.25,
        }
    }

    fn epoch(epoch: u64) -> EpochRow {
        EpochRow {
            epoch,
            step: 10 * epoch,
            train_loss: 0.3,
            validation_loss: f64::NAN,
            accuracy: Some(0.9),
            balanced_accuracy: None,
            precision: None,
            recall: Some(0.0),
            f1: Some(1.0),
            average_precision: Some(0.1),
            learning_rate: 1.2e-9,
            seconds: 12.0,
            images_per_second: 1.0,
            best: epoch == 1,
        }
    }

    #[test]
    fn headers_name_the_fields() {
        fn header<R: Row>(row: R) -> String {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.serialize(row).unwrap();
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            text.lines().next().unwrap().to_owned()
        }
        assert_eq!(header(row(1)), StepRow::HEADER);
        assert_eq!(header(epoch(1)), EpochRow::HEADER);
    }

    #[test]
    fn rows_read_back_exactly() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.csv");
        let mut log = StepLog::open(&path, 0).unwrap();
        let rows: Vec<StepRow> = (1..=3).map(row).collect();
        for row in &rows {
            log.append(row).unwrap();
        }
        assert_eq!(read::<StepRow>(&path).unwrap(), rows);

        let path = folder.path().join("epochs.csv");
        let mut log = EpochLog::open(&path, 0).unwrap();
        log.append(&epoch(1)).unwrap();
        log.append(&epoch(2)).unwrap();
        let read = read::<EpochRow>(&path).unwrap();
        assert!(read[1].validation_loss.is_nan());
        assert_eq!((read[0].balanced_accuracy, read[0].recall, read[0].best), (None, Some(0.0), true));
        assert_eq!((read[1].epoch, read[1].learning_rate, read[1].best), (2, 1.2e-9, false));
    }

    #[test]
    fn resuming_takes_back_rows_after_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.csv");
        // What a killed process left after the rows it had written whole, and the step the checkpoint is of.
        for (rows, cut_off, done, kept) in [
            (0, "", 0, 0),
            (5, "", 3, 3),
            (5, "", 5, 5),
            (5, "", 0, 0),
            (5, "6,1,0.", 5, 5),
            (5, "6", 4, 4),
            (12, "", 9, 9),
            (2, "", 9, 2),
        ] {
            let context = format!("{rows} rows and {cut_off:?}, checkpoint at {done}");
            let _ = std::fs::remove_file(&path);
            let mut log = StepLog::open(&path, 0).unwrap();
            (1..=rows).for_each(|step| log.append(&row(step)).unwrap());
            log.write(cut_off.as_bytes()).unwrap();
            drop(log);
            assert_eq!(read::<StepRow>(&path).unwrap().len() as u64, rows, "{context}");

            let mut log = StepLog::open(&path, done).unwrap();
            log.append(&row(kept + 1)).unwrap();
            drop(log);
            let steps: Vec<u64> = read::<StepRow>(&path).unwrap().iter().map(|row| row.step).collect();
            assert_eq!(steps, (1..=kept + 1).collect::<Vec<_>>(), "{context}");
        }
    }

    #[test]
    fn a_header_cut_off_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.csv");
        std::fs::write(&path, "step,ep").unwrap();
        StepLog::open(&path, 0).unwrap().append(&row(1)).unwrap();
        assert_eq!(read::<StepRow>(&path).unwrap(), [row(1)]);
    }

    #[test]
    fn a_table_changed_by_hand_is_refused_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.csv");
        for (text, line) in [("a,b\n".to_owned(), 1), (format!("{}\n1,1,1,1,1,1\nx\n", StepRow::HEADER), 3)] {
            std::fs::write(&path, text).unwrap();
            let error = StepLog::open(&path, 9).unwrap_err();
            assert!(matches!(error, RunFolderError::Table { line: found, .. } if found == line), "{error}");
        }
    }

    #[test]
    fn one_process_writes_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.csv");
        let first = StepLog::open(&path, 0).unwrap();
        assert!(matches!(StepLog::open(&path, 0), Err(RunFolderError::InUse { .. })));
        drop(first);
        assert!(StepLog::open(&path, 0).is_ok());
    }
}
