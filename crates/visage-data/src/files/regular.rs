//! Reading image files by path.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use super::names::is_image_name;

/// The most bytes of an image file: that of an image of the largest size, uncompressed.
const MAX_IMAGE_FILE: u64 = 1 << 29;
/// The most bytes of another file in an archive, such as a table. A forged archive must not turn a few bytes into terabytes.
const MAX_OTHER_FILE: u64 = 1 << 30;

/// The content of an image file.
///
/// # Errors
///
/// When it cannot be read, is larger than 512 MiB, or is not a regular file: reading a pipe or a device might never end.
pub fn read_image_file(path: &Path) -> io::Result<Vec<u8>> {
    let length = regular_length(path)?;
    require_at_most(MAX_IMAGE_FILE, length)?;
    let mut content = Vec::new();
    content.try_reserve_exact(length as usize).map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
    // It may grow meanwhile.
    File::open(path)?.take(MAX_IMAGE_FILE).read_to_end(&mut content)?;
    Ok(content)
}

/// The length of a regular file, before it is opened: opening a pipe waits for whoever writes into it.
fn regular_length(path: &Path) -> io::Result<u64> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(metadata.len())
}

/// The first bytes of a file, at most `length`.
pub(super) fn read_beginning(path: &Path, length: u64) -> io::Result<Vec<u8>> {
    regular_length(path)?;
    let mut content = Vec::new();
    File::open(path)?.take(length).read_to_end(&mut content)?;
    Ok(content)
}

/// Refuses a file in an archive that is too large to be read into memory.
pub(super) fn require_readable(name: &str, length: u64) -> io::Result<()> {
    require_at_most(if is_image_name(name) { MAX_IMAGE_FILE } else { MAX_OTHER_FILE }, length)
}

fn require_at_most(limit: u64, length: u64) -> io::Result<()> {
    if length > limit {
        let reason = format!("it has {length} bytes, and files of its kind may have {limit} at most");
        return Err(io::Error::new(ErrorKind::FileTooLarge, reason));
    }
    Ok(())
}
