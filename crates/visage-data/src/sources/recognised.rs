//! The names and words by which datasets are understood, gathered from where they are used.

use super::celeba::{COMPANIONS, IMAGE_FOLDERS, LABELS, LANDMARKS};
use super::class_folders::OPPOSITES;
use super::columns::{IDENTITY, IMAGE, ROW_NUMBER};
use super::face_columns::{BOXES, POINTS};
use super::label_list::SEPARATORS;
use super::label_spelling::{ABSENT, MISSING, PRESENT};
use super::recognise::TEXT_TABLES;
use super::split_column::{FLAGS, NAMED, NUMBERED};
use crate::attributes::CELEBA_ATTRIBUTES;
use crate::files::{READABLE, UNREADABLE};
use crate::split::Split;

/// Names that mean the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognised {
    /// The group that they belong to, such as `Columns`.
    pub group: &'static str,
    /// What they mean.
    pub meaning: String,
    /// The names.
    pub names: Vec<String>,
}

/// Everything that is recognised by its name. Names of columns are without case and punctuation: `image_id` is `imageid`.
#[must_use]
pub fn recognised() -> Vec<Recognised> {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let entry = |group, meaning: &str, names: Vec<String>| Recognised { group, meaning: meaning.to_owned(), names };
    let files = "Files";
    let celeba = "CelebA's files";
    let columns = "Columns of tables";
    let words = "Words in cells";
    let landmarks = POINTS.iter().flat_map(|point| [format!("{point}x"), format!("{point}y")]).collect();
    let mut found = vec![
        entry(files, "images that are read", owned(&READABLE)),
        entry(files, "images that are reported as not readable", owned(&UNREADABLE)),
        entry(files, "text tables, also followed by `.gz`", owned(&TEXT_TABLES)),
        entry(files, "other tables", owned(&["parquet", "arrow (with the feature `arrow`)"])),
        entry(files, "WebDataset shards", owned(&["tar"])),
        entry(files, "exports of COCO, Label Studio, FiftyOne and CVAT", owned(&super::exports::EXTENSIONS)),
        entry(files, "archives, read in place", owned(&["zip"])),
        entry(celeba, "labels, as `.txt` or `.csv`", owned(&[LABELS])),
        entry(celeba, "splits, persons and boxes", COMPANIONS.iter().map(|each| each.name.to_owned()).collect()),
        entry(celeba, "landmarks", owned(&LANDMARKS)),
        entry(celeba, "beginnings of the names of the images' folder or archive", owned(&IMAGE_FOLDERS)),
        entry(columns, "the image, in order of preference", owned(&IMAGE)),
        entry(columns, "the person", owned(&IDENTITY)),
        entry(columns, "numbers of rows, left out", ROW_NUMBER.iter().map(|name| blank(name)).collect()),
        entry(columns, "the split, by words or CelebA's numbers 0, 1 and 2", owned(&NUMBERED)),
        entry(columns, "the split, by words; for numbers give `--split-values`", owned(&NAMED)),
    ];
    for split in Split::ALL {
        let names = FLAGS.iter().filter(|(_, of)| *of == split).map(|(name, _)| (*name).to_owned()).collect();
        found.push(entry(columns, &format!("yes or no: the {split} split"), names));
    }
    found.push(entry(columns, "landmarks of the face; the nose may be missing", landmarks));
    found.push(entry(
        columns,
        "its box: left, top, width, height",
        BOXES.iter().map(|names| names.join(" ")).collect(),
    ));
    for split in Split::ALL {
        found.push(entry(words, &format!("the {split} split"), owned(split.words())));
    }
    let with = |number: &[&str], more: &[&str]| [owned(number), owned(more)].concat();
    found.extend([
        entry(words, "an attribute is present", with(&["1"], &PRESENT)),
        entry(words, "an attribute is absent; -1 or 0, not both in one column", with(&["0", "-1"], &ABSENT)),
        entry(words, "a label is unknown", [vec![blank("")], owned(&MISSING)].concat()),
        entry(words, "between the labels of a list", SEPARATORS.iter().map(char::to_string).collect()),
        entry("Class folders", "before the name of a class in that of its opposite", owned(&OPPOSITES)),
        entry(
            "CelebA's attributes",
            "whose names the rules between attributes and the published results use",
            owned(&CELEBA_ATTRIBUTES),
        ),
    ]);
    found
}

fn blank(name: &str) -> String {
    if name.is_empty() { "(nothing)".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_listed_without_names_or_with_two_meanings() {
        let all = recognised();
        assert!(all.iter().all(|each| !each.names.is_empty()), "{all:?}");
        let columns: Vec<&String> =
            all.iter().filter(|each| each.group == "Columns of tables").flat_map(|each| &each.names).collect();
        for (place, name) in columns.iter().enumerate() {
            assert!(!columns[..place].contains(name), "{name} means two things");
        }
    }
}
