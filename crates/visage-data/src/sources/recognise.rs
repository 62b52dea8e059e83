//! Finding the format of a dataset.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::celeba;
use super::class_folders;
use super::exports;
use super::pack::Pack;
use super::reader::SourceFiles;
use super::rows::is_plain_table;
use crate::error::DataError;
use crate::files::{Files, Listing, has_extension};

/// The extensions of text tables; `.gz` may follow.
pub(super) const TEXT_TABLES: [&str; 5] = ["csv", "tsv", "tab", "jsonl", "ndjson"];
/// The extensions of spreadsheets.
const SPREADSHEETS: [&str; 4] = ["xlsx", "xls", "xlsm", "ods"];
/// How the names of tables begin that Kaggle's competitions give as a form for answers: their labels are made up.
const FORM_FOR_ANSWERS: &str = "sample_submission";

/// A dataset of a known format.
pub(super) enum Source {
    Pack(Pack),
    CelebA(SourceFiles),
    TextTable(SourceFiles),
    Parquet(SourceFiles),
    Arrow(SourceFiles),
    WebDataset(SourceFiles),
    Export(SourceFiles),
    ClassFolders(SourceFiles),
}

/// Finds the format of the dataset at `path`.
pub(super) fn recognise(path: &Path) -> Result<Source, DataError> {
    let unreadable = |source| DataError::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(unreadable)?.is_dir() {
        return recognise_files(Files::Folder(path.to_owned()));
    }
    if let Some(pack) = Pack::open(path)? {
        return Ok(Source::Pack(pack));
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if has_extension(&name, &SPREADSHEETS) {
        return Err(DataError::Spreadsheet { path: path.to_owned() });
    }
    if is_zip(path).map_err(unreadable)? || has_extension(&name, &["zip"]) {
        return recognise_files(Files::zip(path)?);
    }
    // Images are searched in the folder of the table.
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files = Files::Folder(folder.to_owned());
    let beside =
        |files: Files| Ok::<_, DataError>(SourceFiles { listing: files.list()?, files, names: vec![name.clone()] });
    if is_text_table(&name) || has_extension(&name, &["txt"]) {
        Ok(Source::TextTable(beside(files)?))
    } else if has_extension(&name, &["parquet"]) {
        Ok(Source::Parquet(beside(files)?))
    } else if has_extension(&name, &["arrow"]) {
        Ok(Source::Arrow(beside(files)?))
    } else if has_extension(&name, &["tar"]) {
        Ok(Source::WebDataset(SourceFiles { listing: Listing::default(), files, names: vec![name] }))
    } else if has_extension(&name, &exports::EXTENSIONS) {
        Ok(Source::Export(beside(files)?))
    } else {
        Err(DataError::NoTable { path: path.to_owned(), images: 0 })
    }
}

/// Finds the format of the dataset in a folder or an archive.
fn recognise_files(files: Files) -> Result<Source, DataError> {
    let listing = files.list()?;
    let versions = versions(&listing);
    if versions.len() > 1 {
        return Err(DataError::SeveralVersions { path: files.root().to_owned(), versions });
    }
    if let Some(labels) = celeba::find_labels(&listing) {
        let names = vec![labels.to_owned()];
        return Ok(Source::CelebA(SourceFiles { files, listing, names }));
    }
    let mut tables = shallowest(&listing, is_text_table);
    if tables.len() > 1 {
        tables.retain(|name| !name.rsplit('/').next().unwrap_or_default().starts_with(FORM_FOR_ANSWERS));
    }
    if !tables.is_empty() {
        return Ok(Source::TextTable(SourceFiles { files, listing, names: tables }));
    }
    let tables: Vec<String> = listing.files.iter().filter(|name| has_extension(name, &["parquet"])).cloned().collect();
    if !tables.is_empty() {
        return Ok(Source::Parquet(SourceFiles { files, listing, names: tables }));
    }
    // `datasets` keeps the results of its own steps beside the data.
    let is_data = |name: &&String| {
        has_extension(name, &["arrow"]) && !name.rsplit('/').next().unwrap_or_default().starts_with("cache-")
    };
    let tables: Vec<String> = listing.files.iter().filter(is_data).cloned().collect();
    if !tables.is_empty() {
        return Ok(Source::Arrow(SourceFiles { files, listing, names: tables }));
    }
    let shards = shallowest(&listing, |name| has_extension(name, &["tar"]));
    if !shards.is_empty() {
        return Ok(Source::WebDataset(SourceFiles { files, listing, names: shards }));
    }
    // Any program may write a file with these extensions: only the content tells.
    let candidates = shallowest(&listing, |name| has_extension(name, &exports::EXTENSIONS));
    let exports = exports::among(&files, candidates);
    if !exports.is_empty() {
        return Ok(Source::Export(SourceFiles { files, listing, names: exports }));
    }
    let candidates = shallowest(&listing, |name| has_extension(name, &["txt"]));
    let is_table = |name: &String| files.read(name).is_ok_and(|content| is_plain_table(&content));
    let tables: Vec<String> = candidates.into_iter().filter(is_table).collect();
    if !tables.is_empty() {
        return Ok(Source::TextTable(SourceFiles { files, listing, names: tables }));
    }
    // The whole dataset may still be in the one archive that was downloaded.
    if let [archive] = shallowest(&listing, |name| has_extension(name, &["zip"])).as_slice() {
        return recognise_files(files.inner_archive(archive)?);
    }
    if class_folders::is_one(&listing) {
        return Ok(Source::ClassFolders(SourceFiles { files, listing, names: Vec::new() }));
    }
    let spreadsheet =
        listing.files.iter().find(|name| has_extension(name, &SPREADSHEETS) || *name == "xl/workbook.xml");
    Err(match spreadsheet {
        Some(name) if name == "xl/workbook.xml" => DataError::Spreadsheet { path: files.root().to_owned() },
        Some(name) => DataError::Spreadsheet { path: files.root().join(name) },
        None => DataError::NoTable { path: files.root().to_owned(), images: listing.images.len() },
    })
}

/// The folders with a version of a dataset each, as the caches of Kaggle (`versions/2`) and Hugging Face (`snapshots/COMMIT`) have
/// them.
fn versions(listing: &Listing) -> Vec<String> {
    let is_version = |folder: &&String| {
        let mut parts = folder.trim_end_matches('/').rsplit('/');
        match (parts.next(), parts.next()) {
            (Some(name), Some("versions")) => name.bytes().all(|byte| byte.is_ascii_digit()),
            (Some(name), Some("snapshots")) => name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit()),
            _ => false,
        }
    };
    let folders = listing.folders.iter().filter(is_version);
    folders.map(|folder| folder.trim_end_matches('/').to_owned()).collect()
}

/// Whether a name has the extension of a text table.
pub(super) fn is_text_table(name: &str) -> bool {
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    has_extension(plain, &TEXT_TABLES) || (plain.len() < name.len() && has_extension(plain, &["txt"]))
}

/// The files of a kind that are the fewest folders down.
fn shallowest(listing: &Listing, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let depth = |name: &&String| name.matches('/').count();
    let found: Vec<&String> = listing.files.iter().filter(|name| is_wanted(name)).collect();
    let least = found.iter().map(depth).min().unwrap_or_default();
    found.into_iter().filter(|name| depth(name) == least).cloned().collect()
}

/// Whether a file starts as a zip archive does: with an entry or, if it is empty, with the end of the central directory.
fn is_zip(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut start)?;
    Ok(start == b"PK\x03\x04" || start == b"PK\x05\x06")
}
