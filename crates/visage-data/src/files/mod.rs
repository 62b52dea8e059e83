//! The files below one root: a folder, or a zip or tar archive read in place.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use zip::{CompressionMethod, ZipArchive};

use crate::error::DataError;

/// The largest file that is read from an archive: far above any photograph or table, and a bound on what a forged
/// archive can make of a few bytes.
const MAX_ENTRY: u64 = 1 << 30;

/// The largest archive that is unpacked from another: far above CelebA's 1.4 GB, and a bound on a forged one.
const MAX_INNER_ARCHIVE: u64 = 1 << 36;

/// How many folders down a dataset is looked for.
const MAX_DEPTH: usize = 5;

/// The files of a folder or of an archive, reached by their names below it, with `/` between the parts.
///
/// Reading takes `&self` and may go on from many threads at once. Nothing is extracted, but for a compressed archive
/// inside another, which goes to a temporary file without a name.
#[derive(Clone, Debug)]
pub(crate) enum Files {
    /// A folder.
    Folder(PathBuf),
    /// A memory-mapped zip archive, and where it lies.
    Zip {
        /// Where.
        path: PathBuf,
        /// The archive.
        archive: ZipArchive<Cursor<Mapped>>,
    },
    /// A memory-mapped tar archive, and where it lies.
    Tar {
        /// Where.
        path: PathBuf,
        /// Its bytes.
        bytes: Mapped,
        /// Where in them each file is.
        entries: Arc<HashMap<String, Range<usize>>>,
    },
}

/// A part of a file in memory-mapped form. Cloning shares the mapping.
#[derive(Clone, Debug)]
pub(crate) struct Mapped {
    map: Arc<Mmap>,
    part: Range<usize>,
}

impl Mapped {
    /// Maps the whole of a file.
    pub(crate) fn whole(file: &File) -> io::Result<Self> {
        // SAFETY: the mapping is private to this value, is only read, and outlives every slice taken from it. That
        // nobody cuts the file short while it is in use cannot be enforced; it is what every reader of a mapped data
        // file relies on.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(file) }?;
        let part = 0..map.len();
        Ok(Mapped { map: Arc::new(map), part })
    }

    /// A part of it; `None` where it reaches past the end.
    pub(crate) fn part(&self, start: usize, length: usize) -> Option<Self> {
        let start = self.part.start.checked_add(start)?;
        let end = start.checked_add(length).filter(|&end| end <= self.part.end)?;
        Some(Mapped { map: Arc::clone(&self.map), part: start..end })
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.map[self.part.clone()]
    }
}

/// What lies below a root: where a dataset may be, without the images in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// Names of files that are no images, sorted.
    pub(crate) files: Vec<String>,
    /// Names of folders with a `/` at the end, sorted; the root itself is `""`.
    pub(crate) folders: Vec<String>,
    /// How many images were passed by.
    pub(crate) images: usize,
}

impl Files {
    /// Maps the zip archive at `path` and reads its list of contents.
    pub(crate) fn zip(path: &Path) -> Result<Self, DataError> {
        let unreadable = |source| DataError::Read { path: path.to_owned(), source };
        let mapped = Mapped::whole(&File::open(path).map_err(unreadable)?).map_err(unreadable)?;
        Self::zip_of(path.to_owned(), mapped)
    }

    fn zip_of(path: PathBuf, mapped: Mapped) -> Result<Self, DataError> {
        if is_web_page(mapped.as_ref()) {
            return Err(DataError::WebPage { path });
        }
        match ZipArchive::new(Cursor::new(mapped.clone())) {
            Ok(archive) => Ok(Files::Zip { path, archive }),
            Err(source) => Err(DataError::Zip { path, found: complete_entries(mapped.as_ref()), source }),
        }
    }

    /// Maps the tar archive at `path` and reads where its files are.
    pub(crate) fn tar(path: &Path) -> Result<Self, DataError> {
        let unreadable = |source| DataError::Read { path: path.to_owned(), source };
        let mapped = Mapped::whole(&File::open(path).map_err(unreadable)?).map_err(unreadable)?;
        if is_web_page(mapped.as_ref()) {
            return Err(DataError::WebPage { path: path.to_owned() });
        }
        let damaged = |source| DataError::Tar { path: path.to_owned(), source };
        let mut entries = HashMap::new();
        let mut archive = tar::Archive::new(Cursor::new(mapped.clone()));
        for entry in archive.entries_with_seek().map_err(damaged)? {
            let entry = entry.map_err(damaged)?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let name = entry.path().map_err(damaged)?.to_string_lossy().replace('\\', "/");
            let start = usize::try_from(entry.raw_file_position()).unwrap_or(usize::MAX);
            let length = usize::try_from(entry.size()).unwrap_or(usize::MAX);
            if mapped.part(start, length).is_none() {
                return Err(damaged(io::Error::new(io::ErrorKind::UnexpectedEof, format!("it ends within {name}"))));
            }
            let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
            if is_real(&name) {
                entries.insert(name, start..start + length);
            }
        }
        Ok(Files::Tar { path: path.to_owned(), bytes: mapped, entries: Arc::new(entries) })
    }

