//! The forms in which datasets come, and telling one from another.

mod celeba;
mod faults;
mod images;
mod parquet;
mod parquet_headers;
mod rows;
mod spelling;
mod table;
mod webdataset;
mod words;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

pub(crate) use self::faults::Faults;
pub(crate) use self::images::Images;
use self::images::locate;
use self::table::Table;
use crate::error::{DataError, TableFault};
use crate::files::{Files, Listing, has_extension};
use crate::pack::Pack;
use crate::sample::Sample;
use crate::split::Split;

/// The endings of text tables.
const TABLES: [&str; 5] = ["csv", "tsv", "tab", "jsonl", "ndjson"];

/// What a source says about its images, and where they lie.
pub(crate) struct Contents {
    /// What the source is called.
    pub(crate) form: &'static str,
    /// The attribute names, in order.
    pub(crate) attributes: Vec<String>,
    /// The names of the columns of words, in order.
    pub(crate) categories: Vec<String>,
    /// The rows, in the order of the table.
    pub(crate) samples: Vec<Sample>,
    /// Where the image files are.
    pub(crate) images: Images,
    /// What should be known about the source and is no fault.
    pub(crate) notes: Vec<String>,
}

/// Reads the dataset at `path`, whatever its form.
pub(crate) fn read(path: &Path, faults: &mut Faults) -> Result<Contents, DataError> {
    let unreadable = |source| DataError::Read { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return read_files(Files::Folder(path.to_owned()), faults);
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if let Some(pack) = Pack::open(path)? {
        let (attributes, categories, samples) = pack.table();
        let notes = Vec::new();
        return Ok(Contents { form: "pack", attributes, categories, samples, images: Images::Packed(pack), notes });
    }
    if is_zip(path).map_err(unreadable)? || has_extension(&name, &["zip"]) {
        return read_files(Files::zip(path)?, faults);
    }
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if has_extension(&name, &TABLES) || name.to_ascii_lowercase().starts_with("list_attr_celeba") {
        let files = Files::Folder(folder.to_owned());
        let listing = files.list()?;
        return read_tables(files, &listing, &[name], faults);
    }
    if has_extension(&name, &["parquet"]) {
        let files = Files::Folder(folder.to_owned());
        let listing = files.list()?;
        return read_parquet(files, &listing, &[name], faults);
    }
    if has_extension(&name, &["tar"]) {
        return webdataset::read(&Files::Folder(folder.to_owned()), &[name], faults);
    }
    Err(DataError::NoTable { path: path.to_owned(), images: 0 })
}

/// Reads the dataset that `files` hold.
fn read_files(files: Files, faults: &mut Faults) -> Result<Contents, DataError> {
    let listing = files.list()?;
    if let Some(labels) = celeba::labels(&listing) {
        return celeba::read(files, &listing, labels, faults);
    }
    let tables = shallowest(&listing, &TABLES);
    if !tables.is_empty() {
        return read_tables(files, &listing, &tables, faults);
    }
    let tables: Vec<String> = listing.files.iter().filter(|name| has_extension(name, &["parquet"])).cloned().collect();
    if !tables.is_empty() {
        return read_parquet(files, &listing, &tables, faults);
    }
    let shards = shallowest(&listing, &["tar"]);
    if !shards.is_empty() {
        return webdataset::read(&files, &shards, faults);
    }
    // Everything may still be inside the one archive that was downloaded.
    if let [archive] = shallowest(&listing, &["zip"]).as_slice() {
        return read_files(files.inner_archive(archive)?, faults);
    }
    Err(DataError::NoTable { path: files.root().to_owned(), images: listing.images })
}

/// The files with one of these endings that are fewest folders down.
fn shallowest(listing: &Listing, extensions: &[&str]) -> Vec<String> {
    let depth = |name: &&String| name.matches('/').count();
    let found: Vec<&String> = listing.files.iter().filter(|name| has_extension(name, extensions)).collect();
    let least = found.iter().map(depth).min().unwrap_or_default();
    found.into_iter().filter(|name| depth(name) == least).cloned().collect()
}

/// Reads tables that are one, or parts of one. Their images lie beside them.
fn read_tables(files: Files, listing: &Listing, names: &[String], faults: &mut Faults) -> Result<Contents, DataError> {
    let folder = |name: &str| name.rfind('/').map_or("", |slash| &name[..=slash]).to_owned();
    let apart = names.iter().any(|name| folder(name) != folder(&names[0]));
    let mut whole: Option<Table> = None;
    for name in names {
        let mut table = Table::read(&files, name, faults)?;
        if apart {
            table.samples.iter_mut().for_each(|sample| sample.image.insert_str(0, &folder(name)));
            table.by_image = (0..).zip(&table.samples).map(|(index, s)| (s.image.clone(), index)).collect();
        }
        match &mut whole {
            None => whole = Some(table),
            Some(whole) => match whole.append(table, faults) {
                Some(appended) => appended?,
                None => {
                    return Err(DataError::ManyTables { path: files.root().to_owned(), tables: names.to_vec() });
                }
            },
        }
    }
    let Table { attributes, categories, samples, mut notes, .. } = whole.unwrap_or_default();
    let expected = if apart { String::new() } else { names.first().map(|name| folder(name)).unwrap_or_default() };
    let (images, note) = locate(files, listing, &expected, |_| false, &samples)?;
    notes.extend(note);
    Ok(Contents { form: "table", attributes, categories, samples, images, notes })
}

/// Reads Parquet tables that are one, or parts of one. Their images are in them, or lie beside them.
fn read_parquet(files: Files, listing: &Listing, names: &[String], faults: &mut Faults) -> Result<Contents, DataError> {
    let Files::Folder(folder) = &files else {
        let reason =
            io::Error::new(io::ErrorKind::Unsupported, "Parquet files are not read from an archive: unpack it");
        return Err(DataError::Read { path: files.root().to_owned(), source: reason });
    };
    let (Table { attributes, categories, samples, mut notes, .. }, pictures) = parquet::read(folder, names, faults)?;
    let images = match pictures {
        Some(pictures) => Images::Column(pictures),
        None => {
            let (images, note) = locate(files, listing, "", |_| false, &samples)?;
            notes.extend(note);
            images
        }
    };
    Ok(Contents { form: "Parquet", attributes, categories, samples, images, notes })
}

/// The split that a file's name tells: `train.csv`, `data/val-00000-of-00002.parquet`, `test/metadata.jsonl`.
fn split_of_name(name: &str) -> Option<Split> {
    let word = |part: &str| part.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default().to_owned();
    name.rsplit('/').map(word).find_map(|word| word.parse().ok())
}

/// Whether the file begins as a zip archive does: with an entry, or, when it is empty, with the end of its contents.
fn is_zip(path: &Path) -> std::io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut start)?;
    Ok(start == b"PK\x03\x04" || start == b"PK\x05\x06")
}

/// Text without the byte order mark that some editors put first.
fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

/// `bytes` as text.
fn text(bytes: &[u8]) -> Result<&str, TableFault> {
    std::str::from_utf8(bytes).map_err(|_| TableFault::NotUtf8)
}
