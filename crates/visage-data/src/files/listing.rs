//! Listing a folder or an archive in search of a dataset.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::names::{is_hidden, is_image_name};
use crate::error::DataError;

/// How many folders deep a dataset is searched.
const MAX_DEPTH: usize = 5;

/// Files that together mark the folder of a training run.
const RUN: [&str; 2] = ["run.json", "recipe.toml"];
/// Tables that visage itself writes beside a dataset.
const REPORTS: [&str; 2] = ["audit-labels.csv", "audit-duplicates.csv"];

/// The files and folders below a root. Hidden files, macOS's metadata, and what visage writes (runs, reports) are left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// The names of files that are not images, sorted.
    pub(crate) files: Vec<String>,
    /// The names of folders with a `/` at the end, sorted; the root itself is `""`.
    pub(crate) folders: Vec<String>,
    /// The names of images, sorted.
    pub(crate) images: Vec<String>,
}

impl Listing {
    /// Lists a folder.
    pub(super) fn of_folder(path: &Path) -> Result<Self, DataError> {
        let mut listing = Listing::default();
        let mut folders = BTreeSet::from([String::new()]);
        listing.add_folder(path, "", 0, &mut folders)?;
        Ok(listing.sorted(folders))
    }

    /// Lists an archive with files of these names.
    pub(super) fn of_names(names: impl Iterator<Item = String>) -> Self {
        let mut listing = Listing::default();
        let mut folders = BTreeSet::from([String::new()]);
        names.for_each(|name| listing.add_name(name, &mut folders));
        listing.sorted(folders)
    }

    fn sorted(mut self, folders: BTreeSet<String>) -> Self {
        self.files.sort_unstable();
        self.images.sort_unstable();
        self.folders = folders.into_iter().collect();
        self.leave_out_own_files();
        self
    }

    /// Leaves out the folders of runs below the root, and reports.
    fn leave_out_own_files(&mut self) {
        let is_run = |folder: &&String| {
            let has = |name: &str| self.files.binary_search(&format!("{folder}{name}")).is_ok();
            !folder.is_empty() && RUN.iter().all(|name| has(name))
        };
        let runs: Vec<String> = self.folders.iter().filter(is_run).cloned().collect();
        let is_own = |name: &String| runs.iter().any(|run| name.starts_with(run.as_str()));
        let is_report = |name: &String| REPORTS.contains(&name.rsplit('/').next().unwrap_or_default());
        self.files.retain(|name| !is_own(name) && !is_report(name));
        self.images.retain(|name| !is_own(name));
        self.folders.retain(|name| !is_own(name));
    }

    fn add_folder(
        &mut self,
        path: &Path,
        prefix: &str,
        depth: usize,
        folders: &mut BTreeSet<String>,
    ) -> Result<(), DataError> {
        let unreadable = |source| DataError::Read { path: path.to_owned(), source };
        let mut subfolders = Vec::new();
        for entry in fs::read_dir(path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if is_hidden(&name) {
                continue;
            }
            // Most entries are images, and asking the system what each of them is would take long.
            if is_image_name(&name) {
                self.images.push(format!("{prefix}{name}"));
            } else if entry.path().is_dir() {
                subfolders.push(name);
            } else {
                self.files.push(format!("{prefix}{name}"));
            }
        }
        for name in subfolders {
            let prefix = format!("{prefix}{name}/");
            if depth + 1 < MAX_DEPTH {
                self.add_folder(&path.join(&name), &prefix, depth + 1, folders)?;
            }
            folders.insert(prefix);
        }
        Ok(())
    }

    fn add_name(&mut self, name: String, folders: &mut BTreeSet<String>) {
        if is_hidden(&name) {
            return;
        }
        // The parents of a known folder are known.
        let mut end = name.len();
        while let Some(slash) = name[..end].rfind('/') {
            if !folders.insert(name[..=slash].to_owned()) {
                break;
            }
            end = slash;
        }
        if is_image_name(&name) {
            self.images.push(name);
        } else if !name.ends_with('/') {
            self.files.push(name);
        }
    }
}
