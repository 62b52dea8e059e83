//! Files that stand in the place of the data: a failed download, a pointer to it, a spreadsheet.

use std::path::Path;

use crate::error::DataError;

/// How a pointer of Git LFS begins (<https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>).
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Refuses a web page, which a shared drive delivers in place of a file when its quota is used up, and a pointer of Git LFS.
pub(crate) fn refuse_stand_ins(path: &Path, content: &[u8]) -> Result<(), DataError> {
    let start = content[..content.len().min(256)].trim_ascii_start().to_ascii_lowercase();
    let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&start);
    if start.starts_with(b"<!doctype html") || start.starts_with(b"<html") {
        return Err(DataError::WebPage { path: path.to_owned() });
    }
    if is_lfs_pointer(content) {
        return Err(DataError::LfsPointer { path: path.to_owned() });
    }
    Ok(())
}

/// Whether a file is a pointer of Git LFS.
pub(crate) fn is_lfs_pointer(content: &[u8]) -> bool {
    content.starts_with(LFS)
}
