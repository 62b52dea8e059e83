//! The column that assigns the split.

use std::collections::BTreeMap;

use super::label_spelling::{Spelling, spelling};
use super::profile::ColumnProfile;
use crate::error::TableFault;
use crate::split::Split;
use crate::table_options::TableOptions;

/// Names of columns that assign the split, of which 0, 1 and 2 mean what they mean in CelebA.
pub(super) const NUMBERED: [&str; 2] = ["split", "partition"];
/// Names of columns that assign the split by words. Their numbers could mean anything.
pub(super) const NAMED: [&str; 9] =
    ["set", "subset", "fold", "kfold", "cvfold", "datasplit", "dataset", "phase", "usage"];
/// Names of columns that say whether an image belongs to one split.
pub(super) const FLAGS: [(&str, Split); 7] = [
    ("isvalid", Split::Validation),
    ("isval", Split::Validation),
    ("isvalidation", Split::Validation),
    ("isdev", Split::Validation),
    ("istest", Split::Test),
    ("istrain", Split::Train),
    ("istraining", Split::Train),
];

/// How the split of a row is read.
#[derive(Clone, Debug, Default)]
pub(super) enum SplitRule {
    /// No column assigns it.
    #[default]
    None,
    /// A column names it, with these values beside the names of splits.
    Named { column: usize, values: BTreeMap<String, Split> },
    /// Columns say whether an image belongs to one split. If none of them does, it is for training, or unassigned where a flag
    /// for training exists.
    Flags(Vec<(usize, Split)>),
}

/// A name without case and punctuation.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether a column of this name may assign the split.
pub(super) fn is_split_name(name: &str) -> bool {
    let name = plain(name);
    NUMBERED.contains(&name.as_str()) || NAMED.contains(&name.as_str()) || FLAGS.iter().any(|(flag, _)| *flag == name)
}

impl SplitRule {
    /// Decides by the options, the names and the contents of the columns `candidates`.
    pub(super) fn decide(
        names: &[String],
        profiles: &[ColumnProfile],
        candidates: &[usize],
        options: &TableOptions,
    ) -> Result<Self, TableFault> {
        if let Some(wanted) = &options.split_column {
            // That the column exists was checked.
            let column = names.iter().position(|name| name == wanted).unwrap_or_default();
            if let (Some(split), true) = (flag(wanted), options.split_values.is_empty()) {
                return Ok(SplitRule::Flags(vec![(column, split)]));
            }
            return Self::named(column, &names[column], &profiles[column], options);
        }
        let of_list = |list: &[&str]| {
            list.iter().find_map(|wanted| candidates.iter().copied().find(|&column| plain(&names[column]) == *wanted))
        };
        if let Some(column) = of_list(&NUMBERED) {
            return Self::named(column, &names[column], &profiles[column], options);
        }
        let flags: Vec<_> = candidates.iter().filter_map(|&column| Some((column, flag(&names[column])?))).collect();
        if !flags.is_empty() {
            return Ok(SplitRule::Flags(flags));
        }
        // A column of text without any split is a category whatever its name.
        if let Some(column) =
            of_list(&NAMED).filter(|&column| !profiles[column].is_text() || profiles[column].splits > 0)
        {
            return Self::named(column, &names[column], &profiles[column], options);
        }
        let by_content: Vec<usize> =
            candidates.iter().copied().filter(|&column| profiles[column].is_splits()).collect();
        match by_content.as_slice() {
            [] => Ok(SplitRule::None),
            [column] => Self::named(*column, &names[*column], &profiles[*column], options),
            [first, second, ..] => {
                Err(TableFault::ManySplitColumns { first: names[*first].clone(), second: names[*second].clone() })
            }
        }
    }

    fn named(column: usize, name: &str, profile: &ColumnProfile, options: &TableOptions) -> Result<Self, TableFault> {
        let values = options.split_values.clone();
        let is_numbered = NUMBERED.contains(&plain(name).as_str());
        let holds_words = profile.labels + profile.numbers == 0;
        if values.is_empty() && !is_numbered && !holds_words {
            return Err(TableFault::UnclearSplit { column: name.to_owned(), values: profile.shown_values() });
        }
        Ok(SplitRule::Named { column, values })
    }

    /// The columns that the rule reads.
    pub(super) fn columns(&self) -> Vec<usize> {
        match self {
            SplitRule::None => Vec::new(),
            SplitRule::Named { column, .. } => vec![*column],
            SplitRule::Flags(flags) => flags.iter().map(|(column, _)| *column).collect(),
        }
    }

    /// The split of a row with trimmed fields.
    pub(super) fn split<'a>(
        &self,
        names: &[String],
        field: impl Fn(usize) -> Result<&'a str, TableFault>,
    ) -> Result<Option<Split>, TableFault> {
        match self {
            SplitRule::None => Ok(None),
            SplitRule::Named { column, values } => {
                let value = field(*column)?;
                let whole = value.strip_suffix(".0").unwrap_or(value);
                match values.get(value).or_else(|| values.get(whole)) {
                    Some(split) => Ok(Some(*split)),
                    None if value.is_empty() => Ok(None),
                    None => split_of_value(value).map(Some),
                }
            }
            SplitRule::Flags(flags) => {
                let mut found = None;
                for &(column, split) in flags {
                    let value = field(column)?;
                    match spelling(value.as_bytes()) {
                        Spelling::Present if found.is_none_or(|known| known == split) => found = Some(split),
                        Spelling::Zero | Spelling::Absent => {}
                        Spelling::Present => {
                            return Err(TableFault::TwoSplits { column: names[column].clone() });
                        }
                        _ => {
                            let (column, value) = (names[column].clone(), value.to_owned());
                            return Err(TableFault::NoFlag { column, value });
                        }
                    }
                }
                let has_training = flags.iter().any(|(_, split)| *split == Split::Train);
                Ok(found.or((!has_training).then_some(Split::Train)))
            }
        }
    }
}

fn flag(name: &str) -> Option<Split> {
    let name = plain(name);
    FLAGS.iter().find(|(flag, _)| *flag == name).map(|(_, split)| *split)
}

/// Reads a split by its name or by CelebA's number, to which pandas may have added `.0`.
pub(super) fn split_of_value(field: &str) -> Result<Split, TableFault> {
    Ok(field.strip_suffix(".0").unwrap_or(field).parse()?)
}

/// The split that any word of a file's name or folders names: `instances_train2017.json`, `celeba-validation.arrow`.
pub(super) fn split_in_words(name: &str) -> Option<Split> {
    name.rsplit('/').flat_map(|part| part.split(|c: char| !c.is_alphabetic())).find_map(|word| word.parse().ok())
}

/// The split of one of several parts of a table: that of its file's name, or of any word in it, `label_train.csv`.
pub(super) fn split_of_part(name: &str, parts: usize) -> Option<Split> {
    let file = name.rsplit('/').next().unwrap_or_default();
    split_of_file_name(name).or_else(|| (parts > 1).then(|| split_in_words(file)).flatten())
}

/// The split in the name of a file: `train.csv`, `data/val-00000-of-00002.parquet`, `test/metadata.jsonl`.
fn split_of_file_name(name: &str) -> Option<Split> {
    let word = |part: &str| part.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default().to_owned();
    name.rsplit('/').map(word).find_map(|word| word.parse().ok())
}