    /// Opens the archive called `name` below this root: in place where it is stored as it is.
    pub(crate) fn inner_archive(&self, name: &str) -> Result<Self, DataError> {
        let path = self.root().join(name);
        let Files::Zip { archive, .. } = self else {
            return match self {
                Files::Folder(_) if has_extension(name, &["tar"]) => Self::tar(&path),
                Files::Folder(_) => Self::zip(&path),
                _ => Err(DataError::Read { path, source: io::ErrorKind::Unsupported.into() }),
            };
        };
        let unreadable = |source: io::Error| DataError::Read { path: path.clone(), source };
        let mut archive = archive.clone();
        let bytes = archive.clone().into_inner().into_inner();
        let mut entry = archive.by_name(name).map_err(|error| unreadable(error.into()))?;
        let size = entry.size();
        if size > MAX_INNER_ARCHIVE {
            return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
        }
        if entry.compression() == CompressionMethod::Stored
            && let (Some(start), Ok(length)) = (entry.data_start(), usize::try_from(size))
            && let Some(part) = usize::try_from(start).ok().and_then(|start| bytes.part(start, length))
        {
            drop(entry);
            return Self::zip_of(path, part);
        }
        let mut unpacked = tempfile::tempfile().map_err(unreadable)?;
        io::copy(&mut (&mut entry).take(MAX_INNER_ARCHIVE), &mut unpacked).map_err(unreadable)?;
        unpacked.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let mapped = Mapped::whole(&unpacked).map_err(unreadable)?;
        drop(entry);
        Self::zip_of(path, mapped)
    }

    /// The folder or archive itself.
    pub(crate) fn root(&self) -> &Path {
        match self {
            Files::Folder(path) | Files::Zip { path, .. } | Files::Tar { path, .. } => path,
        }
    }

    /// How messages name the file `name`.
    pub(crate) fn describe(&self, name: &str) -> String {
        self.root().join(name).display().to_string()
    }

    /// What lies below, some folders deep. What macOS adds to archives, and hidden files, are left out.
    pub(crate) fn list(&self) -> Result<Listing, DataError> {
        let mut listing = Listing::default();
        let mut folders = BTreeSet::from([String::new()]);
        match self {
            Files::Folder(path) => list_folder(path, "", 0, &mut listing, &mut folders)?,
            Files::Zip { archive, .. } => {
                for name in archive.file_names().flatten() {
                    list_name(&name, &mut listing, &mut folders);
                }
            }
            Files::Tar { entries, .. } => {
                entries.keys().for_each(|name| list_name(name, &mut listing, &mut folders));
            }
        }
        listing.files.sort_unstable();
        listing.folders = folders.into_iter().collect();
        Ok(listing)
    }

    /// The names of all files of an archive, sorted; none of a folder.
    pub(crate) fn all_names(&self) -> Vec<String> {
        let mut names: Vec<String> = match self {
            Files::Folder(_) => Vec::new(),
            Files::Zip { archive, .. } => archive.file_names().flatten().map(|name| name.into_owned()).collect(),
            Files::Tar { entries, .. } => entries.keys().cloned().collect(),
        };
        names.sort_unstable();
        names
    }

    /// Whether there is a file called `name`.
    pub(crate) fn contains(&self, name: &str) -> bool {
        match self {
            Files::Folder(path) => path.join(name).is_file(),
            Files::Zip { archive, .. } => archive.index_for_name(name).is_some(),
            Files::Tar { entries, .. } => entries.contains_key(name),
        }
    }

    /// The content of the file `name`.
    pub(crate) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        match self {
            Files::Folder(path) => fs::read(path.join(name)),
            Files::Zip { archive, .. } => {
                // A clone shares the mapping and the list of contents, and has a position of its own.
                let mut archive = archive.clone();
                let entry = archive.by_name(name)?;
                let size = entry.size();
                if size > MAX_ENTRY {
                    return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{size} bytes when unpacked")));
                }
                let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
                // The stated size can lie; the limit holds anyway.
                entry.take(MAX_ENTRY).read_to_end(&mut content)?;
                Ok(content)
            }
            Files::Tar { bytes, entries, .. } => {
                let range = entries.get(name).ok_or(io::ErrorKind::NotFound)?;
                Ok(bytes.as_ref()[range.clone()].to_vec())
            }
        }
    }

    /// The content of the table `name`, or an error that names it.
    pub(crate) fn read_table(&self, name: &str) -> Result<Vec<u8>, DataError> {
        let path = self.root().join(name);
        let content = self.read(name).map_err(|source| DataError::Read { path: path.clone(), source })?;
        if is_web_page(&content) { Err(DataError::WebPage { path }) } else { Ok(content) }
    }
}

