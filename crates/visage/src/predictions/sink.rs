//! Where rows go: to standard output, or to a file that a stopped command goes on with.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::inputs::Input;
use super::parquet;
use super::rows::{Form, Rows, record};
use crate::error::CommandError;
use crate::output;

/// Where rows go.
pub enum Sink {
    /// Standard output, and whether the header was printed.
    Standard(bool),
    /// A file.
    File(RowFile),
}

/// A file of rows. Each batch is written at once and whole; one that a crash cut short is dropped by whoever goes on.
pub struct RowFile {
    path: PathBuf,
    file: File,
    /// Where the rows go in the end, as Parquet.
    parquet: Option<PathBuf>,
    /// The images that had rows when it was opened.
    answered: Answered,
    /// The first of those rows, and the image it is about.
    first: Option<(String, Vec<u8>)>,
}

/// Images, remembered by 128 bits of their names: a million take 32 MiB whatever they are called.
#[derive(Default)]
struct Answered(HashSet<[u64; 2]>);

impl Answered {
    fn key(name: &str) -> [u64; 2] {
        [0_u8, 1].map(|salt| {
            let mut hasher = DefaultHasher::new();
            (salt, name).hash(&mut hasher);
            hasher.finish()
        })
    }

    fn add(&mut self, name: &str) {
        self.0.insert(Self::key(name));
    }
}

impl Sink {
    /// Opens the file at `path` for rows, and reads what it holds; what a crash left of a last row is cut off. Rows of a Parquet file
    /// wait in a CSV file beside it, because Parquet files are written whole.
    ///
    /// # Errors
    ///
    /// [`CommandError`] where the file cannot be read or written, is none of such rows, is a whole Parquet file, or is being written
    /// by another process.
    pub fn open(path: &Path, rows: &Rows<'_>, as_parquet: bool) -> Result<Self, CommandError> {
        if as_parquet && path.exists() {
            return Err(CommandError::OutputWhole { path: path.to_owned() });
        }
        let (parquet, path) = if as_parquet { (Some(path.to_owned()), waiting(path)) } else { (None, path.to_owned()) };
        let failed = |source| CommandError::Write { path: path.clone(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(CommandError::OutputInUse { path }),
            // A file system without locks: nobody is kept out, and nothing else is lost.
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        let found = match rows.form {
            Form::Csv => read_csv(&file, rows),
            Form::Table | Form::Json => read_lines(&file, rows),
        };
        let Found { answered, first, end } = found.map_err(|fault| match fault {
            Fault::Read(source) => CommandError::Read { path: path.clone(), source },
            Fault::Columns => CommandError::OtherColumns { path: path.clone() },
            Fault::Line(line) => CommandError::OutputLine { path: path.clone(), line },
        })?;
        file.set_len(end).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        if end == 0 {
            let header = rows.header().map_err(failed)?;
            file.write_all(&header).map_err(failed)?;
        }
        Ok(Self::File(RowFile { path, file, parquet, answered, first }))
    }

    /// Whether there was a row about an image when the file was opened.
    pub fn has(&self, input: &Input) -> bool {
        match self {
            Self::Standard(_) => false,
            Self::File(file) => file.answered.0.contains(&Answered::key(&input.path.display().to_string())),
        }
    }

    /// Asks again about the image of the first row that was there, by `row`: another answer means that the rows are another
    /// model's, or were made with other options, and must not be mixed with new ones.
    ///
    /// # Errors
    ///
    /// [`CommandError::OtherAnswers`], or that of the image.
    pub fn check(&self, row: impl FnOnce(&Input) -> Result<Vec<u8>, CommandError>) -> Result<(), CommandError> {
        let Self::File(RowFile { path, first: Some((image, found)), .. }) = self else { return Ok(()) };
        if row(&Input::named(image)?)? == *found {
            Ok(())
        } else {
            Err(CommandError::OtherAnswers { path: path.clone(), image: image.clone() })
        }
    }

    /// Writes rows.
    ///
    /// # Errors
    ///
    /// When standard output is closed, or the disk is full.
    pub fn write(&mut self, rows: &Rows<'_>, lines: &[u8]) -> Result<(), CommandError> {
        match self {
            Self::Standard(begun) => {
                let mut stdout = io::stdout().lock();
                let mut print = |bytes: &[u8]| stdout.write_all(bytes).map_err(CommandError::Output);
                if !std::mem::replace(begun, true) {
                    print(&rows.header().map_err(CommandError::Output)?)?;
                }
                print(lines)?;
                stdout.flush().map_err(CommandError::Output)
            }
            Self::File(RowFile { path, file, .. }) => {
                file.write_all(lines).map_err(|source| CommandError::Write { path: path.clone(), source })
            }
        }
    }

    /// Ends a file, and says how many rows were `added`.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn finish(self, rows: &Rows<'_>, added: u64) -> Result<(), CommandError> {
        let Self::File(RowFile { path, file, parquet, answered, .. }) = self else { return Ok(()) };
        file.sync_all().map_err(|source| CommandError::Write { path: path.clone(), source })?;
        if let Some(whole) = &parquet {
            parquet::write(&path, rows, whole)?;
            fs::remove_file(&path).map_err(|source| CommandError::Write { path: path.clone(), source })?;
        }
        let before = match answered.0.len() {
            0 => String::new(),
            before => format!(" to the {before} that were there"),
        };
        output::note(&format!("wrote {added} rows{before}: {}", parquet.as_ref().unwrap_or(&path).display()));
        Ok(())
    }
}

/// Where rows wait that are to become the Parquet file at `path`.
fn waiting(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".rows.csv");
    PathBuf::from(name)
}

