//! The search through a folder.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::vec;

use visage_data::NameKind;

use super::BulkError;
use super::inputs::{ImageInput, Input};

/// A depth-first walk through the files in a folder, in sorted order. It holds the names in the open folders only.
///
/// Links to files and folders are followed. A folder that was visited before is not entered again, however a path leads to it, so
/// that the walk ends and no image has two rows.
pub(super) struct Walk {
    /// The open folders: their paths, and their remaining entries.
    open: Vec<(PathBuf, vec::IntoIter<(OsString, Kind)>)>,
    /// A folder to open next.
    next: Option<PathBuf>,
    visited: HashSet<Identity>,
}

/// What an entry of a folder is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Folder,
    Image,
    Other,
}

impl Walk {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { open: Vec::new(), next: Some(folder), visited: HashSet::new() }
    }

    /// Opens a folder and sorts its entries by name, unless it was visited before.
    fn enter(&mut self, folder: PathBuf) -> io::Result<()> {
        if !self.visited.insert(identity(&folder)?) {
            return Ok(());
        }
        let mut entries = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if let Some(kind) = kind(&entry) {
                entries.push((entry.file_name(), kind));
            }
        }
        entries.sort_unstable();
        self.open.push((folder, entries.into_iter()));
        Ok(())
    }
}

impl Iterator for Walk {
    type Item = Result<Input, BulkError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(folder) = self.next.take()
                && let Err(source) = self.enter(folder.clone())
            {
                return Some(Err(BulkError::Read { path: folder, source }));
            }
            let (folder, entries) = self.open.last_mut()?;
            match entries.next() {
                Some((name, Kind::Folder)) => self.next = Some(folder.join(name)),
                Some((name, Kind::Image)) => return Some(Ok(Input::Image(ImageInput::file(folder.join(name))))),
                Some((_, Kind::Other)) => return Some(Ok(Input::Other)),
                None => drop(self.open.pop()),
            }
        }
    }
}

/// What an entry is; `None` if it is hidden. A link counts as what it leads to. One that leads nowhere counts by its name, so that
/// a lost image is reported.
fn kind(entry: &DirEntry) -> Option<Kind> {
    // Extensions, and what marks a name as hidden, are ASCII.
    let by_name = match NameKind::of(&entry.file_name().to_string_lossy()) {
        NameKind::Hidden => return None,
        NameKind::Image => Kind::Image,
        NameKind::Other => Kind::Other,
    };
    let kind = match entry.file_type() {
        Ok(kind) if kind.is_symlink() => fs::metadata(entry.path()).map(|target| target.file_type()),
        kind => kind,
    };
    Some(match kind {
        Ok(kind) if kind.is_dir() => Kind::Folder,
        // Pipes and devices, too: they are not read, and those with the name of an image are reported.
        _ => by_name,
    })
}

/// What is the same for all paths of a folder.
#[cfg(unix)]
type Identity = (u64, u64);

/// The device and the number of a folder.
#[cfg(unix)]
fn identity(folder: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;

    let metadata = fs::metadata(folder)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// What is the same for all paths of a folder.
#[cfg(not(unix))]
type Identity = PathBuf;

/// The path of a folder without links.
#[cfg(not(unix))]
fn identity(folder: &Path) -> io::Result<Identity> {
    folder.canonicalize()
}