fn list_folder(
    path: &Path,
    prefix: &str,
    depth: usize,
    listing: &mut Listing,
    folders: &mut BTreeSet<String>,
) -> Result<(), DataError> {
    let unreadable = |source| DataError::Read { path: path.to_owned(), source };
    let mut below = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !is_real(&name) {
            continue;
        }
        // Images are most of what there is, and need no look at what they are.
        if is_image_name(&name) {
            listing.images += 1;
            continue;
        }
        if entry.path().is_dir() {
            below.push(name);
        } else {
            listing.files.push(format!("{prefix}{name}"));
        }
    }
    below.sort_unstable();
    for name in below {
        let prefix = format!("{prefix}{name}/");
        if depth + 1 < MAX_DEPTH {
            list_folder(&path.join(&name), &prefix, depth + 1, listing, folders)?;
        }
        folders.insert(prefix);
    }
    Ok(())
}

fn list_name(name: &str, listing: &mut Listing, folders: &mut BTreeSet<String>) {
    if !is_real(name) {
        return;
    }
    // A folder that is known has known parents.
    let mut end = name.len();
    while let Some(slash) = name[..end].rfind('/') {
        if !folders.insert(name[..=slash].to_owned()) {
            break;
        }
        end = slash;
    }
    if is_image_name(name) {
        listing.images += 1;
    } else if !name.ends_with('/') {
        listing.files.push(name.to_owned());
    }
}

/// Whether a name is neither hidden nor of what macOS adds to archives.
pub(crate) fn is_real(name: &str) -> bool {
    !name.split('/').any(|part| part == "__MACOSX" || (part.starts_with('.') && part != "." && part != ".."))
}

/// Whether a name ends in one of these extensions, in any case.
pub(crate) fn has_extension(name: &str, extensions: &[&str]) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| extensions.iter().any(|known| known.eq_ignore_ascii_case(extension)))
}

/// Whether a name is that of an image.
pub(crate) fn is_image_name(name: &str) -> bool {
    has_extension(name, &["jpg", "jpeg", "png", "webp", "bmp", "gif"])
}

/// Whether this is a page for a browser: what a download from a shared drive leaves behind when its quota is used up.
fn is_web_page(content: &[u8]) -> bool {
    let start = content[..content.len().min(256)].trim_ascii_start().to_ascii_lowercase();
    let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&start);
    start.starts_with(b"<!doctype html") || start.starts_with(b"<html")
}

/// The number of whole entries at the start of a zip archive, found without its list of contents, which stands at the
/// end and is what a broken download lacks.
fn complete_entries(archive: &[u8]) -> u64 {
    /// A local header: signature, then, among others, flags at 6, the compressed size at 18 and two lengths at 26.
    const HEADER: usize = 30;
    let (mut at, mut found) = (0usize, 0);
    while let Some(header) = archive.get(at..at.saturating_add(HEADER)) {
        let short = |offset: usize| usize::from(u16::from_le_bytes([header[offset], header[offset + 1]]));
        let streamed = header[6] & 8 != 0;
        if !header.starts_with(b"PK\x03\x04") || streamed {
            break;
        }
        let size = u32::from_le_bytes([header[18], header[19], header[20], header[21]]) as usize;
        at = at.saturating_add(HEADER + short(26) + short(28)).saturating_add(size);
        if at > archive.len() {
            break;
        }
        found += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn an_archive_is_read_in_place_from_many_threads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zip");
        let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
        let content = |number: usize| format!("content {number} ").repeat(100 * number).into_bytes();
        for number in 0..20 {
            let method =
                if number % 2 == 0 { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
            let options = zip::write::SimpleFileOptions::default().compression_method(method);
            writer.start_file(format!("folder/{number}"), options).unwrap();
            writer.write_all(&content(number)).unwrap();
        }
        for junk in ["__MACOSX/folder/._0", "folder/._0"] {
            writer.start_file(junk, zip::write::SimpleFileOptions::default()).unwrap();
        }
        writer.finish().unwrap();

        let files = Files::zip(&path).unwrap();
        let listing = files.list().unwrap();
        assert_eq!((listing.files.len(), listing.folders), (20, vec![String::new(), "folder/".to_owned()]));
        assert!(files.contains("folder/3") && !files.contains("folder/33"));
        std::thread::scope(|scope| {
            for start in 0..4 {
                let files = &files;
                scope.spawn(move || {
                    for number in (0..20).cycle().skip(start * 5).take(40) {
                        assert_eq!(files.read(&format!("folder/{number}")).unwrap(), content(number));
                    }
                });
            }
        });
        assert_eq!(files.read("folder/33").unwrap_err().kind(), io::ErrorKind::NotFound);

        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        // The first twelve files are smaller than the last eight.
        assert!(matches!(Files::zip(&path), Err(DataError::Zip { found: 10..=16, .. })));
    }
}
