//! Images that a table calls by another name than their file has: another extension or case, backslashes, a folder more or
//! less in front, another Unicode form or encoding.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;

/// The names shown where none matches.
const SHOWN: usize = 3;

/// Files by their folded names without folder and extension.
pub(super) struct NearNames {
    files: Vec<File>,
    by_stem: HashMap<String, Vec<usize>>,
}

struct File {
    /// The index of the folder or archive that holds it.
    place: usize,
    name: String,
    folded: String,
}

/// A name without differences that never distinguish two images: NFC, lower case, `/` between the parts.
fn fold(name: &str) -> String {
    let name = name.nfc().flat_map(char::to_lowercase).collect::<String>().replace('\\', "/");
    name.strip_prefix("./").unwrap_or(&name).to_owned()
}

/// The folders of a folded name, its last part without extension, and its extension.
fn split(folded: &str) -> (&str, &str, &str) {
    let (folders, file) = folded.rsplit_once('/').unwrap_or(("", folded));
    let (stem, extension) = file.rsplit_once('.').unwrap_or((file, ""));
    (folders, stem, extension)
}

impl NearNames {
    /// The files in several places: for each place its number, and the names of its files with any other names they have.
    pub(super) fn new(files: impl Iterator<Item = (usize, String, String)>) -> Self {
        let mut names = NearNames { files: Vec::new(), by_stem: HashMap::new() };
        for (place, name, alias) in files {
            let folded = fold(&alias);
            let (folder, stem, _) = split(&folded);
            // A table may write a name without its extension, which itself holds a dot.
            let whole = folded[folder.len()..].trim_start_matches('/').to_owned();
            names.by_stem.entry(stem.to_owned()).or_default().push(names.files.len());
            if whole != stem {
                names.by_stem.entry(whole).or_default().push(names.files.len());
            }
            names.files.push(File { place, name, folded });
        }
        names
    }

    /// The files that may be the one that a table calls `image`: those whose folders agree with the table's as far as both
    /// name them, and of these the ones that agree in most folders, then in their extension.
    fn candidates(&self, image: &str) -> Vec<usize> {
        let folded = fold(image);
        let (folders, stem, extension) = split(&folded);
        let file = folded[folders.len()..].trim_start_matches('/');
        let mut found: Vec<usize> =
            self.by_stem.get(stem).into_iter().chain(self.by_stem.get(file)).flatten().copied().collect();
        found.sort_unstable();
        found.dedup();
        let parts = |folders: &str| {
            folders.split('/').rev().filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let wanted = parts(folders);
        let rank = |&file: &usize| {
            let (folders, _, other) = split(&self.files[file].folded);
            let own = parts(folders);
            let same = own.iter().zip(&wanted).take_while(|(a, b)| a == b).count();
            (same == own.len().min(wanted.len())).then_some((same, other == extension))
        };
        let best = found.iter().filter_map(rank).max();
        found.retain(|file| best.is_some() && rank(file) == best);
        found
    }

    /// The place and name of the one file that a table may call `image`.
    pub(super) fn find(&self, image: &str) -> Option<(usize, &str)> {
        let candidates = self.candidates(image);
        let first = self.files.get(*candidates.first()?)?;
        // The same file may be listed under several of its own names.
        let is_same = |&other: &usize| (self.files[other].place, &self.files[other].name) == (first.place, &first.name);
        candidates.iter().all(is_same).then_some((first.place, first.name.as_str()))
    }

    /// The names most like `image`.
    pub(super) fn nearest(&self, image: &str) -> Vec<String> {
        let folded = fold(image);
        let (_, stem, _) = split(&folded);
        let distance = |file: &File| strsim::levenshtein(stem, split(&file.folded).1);
        let mut nearest: Vec<(usize, &str)> =
            self.files.iter().map(|file| (distance(file), file.name.as_str())).collect();
        nearest.sort_unstable();
        nearest.dedup();
        nearest.into_iter().take(SHOWN).map(|(_, name)| name.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &[&str]) -> NearNames {
        NearNames::new(files.iter().map(|name| (0, (*name).to_owned(), (*name).to_owned())))
    }

    #[test]
    fn a_unique_near_name_is_found() {
        for (image, file) in [
            ("000001", "img/000001.jpg"),
            ("a.v2", "img/a.v2.png"),
            ("a.png", "A.JPG"),
            (r"img\a.jpg", "img/a.jpg"),
            ("faces/img/a.jpg", "img/a.jpg"),
            ("/home/ada/faces/img/a.jpg", "img/a.jpg"),
            ("a.jpg", "x/y/a.jpg"),
            ("re\u{301}ne.jpg", "r\u{e9}ne.jpg"),
        ] {
            assert_eq!(names(&[file, "img/b.jpg", "c/d.png"]).find(image), Some((0, file)), "{image}");
        }
    }

    #[test]
    fn a_name_that_may_be_several_files_or_another_image_is_not_found() {
        for (image, files) in [
            ("1.jpg", &["a/1.jpg", "b/1.jpg"][..]),
            ("train/1.jpg", &["val/1.jpg"]),
            ("1", &["1.jpg", "1.png"]),
            ("1.jpg", &["11.jpg"]),
        ] {
            assert_eq!(names(files).find(image), None, "{image}");
        }
        assert_eq!(names(&["1.jpg", "1.png"]).find("x/1.png"), Some((0, "1.png")), "the extension decides");
        assert_eq!(names(&["a/1.jpg", "b/1.jpg"]).find("b/1.jpeg"), Some((0, "b/1.jpg")), "the folder decides");
        assert_eq!(names(&["photo_11.jpg", "photo_2.jpg"]).nearest("photo_1.jpg")[0], "photo_11.jpg");
    }
}
