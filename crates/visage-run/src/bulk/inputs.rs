//! The images that paths name, one after another: the list of all is never held in memory.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec;

use visage_data::Archive;

use super::BulkError;

/// Stands for paths on standard input.
const STANDARD_INPUT: &str = "-";

/// Extensions of the images in a folder.
const EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "bmp", "gif"];

/// An image to predict.
#[derive(Clone, Debug)]
pub struct ImageInput {
    /// Its path, which names it in the output. For an image in an archive: the path of the archive, then its name inside.
    pub path: PathBuf,
    /// The archive, and its name inside.
    archive: Option<(Arc<Archive>, String)>,
}

impl ImageInput {
    fn file(path: PathBuf) -> Self {
        Self { path, archive: None }
    }

    /// The image with this name in the output.
    ///
    /// # Errors
    ///
    /// If the archive that its path names cannot be opened.
    pub fn named(name: &str) -> Result<Self, BulkError> {
        let path = Path::new(name);
        let is_archive = |path: &&Path| Archive::is_named(path) && path.is_file();
        let archive = path.ancestors().skip(1).find(is_archive).filter(|_| !path.exists());
        let Some(archive) = archive else { return Ok(Self::file(path.to_owned())) };
        let within = path.strip_prefix(archive).unwrap_or(path).to_string_lossy().into_owned();
        Ok(Self { path: path.to_owned(), archive: Some((Arc::new(Archive::open(archive)?), within)) })
    }

    /// The bytes of its file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        match &self.archive {
            None => fs::read(&self.path),
            Some((archive, name)) => archive.read(name),
        }
    }
}

/// Images, or the reason why one cannot be found.
pub type Inputs<'a> = Box<dyn Iterator<Item = Result<ImageInput, BulkError>> + 'a>;

/// Every file that an argument names or matches as a pattern, and every image in a folder or an archive that it names, in sorted
/// order. The argument `-` stands for arguments on standard input, one per line.
#[must_use]
pub fn inputs(arguments: &[PathBuf]) -> Inputs<'_> {
    Box::new(arguments.iter().flat_map(|argument| {
        if argument.as_os_str() != STANDARD_INPUT {
            return below(argument);
        }
        let of_line = |line: io::Result<String>| match line {
            Ok(line) if line.is_empty() => none(),
            Ok(line) => below(Path::new(&line)),
            Err(source) => one(Err(BulkError::Read { path: PathBuf::from(STANDARD_INPUT), source })),
        };
        Box::new(io::stdin().lines().flat_map(of_line))
    }))
}

/// The number of images; `None` if some are named on standard input, which can be read only once.
///
/// # Errors
///
/// [`BulkError::NoImages`], or a folder or an archive that cannot be read.
pub fn count_inputs(arguments: &[PathBuf]) -> Result<Option<u64>, BulkError> {
    if arguments.iter().any(|argument| argument.as_os_str() == STANDARD_INPUT) {
        return Ok(None);
    }
    let mut count = 0;
    for input in inputs(arguments) {
        input?;
        count += 1;
    }
    if count == 0 { Err(no_images(arguments)) } else { Ok(Some(count)) }
}

/// The error that no argument names an image.
pub(super) fn no_images(arguments: &[PathBuf]) -> BulkError {
    BulkError::NoImages { paths: arguments.iter().map(|path| path.display().to_string()).collect() }
}

fn none() -> Inputs<'static> {
    Box::new(std::iter::empty())
}

fn one(input: Result<ImageInput, BulkError>) -> Inputs<'static> {
    Box::new(std::iter::once(input))
}

/// The images of a folder, an archive, a pattern or a file.
fn below(path: &Path) -> Inputs<'static> {
    match path.to_str() {
        // A pattern that the shell did not expand. A file of that very name takes precedence.
        Some(pattern) if pattern.contains(['*', '?', '[']) && !path.exists() => match glob::glob(pattern) {
            Ok(paths) => Box::new(paths.flat_map(|found| match found {
                Ok(path) => of_path(path),
                Err(error) => one(Err(BulkError::Read { path: error.path().to_owned(), source: error.into() })),
            })),
            Err(error) => one(Err(error.into())),
        },
        _ => of_path(path.to_owned()),
    }
}

fn of_path(path: PathBuf) -> Inputs<'static> {
    if path.is_dir() {
        return Box::new(Walk { open: Vec::new(), next: Some(path) });
    }
    if !(Archive::is_named(&path) && path.is_file()) {
        return one(Ok(ImageInput::file(path)));
    }
    match Archive::open(&path) {
        Ok(archive) => {
            let (names, archive) = (archive.images(), Arc::new(archive));
            Box::new(names.into_iter().map(move |name| {
                Ok(ImageInput { path: path.join(&name), archive: Some((Arc::clone(&archive), name)) })
            }))
        }
        Err(error) => one(Err(error.into())),
    }
}

/// A depth-first walk through the images in a folder, in sorted order. It holds the names in the open folders only.
struct Walk {
    /// The open folders: their paths, and their remaining entries with whether each is a folder.
    open: Vec<(PathBuf, vec::IntoIter<(OsString, bool)>)>,
    /// A folder to open next.
    next: Option<PathBuf>,
}

impl Walk {
    /// Opens a folder and sorts its images and folders by name.
    fn enter(&mut self, folder: PathBuf) -> io::Result<()> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            // The type of the entry itself, not of a link's target: a link to a parent folder would make a cycle.
            let (name, is_folder) = (entry.file_name(), entry.file_type()?.is_dir());
            if is_folder || is_image(Path::new(&name)) {
                names.push((name, is_folder));
            }
        }
        names.sort_unstable();
        self.open.push((folder, names.into_iter()));
        Ok(())
    }
}

impl Iterator for Walk {
    type Item = Result<ImageInput, BulkError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(folder) = self.next.take()
                && let Err(source) = self.enter(folder.clone())
            {
                return Some(Err(BulkError::Read { path: folder, source }));
            }
            let (folder, names) = self.open.last_mut()?;
            match names.next() {
                Some((name, true)) => self.next = Some(folder.join(name)),
                Some((name, false)) => return Some(Ok(ImageInput::file(folder.join(name)))),
                None => drop(self.open.pop()),
            }
        }
    }
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)))
}
