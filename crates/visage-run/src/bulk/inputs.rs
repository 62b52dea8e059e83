//! The images that paths name, one after another: the list of all is never held in memory.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead};
use std::mem;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use glob::{MatchOptions, Pattern};
use visage_data::{Archive, NameKind, TableOptions, image_list, read_image_file};

use super::BulkError;
use super::names::{name_of, path_of};
use super::walk::Walk;

/// Stands for paths on standard input.
const STANDARD_INPUT: &str = "-";

/// An image to predict.
#[derive(Clone, Debug)]
pub struct ImageInput {
    /// Its path. For an image in an archive: the path of the archive, then its name inside.
    pub path: PathBuf,
    /// The archive, and its name inside.
    archive: Option<(Arc<Archive>, String)>,
}

impl ImageInput {
    pub(super) fn file(path: PathBuf) -> Self {
        Self { path, archive: None }
    }

    /// Its name in the output: its path, with bytes that are not UTF-8 escaped.
    #[must_use]
    pub fn name(&self) -> String {
        name_of(&self.path)
    }

    /// The image with this name in the output.
    ///
    /// # Errors
    ///
    /// If the archive that its path names cannot be opened.
    pub fn named(name: &str) -> Result<Self, BulkError> {
        let path = path_of(name);
        let Some(archive) = archive_of(&path) else { return Ok(Self::file(path)) };
        let within = path.strip_prefix(&archive).unwrap_or(&path).to_string_lossy().into_owned();
        let archive = Arc::new(Archive::open(&archive)?);
        Ok(Self { path, archive: Some((archive, within)) })
    }

    /// The bytes of its file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        match &self.archive {
            None => read_image_file(&self.path),
            Some((archive, name)) => archive.read(name),
        }
    }
}

/// A file that an argument names, or that is in a folder or an archive that it names.
#[derive(Clone, Debug)]
pub enum Input {
    /// An image to predict.
    Image(ImageInput),
    /// A file in a folder or an archive whose name is not that of an image.
    Other,
}

/// Files, or the reason why one cannot be found. A reason does not end the iteration.
pub type Inputs<'a> = Box<dyn Iterator<Item = Result<Input, BulkError>> + 'a>;

/// Every file that an argument names or matches as a pattern, every file in a folder or an archive that it names, in sorted
/// order, and every image that a table lists, which is read as `tables` says. The argument `-` stands for arguments on standard input,
/// one per line. Hidden files and folders are passed by.
#[must_use]
pub fn inputs<'a>(arguments: &'a [PathBuf], tables: &'a TableOptions) -> Inputs<'a> {
    Box::new(arguments.iter().flat_map(move |argument| {
        if argument.as_os_str() != STANDARD_INPUT {
            return below(argument, tables);
        }
        let mut has_failed = false;
        // After an error, the next line would most likely give the same error, without end.
        let lines =
            io::stdin().lock().split(b'\n').take_while(move |line| !mem::replace(&mut has_failed, line.is_err()));
        Box::new(lines.flat_map(|line| of_line(line, tables)))
    }))
}

/// The number of images, and of the errors among them; `None` if some are named on standard input, which can be read only once.
///
/// # Errors
///
/// [`BulkError::NoImages`], or [`BulkError::Pattern`].
pub fn count_inputs(arguments: &[PathBuf], tables: &TableOptions) -> Result<Option<u64>, BulkError> {
    if arguments.iter().any(|argument| argument.as_os_str() == STANDARD_INPUT) {
        return Ok(None);
    }
    let mut count = 0;
    for input in inputs(arguments, tables) {
        match input {
            Err(error @ BulkError::Pattern(_)) => return Err(error),
            Ok(Input::Image(_)) | Err(_) => count += 1,
            Ok(Input::Other) => {}
        }
    }
    if count == 0 { Err(no_images(arguments)) } else { Ok(Some(count)) }
}

/// The error that no argument names an image.
pub(super) fn no_images(arguments: &[PathBuf]) -> BulkError {
    BulkError::NoImages { paths: arguments.iter().map(|path| path.display().to_string()).collect() }
}

pub(super) fn one(input: Result<Input, BulkError>) -> Inputs<'static> {
    Box::new(std::iter::once(input))
}

/// The images that a line of standard input names. A path may hold any bytes, so it need not be UTF-8.
fn of_line(line: io::Result<Vec<u8>>, tables: &TableOptions) -> Inputs<'_> {
    let failed = |source| one(Err(BulkError::Read { path: PathBuf::from(STANDARD_INPUT), source }));
    let mut line = match line {
        Ok(line) => line,
        Err(source) => return failed(source),
    };
    // Of a line from Windows.
    line.pop_if(|byte| *byte == b'\r');
    if line.is_empty() {
        return Box::new(std::iter::empty());
    }
    match path_of_bytes(line) {
        Ok(path) => below(&path, tables),
        Err(source) => failed(source),
    }
}