/// What a file holds.
#[derive(Default)]
struct Found {
    answered: Answered,
    first: Option<(String, Vec<u8>)>,
    /// Where its whole rows end.
    end: u64,
}

impl Found {
    fn add(&mut self, image: &str, row: impl FnOnce() -> Vec<u8>) {
        if self.first.is_none() {
            self.first = Some((image.to_owned(), row()));
        }
        self.answered.add(image);
    }
}

/// Why rows cannot be added to a file.
enum Fault {
    Read(io::Error),
    /// It has another header.
    Columns,
    /// This line is no row.
    Line(u64),
}

fn read_lines(file: &File, rows: &Rows<'_>) -> Result<Found, Fault> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let (mut found, mut line) = (Found::default(), Vec::new());
    for number in 1.. {
        line.clear();
        let length = reader.read_until(b'\n', &mut line).map_err(Fault::Read)?;
        if line.last() != Some(&b'\n') {
            // Nothing more, or a row that was never finished; a file without a whole one may be anything.
            if length > 0 && found.first.is_none() {
                return Err(Fault::Line(number));
            }
            break;
        }
        let image = rows.image_of(&line[..length - 1]).ok_or(Fault::Line(number))?;
        found.add(&image, || line.clone());
        found.end += length as u64;
    }
    Ok(found)
}

fn read_csv(mut file: &File, rows: &Rows<'_>) -> Result<Found, Fault> {
    let length = file.metadata().map_err(Fault::Read)?.len();
    let ends_a_line = |mut file: &File| -> io::Result<bool> {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        Ok(last == *b"\n")
    };
    let is_whole = length > 0 && ends_a_line(file).map_err(Fault::Read)?;
    file.seek(SeekFrom::Start(0)).map_err(Fault::Read)?;
    let reader = BufReader::with_capacity(1 << 16, file);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(reader);
    let (mut found, mut row) = (Found::default(), csv::StringRecord::new());
    let broken = |error: csv::Error| {
        let line = error.position().map_or(0, csv::Position::line);
        match error.into_kind() {
            csv::ErrorKind::Io(error) => Fault::Read(error),
            _ => Fault::Line(line),
        }
    };
    let mut is_header = true;
    while reader.read_record(&mut row).map_err(broken)? {
        let line = row.position().map_or(0, csv::Position::line);
        let is_last = reader.position().byte() >= length;
        let is_row = row.len() == rows.columns.len() + 1;
        // A row that was never finished. Where that is the header, the file may be anything.
        if is_last && !(is_row && is_whole) && !is_header {
            break;
        }
        if std::mem::take(&mut is_header) {
            if !is_whole && is_last || !row.iter().eq(std::iter::once("image").chain(rows.names())) {
                return Err(Fault::Columns);
            }
        } else if is_row {
            // As this program writes a record, so that rows can be compared byte by byte.
            found.add(&row[0], || record(&row).unwrap_or_default());
        } else {
            return Err(Fault::Line(line));
        }
        found.end = reader.position().byte();
    }
    Ok(found)
}
