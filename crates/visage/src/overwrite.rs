//! The option to replace files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use clap::Args;

use crate::error::CommandError;

/// What every text, page, graph and weight file of visage contains in its beginning.
const MARK: &[u8] = b"visage";
/// The bytes of a file in which the mark is looked for.
const BEGINNING: u64 = 1 << 16;

/// The option of commands that write files.
#[derive(Clone, Copy, Debug, Args)]
pub struct OverwriteArgs {
    /// Replace files that visage did not write.
    #[arg(long)]
    pub force: bool,
}

impl OverwriteArgs {
    /// Checks that there is no file at `path`, or one that may be replaced: one that visage wrote, any with --force, and what is no
    /// file, such as a terminal.
    ///
    /// # Errors
    ///
    /// When the file may not be replaced.
    pub fn check(self, path: &Path) -> Result<(), CommandError> {
        if self.force || !path.is_file() {
            return Ok(());
        }
        let mut beginning = Vec::new();
        let read = File::open(path).and_then(|file| file.take(BEGINNING).read_to_end(&mut beginning));
        let is_own = read.is_ok() && beginning.windows(MARK.len()).any(|part| part == MARK);
        if is_own || beginning.is_empty() && read.is_ok() {
            return Ok(());
        }
        Err(CommandError::NotOurs { path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_own_and_empty_files_are_replaced_without_being_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let check = |force: bool| OverwriteArgs { force }.check(&path).is_ok();
        assert!(check(false), "there is none");
        for (content, is_replaced) in [("my notes", false), ("{\"visage_version\": \"0.1.0\"}", true), ("", true)] {
            fs::write(&path, content).unwrap();
            assert_eq!(check(false), is_replaced, "{content}");
            assert!(check(true));
        }
        assert!(OverwriteArgs { force: false }.check(folder.path()).is_ok());
    }
}