#[cfg(unix)]
fn path_of_bytes(bytes: Vec<u8>) -> io::Result<PathBuf> {
    use std::os::unix::ffi::OsStringExt;

    Ok(OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
fn path_of_bytes(bytes: Vec<u8>) -> io::Result<PathBuf> {
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "a line is not UTF-8 text");
    String::from_utf8(bytes).map(OsString::from).map(PathBuf::from).map_err(not_text)
}

/// The images of a folder, an archive, a pattern or a file.
fn below<'a>(path: &Path, tables: &'a TableOptions) -> Inputs<'a> {
    // A link exists even if its target does not.
    let exists = fs::symlink_metadata(path).is_ok();
    match path.to_str() {
        // A pattern that the shell did not expand. A file of that very name takes precedence.
        Some(pattern) if pattern.contains(['*', '?', '[']) && !exists => matching(pattern, tables),
        _ => of_path(path.to_owned(), tables),
    }
}

fn matching<'a>(pattern: &str, tables: &'a TableOptions) -> Inputs<'a> {
    // As in a shell, `*` leaves hidden files out.
    let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
    let mut paths = match glob::glob_with(&with_literal_folders(Path::new(pattern)), options) {
        Ok(paths) => paths.peekable(),
        Err(error) => return one(Err(error.into())),
    };
    if paths.peek().is_none() {
        return one(Err(no_images(&[PathBuf::from(pattern)])));
    }
    Box::new(paths.flat_map(move |found| match found {
        Ok(path) => of_path(path, tables),
        Err(error) => one(Err(BulkError::Read { path: error.path().to_owned(), source: error.into() })),
    }))
}

/// A pattern in which the folders at its start that exist under their very name are not patterns.
fn with_literal_folders(pattern: &Path) -> String {
    let (mut literal, mut escaped, mut exists) = (PathBuf::new(), PathBuf::new(), true);
    for component in pattern.components() {
        literal.push(component);
        exists = exists && fs::symlink_metadata(&literal).is_ok();
        match component {
            Component::Normal(name) if exists => escaped.push(Pattern::escape(&name.to_string_lossy())),
            component => escaped.push(component),
        }
    }
    escaped.to_string_lossy().into_owned()
}

/// The images that a table lists.
fn listed(table: &Path, tables: &TableOptions) -> Inputs<'static> {
    let paths = match image_list::read(table, tables) {
        Ok(paths) => paths,
        Err(error) => return one(Err(error.into())),
    };
    // A table names the images of one archive after another, and opening an archive reads its whole directory.
    let mut last: Option<(PathBuf, Arc<Archive>)> = None;
    Box::new(paths.into_iter().map(move |path| {
        let path = PathBuf::from(path);
        let Some(within) = archive_of(&path) else { return Ok(Input::Image(ImageInput::file(path))) };
        let archive = match &last {
            Some((known, archive)) if *known == within => Arc::clone(archive),
            _ => Arc::new(Archive::open(&within)?),
        };
        last = Some((within.clone(), Arc::clone(&archive)));
        let name = path.strip_prefix(&within).unwrap_or(&path).to_string_lossy().into_owned();
        Ok(Input::Image(ImageInput { path, archive: Some((archive, name)) }))
    }))
}

/// The archive that a path leads into, if it is not itself the path of a file.
fn archive_of(path: &Path) -> Option<PathBuf> {
    let is_archive = |path: &&Path| Archive::is_named(path) && path.is_file();
    path.ancestors().skip(1).find(is_archive).filter(|_| !path.exists()).map(Path::to_owned)
}

fn of_path(path: PathBuf, tables: &TableOptions) -> Inputs<'_> {
    if path.is_dir() {
        return Box::new(Walk::new(path));
    }
    if image_list::is_table(&path) && path.is_file() {
        return listed(&path, tables);
    }
    if !(Archive::is_named(&path) && path.is_file()) {
        return one(Ok(Input::Image(ImageInput::file(path))));
    }
    match Archive::open(&path) {
        Ok(archive) => {
            let (names, archive) = (archive.files(), Arc::new(archive));
            Box::new(names.into_iter().filter_map(move |name| match NameKind::of(&name) {
                NameKind::Hidden => None,
                NameKind::Other => Some(Ok(Input::Other)),
                NameKind::Image => {
                    let archive = Some((Arc::clone(&archive), name.clone()));
                    Some(Ok(Input::Image(ImageInput { path: path.join(name), archive })))
                }
            }))
        }
        Err(error) => one(Err(error.into())),
    }
}
