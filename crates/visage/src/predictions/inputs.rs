//! The images a command line names, one after another: no list of them all is ever held.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec;

use visage_data::Archive;

use crate::error::CommandError;

/// What stands for paths on standard input.
const STANDARD_INPUT: &str = "-";

/// What the names of images in a folder end in.
const EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "bmp", "gif"];

/// An image to ask about.
#[derive(Clone, Debug)]
pub struct Input {
    /// How answers name it: its path; of an image in an archive, that of the archive and its name there.
    pub path: PathBuf,
    /// The archive it is in, and its name there.
    archive: Option<(Arc<Archive>, String)>,
}

impl Input {
    fn file(path: PathBuf) -> Self {
        Self { path, archive: None }
    }

    /// The image that answers name so.
    ///
    /// # Errors
    ///
    /// When an archive on its path cannot be opened.
    pub fn named(name: &str) -> Result<Self, CommandError> {
        let path = Path::new(name);
        let is_archive = |path: &&Path| Archive::is_named(path) && path.is_file();
        let archive = path.ancestors().skip(1).find(is_archive).filter(|_| !path.exists());
        let Some(archive) = archive else { return Ok(Self::file(path.to_owned())) };
        let within = path.strip_prefix(archive).unwrap_or(path).to_string_lossy().into_owned();
        Ok(Self { path: path.to_owned(), archive: Some((Arc::new(Archive::open(archive)?), within)) })
    }

    /// The content of its file.
    ///
    /// # Errors
    ///
    /// The system's, or the archive's.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        match &self.archive {
            None => fs::read(&self.path),
            Some((archive, name)) => archive.read(name),
        }
    }
}

/// Images, or why there are no more.
type Inputs<'a> = Box<dyn Iterator<Item = Result<Input, CommandError>> + 'a>;

/// Every file named or matched by a pattern, here or on standard input, and every image below every folder and in every archive
/// named, folders and archives in sorted order.
pub fn inputs(arguments: &[PathBuf]) -> Inputs<'_> {
    Box::new(arguments.iter().flat_map(|argument| {
        if argument.as_os_str() != STANDARD_INPUT {
            return below(argument);
        }
        let of_line = |line: io::Result<String>| match line {
            Ok(line) if line.is_empty() => none(),
            Ok(line) => below(Path::new(&line)),
            Err(source) => one(Err(CommandError::Read { path: PathBuf::from(STANDARD_INPUT), source })),
        };
        Box::new(io::stdin().lines().flat_map(of_line))
    }))
}

/// How many images there are; `None` if some are named on standard input, which is read once.
///
/// # Errors
///
/// [`CommandError::NoImages`], or that of a folder or an archive that cannot be read.
pub fn count(arguments: &[PathBuf]) -> Result<Option<u64>, CommandError> {
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

/// That nothing was found.
pub fn no_images(arguments: &[PathBuf]) -> CommandError {
    CommandError::NoImages { paths: arguments.iter().map(|path| path.display().to_string()).collect() }
}

fn none() -> Inputs<'static> {
    Box::new(std::iter::empty())
}

fn one(input: Result<Input, CommandError>) -> Inputs<'static> {
    Box::new(std::iter::once(input))
}

/// The images of what is named: a folder, an archive, a pattern or a file.
fn below(path: &Path) -> Inputs<'static> {
    match path.to_str() {
        // A pattern that no shell has expanded. A file that is called like one is that file.
        Some(pattern) if pattern.contains(['*', '?', '[']) && !path.exists() => match glob::glob(pattern) {
            Ok(paths) => Box::new(paths.flat_map(|found| match found {
                Ok(path) => of_path(path),
                Err(error) => one(Err(CommandError::Read { path: error.path().to_owned(), source: error.into() })),
            })),
            Err(error) => one(Err(CommandError::usage(error))),
        },
        _ => of_path(path.to_owned()),
    }
}

fn of_path(path: PathBuf) -> Inputs<'static> {
    if path.is_dir() {
        return Box::new(Walk { open: Vec::new(), next: Some(path) });
    }
    if !(Archive::is_named(&path) && path.is_file()) {
        return one(Ok(Input::file(path)));
    }
    match Archive::open(&path) {
        Ok(archive) => {
            let (names, archive) = (archive.images(), Arc::new(archive));
            Box::new(
                names
                    .into_iter()
                    .map(move |name| Ok(Input { path: path.join(&name), archive: Some((Arc::clone(&archive), name)) })),
            )
        }
        Err(error) => one(Err(error.into())),
    }
}

/// A walk through the images below a folder, in sorted order. It holds the names in the folders it is inside of.
struct Walk {
    /// The folders it is inside of: their paths, and what is left of what is in them.
    open: Vec<(PathBuf, vec::IntoIter<(OsString, bool)>)>,
    /// A folder to enter.
    next: Option<PathBuf>,
}

impl Walk {
    /// The names in a folder, sorted, of images and of folders, and which of both each is.
    fn enter(&mut self, folder: PathBuf) -> io::Result<()> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            // The kind of the entry itself: a link to a folder above would lead round in circles.
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
    type Item = Result<Input, CommandError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(folder) = self.next.take()
                && let Err(source) = self.enter(folder.clone())
            {
                return Some(Err(CommandError::Read { path: folder, source }));
            }
            let (folder, names) = self.open.last_mut()?;
            match names.next() {
                Some((name, true)) => self.next = Some(folder.join(name)),
                Some((name, false)) => return Some(Ok(Input::file(folder.join(name)))),
                None => drop(self.open.pop()),
            }
        }
    }
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)))
}
