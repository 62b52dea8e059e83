//! The extensions of files to write. A file of a format that is not written there is refused before any work.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::CommandError;

/// Extensions of common formats. Anything else after a dot, as in `model-v1.5`, is a part of the name.
const OF_FILES: [&str; 45] = [
    "csv",
    "tsv",
    "json",
    "jsonl",
    "ndjson",
    "toml",
    "yaml",
    "yml",
    "xml",
    "txt",
    "md",
    "markdown",
    "html",
    "htm",
    "pdf",
    "docx",
    "xls",
    "xlsx",
    "ods",
    "parquet",
    "arrow",
    "npy",
    "npz",
    "pickle",
    "pkl",
    "h5",
    "svg",
    "png",
    "jpg",
    "jpeg",
    "webp",
    "gif",
    "bmp",
    "tif",
    "tiff",
    "zip",
    "tar",
    "gz",
    "pack",
    "safetensors",
    "pth",
    "pt",
    "bin",
    "onnx",
    "tflite",
];

/// A file to write in a format that is not written there.
#[derive(Debug, thiserror::Error)]
#[error("{option} {} names a file of another format: this is written as {}", path.display(), listed(written))]
struct OtherFormat {
    option: &'static str,
    path: PathBuf,
    written: &'static [&'static str],
}

/// A file where a folder is written.
#[derive(Debug, thiserror::Error)]
#[error("{option} {} looks like the name of a file, but several files are written: name a folder", path.display())]
struct NotAFolder {
    option: &'static str,
    path: PathBuf,
}

/// The extensions, as a list of alternatives.
fn listed(extensions: &[&str]) -> String {
    match extensions {
        [] => String::new(),
        [only] => format!(".{only}"),
        [first @ .., last] => format!(".{} or .{last}", first.join(", .")),
    }
}

/// Checks that the file that `option` names does not have the extension of another format than those `written`. What exists and is no
/// regular file, such as a terminal, is accepted.
///
/// # Errors
///
/// When it has the extension of another format, with those that are written.
pub fn check(option: &'static str, path: &Path, written: &'static [&'static str]) -> Result<(), CommandError> {
    let Some(extension) = path.extension() else { return Ok(()) };
    if is_one_of(extension, written) || !is_one_of(extension, &OF_FILES) || path.exists() && !path.is_file() {
        return Ok(());
    }
    Err(CommandError::usage(OtherFormat { option, path: path.to_owned(), written }))
}

/// Checks that the folder that `option` names does not have the name of a file.
///
/// # Errors
///
/// When it has the extension of a common format, and is no folder yet.
pub fn check_folder(option: &'static str, path: &Path) -> Result<(), CommandError> {
    if !path.is_dir() && path.extension().is_some_and(|extension| is_one_of(extension, &OF_FILES)) {
        return Err(CommandError::usage(NotAFolder { option, path: path.to_owned() }));
    }
    Ok(())
}

fn is_one_of(extension: &OsStr, known: &[&str]) -> bool {
    known.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_extension_is_refused_with_those_that_are_written() {
        let written = &["csv", "jsonl", "parquet"];
        for path in ["a.csv", "a.CSV", "a", "a/b.x/c", "model-v1.5", "/dev/null"] {
            assert!(check("--output", Path::new(path), written).is_ok(), "{path}");
        }
        let error = check("--output", Path::new("a.xlsx"), written).unwrap_err().to_string();
        let expected = "--output a.xlsx names a file of another format: this is written as .csv, .jsonl or .parquet";
        assert_eq!(error, expected);
        assert!(check("--out", Path::new("a.csv.gz"), &["csv"]).unwrap_err().to_string().ends_with("as .csv"));
    }

    #[test]
    fn a_folder_may_have_a_dot_in_its_name() {
        assert!(check_folder("--out", Path::new("report.v2")).is_ok());
        assert!(check_folder("--out", Path::new("report.html")).unwrap_err().to_string().contains("name a folder"));
    }
}
