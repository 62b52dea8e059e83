//! Reading image files by path.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The most bytes of an image file: far above any photograph.
const MAX_IMAGE_FILE: u64 = 1 << 30;

/// The content of an image file.
///
/// # Errors
///
/// When it cannot be read, is larger than 1 GiB, or is not a regular file: reading a pipe or a device might never end.
pub fn read_image_file(path: &Path) -> io::Result<Vec<u8>> {
    let unusable = |reason: String| io::Error::new(ErrorKind::InvalidInput, reason);
    // Before it is opened: opening a pipe waits for whoever writes into it.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(unusable("it is not a regular file".to_owned()));
    }
    let length = metadata.len();
    if length > MAX_IMAGE_FILE {
        return Err(unusable(format!("it has {length} bytes, and image files may have {MAX_IMAGE_FILE} at most")));
    }
    let mut content = Vec::new();
    content.try_reserve_exact(length as usize).map_err(|_| io::Error::from(ErrorKind::OutOfMemory))?;
    // It may grow meanwhile.
    File::open(path)?.take(MAX_IMAGE_FILE).read_to_end(&mut content)?;
    Ok(content)
}
