//! Failed downloads.

use std::path::Path;

use crate::error::DataError;

/// Refuses a web page: a shared drive whose quota is used up delivers one in place of the file.
pub(crate) fn refuse_web_page(path: &Path, content: &[u8]) -> Result<(), DataError> {
    let start = content[..content.len().min(256)].trim_ascii_start().to_ascii_lowercase();
    let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&start);
    if start.starts_with(b"<!doctype html") || start.starts_with(b"<html") {
        return Err(DataError::WebPage { path: path.to_owned() });
    }
    Ok(())
}
