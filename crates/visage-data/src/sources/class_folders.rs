//! Images in a folder for each class, `train/cat/1.jpg` or `cat/1.jpg`, as torchvision's `ImageFolder` reads them.

use std::collections::BTreeSet;

use super::columns::ImageColumn;
use super::faults::Faults;
use super::images::Images;
use super::label_spelling::{Spelling, spelling};
use super::locate::Located;
use super::parts::{Part, read_parts};
use super::reader::{Contents, SourceFiles};
use super::rows::MemoryTable;
use crate::error::DataError;
use crate::files::Listing;
use crate::split::Split;
use crate::table_options::TableOptions;

/// Names of folders that hold all images rather than those of one class.
const NO_CLASSES: [&str; 8] = ["images", "image", "imgs", "img", "photos", "pictures", "masks", "annotations"];
/// What stands before the name of a class in that of its opposite.
pub(super) const OPPOSITES: [&str; 4] = ["not", "no", "non", "without"];

/// An image in the folder of its class.
struct Member<'a> {
    image: &'a str,
    split: Option<Split>,
    class: &'a str,
}

/// The images in class folders, and how many others there are. `None` if there are not at least two classes.
fn members(listing: &Listing) -> Option<(Vec<Member<'_>>, usize)> {
    let images: Vec<Vec<&str>> = listing.images.iter().map(|image| image.split('/').collect()).collect();
    // A folder around everything is passed.
    let deepest = images.iter().map(Vec::len).min()? - 1;
    let wrapped = (0..deepest).take_while(|&level| images.iter().all(|image| image[level] == images[0][level])).count();
    let folder = |image: &[&'_ str], level: usize| (level + 1 < image.len()).then(|| image[level].to_owned());
    let first: BTreeSet<String> = images.iter().filter_map(|image| folder(image, wrapped)).collect();
    let has_splits = !first.is_empty() && first.iter().all(|name| name.parse::<Split>().is_ok() && name.len() > 1);
    let mut found = Vec::new();
    for (parts, image) in images.iter().zip(&listing.images) {
        let split = if has_splits { parts.get(wrapped).and_then(|name| name.parse().ok()) } else { None };
        let level = wrapped + usize::from(has_splits);
        if level + 1 < parts.len() && (split.is_some() || !has_splits) {
            found.push(Member { image, split, class: parts[level] });
        }
    }
    let classes: BTreeSet<&str> = found.iter().map(|member| member.class).collect();
    let is_class = |name: &&str| !NO_CLASSES.iter().any(|known| known.eq_ignore_ascii_case(name));
    let others = images.len() - found.len();
    (classes.len() >= 2 && classes.iter().all(is_class)).then_some((found, others))
}

/// Whether the images are in class folders.
pub(super) fn is_one(listing: &Listing) -> bool {
    members(listing).is_some()
}

/// The attribute of two classes, and the class that has it.
fn attribute(first: &str, second: &str) -> (String, String) {
    let words = |name: &str| {
        name.to_lowercase().split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect::<Vec<String>>()
    };
    let is_opposite = |negative: &str, positive: &str| {
        let (negative, positive) = (words(negative), words(positive));
        negative.split_first().is_some_and(|(no, rest)| OPPOSITES.contains(&no.as_str()) && rest == positive)
    };
    if is_opposite(second, first) {
        return (first.to_owned(), first.to_owned());
    }
    match [first, second].map(|name| spelling(name.as_bytes())) {
        [Spelling::Absent | Spelling::Zero, Spelling::Present] => ("label".to_owned(), second.to_owned()),
        // The classes are sorted, and torchvision numbers them 0 and 1.
        _ => (second.to_owned(), second.to_owned()),
    }
}

pub(super) fn read(source: SourceFiles, options: &TableOptions, faults: &mut Faults) -> Result<Contents, DataError> {
    let no_table = || DataError::NoTable { path: source.files.root().to_owned(), images: source.listing.images.len() };
    let (members, others) = members(&source.listing).ok_or_else(no_table)?;
    let classes: Vec<&str> = members.iter().map(|member| member.class).collect::<BTreeSet<_>>().into_iter().collect();
    let has_splits = members.iter().any(|member| member.split.is_some());
    let mut columns = vec!["image".to_owned()];
    columns.extend(has_splits.then(|| "split".to_owned()));
    let mut options = options.clone();
    // Of two classes, the one that has the attribute.
    let mut present_class = None;
    let understood = if let [first, second] = classes.as_slice() {
        let (name, present) = attribute(first, second);
        let absent = if present == *first { second } else { first };
        columns.push(name.clone());
        // Whatever its name, it is no split and no number.
        if options.attributes.is_empty() {
            options.attributes = vec![name.clone()];
        }
        let understood = format!("class folders: `{name}` is present in `{present}` and absent in `{absent}`");
        present_class = Some(present);
        understood
    } else {
        columns.push("class".to_owned());
        options.label_column = Some("class".to_owned());
        // The name of a folder is one label, whatever it holds.
        options.separator = Some("/".to_owned());
        format!("class folders: an attribute for each of {} classes", classes.len())
    };
    let mut table = MemoryTable::new(columns);
    for Member { image, split, class } in &members {
        let split = split.map_or("", Split::name);
        let label = present_class.as_ref().map_or(*class, |present| if present == class { "1" } else { "0" });
        table.push([*image].into_iter().chain(has_splits.then_some(split)).chain([label]));
    }
    let part = Part {
        file: source.files.root().display().to_string(),
        split: None,
        prefix: String::new(),
        image: Some(ImageColumn::Named(0)),
        row_name: None,
        open: Box::new(|| Ok(Box::new(table.rows()))),
    };
    let mut table = read_parts(&[part], &options, faults, || source.different_tables())?;
    table.understood = understood;
    if others > 0 {
        table.notes.push(format!("{others} images are in no class folder and are left out"));
    }
    let images = Images::InFolder { files: source.files.clone(), prefix: String::new(), extension: None };
    Ok(Contents::new("class folders", table, Located::exactly(images)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_classes_are_one_attribute() {
        for (first, second, name, present) in [
            ("cat", "dog", "dog", "dog"),
            ("not_smiling", "smiling", "smiling", "smiling"),
            ("glasses", "no glasses", "glasses", "glasses"),
            ("0", "1", "label", "1"),
            ("no", "yes", "label", "yes"),
            ("negative", "positive", "positive", "positive"),
        ] {
            assert_eq!(attribute(first, second), (name.to_owned(), present.to_owned()));
        }
    }
}
