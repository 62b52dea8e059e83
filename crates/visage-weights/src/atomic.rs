//! Atomic replacement of files.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// The number of random characters in a temporary file's name.
const RANDOM_LETTERS: usize = 6;
const SUFFIX: &str = ".tmp";

/// Replaces the file at `path` by what `contents` writes. A reader, a crash or a power failure finds either the old file or the
/// complete new one.
///
/// The contents go to a temporary file beside it (`.NAME.XXXXXX.tmp`), which is synced and renamed to `path`; then the folder
/// is synced. The new file has the permissions of the old one. An error leaves the old file unchanged. Temporary files of killed writers of the same path are removed first.
/// A path must therefore have one writer at a time: of two, one may fail.
///
/// # Errors
///
/// Any I/O error, including those of `contents`. The folder must exist.
pub fn write(path: &Path, contents: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    remove_left_behind(folder, name)?;
    let prefix = prefix(name);

    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(SUFFIX).rand_bytes(RANDOM_LETTERS);
    // A temporary file is private by default. This one becomes an ordinary file with permissions by the user's umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = builder.tempfile_in(folder)?;
    // A file that is replaced keeps its permissions.
    if let Ok(old) = fs::metadata(path) {
        temporary.as_file().set_permissions(old.permissions())?;
    }

    let mut writer = BufWriter::with_capacity(1 << 20, temporary.as_file());
    contents(&mut writer)?;
    writer.flush()?;
    drop(writer);
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|failed| failed.error)?;
    // The rename is stored in the folder. Only Unix can open and sync a folder.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// Whether a file called `entry` is a temporary file that a killed writer of the file called `name` left behind.
#[must_use]
pub fn is_left_behind(entry: &OsStr, name: &OsStr) -> bool {
    entry
        .as_encoded_bytes()
        .strip_prefix(prefix(name).as_encoded_bytes())
        .and_then(|rest| rest.strip_suffix(SUFFIX.as_bytes()))
        .is_some_and(|random| random.len() == RANDOM_LETTERS && random.iter().all(u8::is_ascii_alphanumeric))
}

/// Removes the temporary files that killed writers left behind in a folder to which nothing else writes.
///
/// # Errors
///
/// When the folder cannot be listed, or a file in it not removed.
pub fn remove_all_left_behind(folder: &Path) -> io::Result<()> {
    remove_where(folder, |entry| {
        let bytes = entry.as_encoded_bytes();
        let name_end = bytes.len().checked_sub(1 + RANDOM_LETTERS + SUFFIX.len());
        // The name between the first dot and the dot before the random letters, which are ASCII.
        let name = name_end.and_then(|end| std::str::from_utf8(bytes.get(1..end)?).ok());
        name.is_some_and(|name| !name.is_empty() && is_left_behind(entry, OsStr::new(name)))
    })
}

/// The prefix of temporary files of the file called `name`.
fn prefix(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    prefix
}

/// Removes the temporary files of killed writers of the file called `name`.
fn remove_left_behind(folder: &Path, name: &OsStr) -> io::Result<()> {
    remove_where(folder, |entry| is_left_behind(entry, name))
}

fn remove_where(folder: &Path, is_removed: impl Fn(&OsStr) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_removed(&entry.file_name()) {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_write_replaces_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.txt");
        write(&path, |file| file.write_all(b"one")).unwrap();
        write(&path, |file| file.write_all(b"two")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["file.txt"]);
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.txt");
        write(&path, |file| file.write_all(b"old")).unwrap();
        let failed = write(&path, |file| {
            file.write_all(b"half of the n")?;
            Err(io::Error::other("the disk is full"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "the disk is full");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["file.txt"]);
    }

    #[test]
    fn only_temporary_files_of_the_same_file_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".file.a1B2c3.tmp", ".file.notes.a1B2c3.tmp", ".file.tmp", "file.a1B2c3.tmp"] {
            fs::write(folder.path().join(name), b"").unwrap();
        }
        write(&folder.path().join("file"), |file| file.write_all(b"new")).unwrap();
        assert_eq!(names(folder.path()), [".file.notes.a1B2c3.tmp", ".file.tmp", "file", "file.a1B2c3.tmp"]);
    }

    #[test]
    fn temporary_files_of_every_name_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            [".best.safetensors.a1B2c3.tmp", ".a.Zz09Aa.tmp", ".tmp", "..a1B2c3.tmp", ".file.tmp", "x.a1B2c3.tmp"]
        {
            fs::write(folder.path().join(name), b"").unwrap();
        }
        remove_all_left_behind(folder.path()).unwrap();
        assert_eq!(names(folder.path()), ["..a1B2c3.tmp", ".file.tmp", ".tmp", "x.a1B2c3.tmp"]);
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let failed = write(&folder.path().join("none/file"), |file| file.write_all(b"new")).unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn the_file_has_ordinary_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, ordinary) = (folder.path().join("ours"), folder.path().join("ordinary"));
        write(&ours, |file| file.write_all(b"x")).unwrap();
        fs::write(&ordinary, b"x").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&ordinary));
        fs::set_permissions(&ours, fs::Permissions::from_mode(0o640)).unwrap();
        write(&ours, |file| file.write_all(b"y")).unwrap();
        assert_eq!(mode(&ours) & 0o777, 0o640, "a file that is replaced keeps its permissions");
    }
}
