//! Training, validation and test splits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The split a sample belongs to.
///
/// Written `train`, `validation` and `test`. Also read from `training`, `val`, `valid`, `dev`, `eval` and `testing`, and from
/// CelebA's 0, 1 and 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// For fitting the weights. Statistics and class weights are counted here and nowhere else.
    Train,
    /// For choosing between models, epochs and thresholds.
    #[serde(alias = "val", alias = "valid")]
    Validation,
    /// For evaluating the chosen model, once.
    Test,
}

impl Split {
    /// The three splits in the order of CelebA's numbers 0, 1 and 2.
    pub const ALL: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

    /// The words that are read as the split.
    #[must_use]
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Split::Train => &["train", "training", "0"],
            Split::Validation => &["validation", "valid", "val", "dev", "eval", "1"],
            Split::Test => &["test", "testing", "2"],
        }
    }

    /// The split's name, as [`Display`](fmt::Display) writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A text that does not name a split.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a split: use train (or training, 0), validation (or val, valid, dev, eval, 1) or test (or testing, 2), or give its meaning with --split-values `{0}`=train"
)]
pub struct UnknownSplit(pub String);

impl FromStr for Split {
    type Err = UnknownSplit;

    /// Ignores case, because spreadsheets capitalise words.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_of = |split: &Split| split.words().iter().any(|word| word.eq_ignore_ascii_case(text));
        Split::ALL.into_iter().find(is_of).ok_or_else(|| UnknownSplit(text.to_owned()))
    }
}

/// The images of a dataset that a model is judged on: those of a split, or all, whatever their split.
///
/// Written as the split, or `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SplitOrAll {
    /// A split.
    Split(Split),
    /// Every image, also those without a split.
    All,
}

impl From<SplitOrAll> for String {
    fn from(images: SplitOrAll) -> Self {
        images.to_string()
    }
}

impl TryFrom<String> for SplitOrAll {
    type Error = UnknownSplitOrAll;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl SplitOrAll {
    /// The images in words: `the test split`, or `all images`.
    #[must_use]
    pub fn phrase(self) -> String {
        match self {
            Self::Split(split) => format!("the {split} split"),
            Self::All => "all images".to_owned(),
        }
    }

    /// The images of a dataset in words: `the test split of faces`, or `all images of faces`.
    #[must_use]
    pub fn of(self, dataset: &str) -> String {
        format!("{} of {dataset}", self.phrase())
    }

    /// The same after their number in words: `16 images of the test split of faces`, or `all 16 images of faces`.
    #[must_use]
    pub fn counted(self, images: &str, dataset: &str) -> String {
        match self {
            Self::Split(_) => format!("{images} of {}", self.of(dataset)),
            Self::All => format!("all {images} of {dataset}"),
        }
    }

    /// The name, as [`Display`](fmt::Display) writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Split(split) => split.name(),
            Self::All => "all",
        }
    }
}

impl From<Split> for SplitOrAll {
    fn from(split: Split) -> Self {
        Self::Split(split)
    }
}

impl fmt::Display for SplitOrAll {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for SplitOrAll {
    type Err = UnknownSplitOrAll;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        text.parse().map(Self::Split).map_err(|_| UnknownSplitOrAll(text.to_owned()))
    }
}

/// A text that names neither a split nor all images.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a split: use train, validation, test or all")]
pub struct UnknownSplitOrAll(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read_and_one_is_written() {
        for (text, split) in [
            ("train", Split::Train),
            ("0", Split::Train),
            ("Train", Split::Train),
            ("training", Split::Train),
            ("val", Split::Validation),
            ("valid", Split::Validation),
            ("validation", Split::Validation),
            ("dev", Split::Validation),
            ("eval", Split::Validation),
            ("1", Split::Validation),
            ("test", Split::Test),
            ("testing", Split::Test),
            ("2", Split::Test),
        ] {
            assert_eq!(text.parse(), Ok(split), "{text}");
        }
        for split in Split::ALL {
            assert_eq!(split.to_string().parse(), Ok(split));
            assert_eq!(serde_json::to_string(&split).unwrap(), format!("\"{split}\""));
        }
        assert_eq!(serde_json::from_str::<Split>("\"val\"").unwrap(), Split::Validation);
        for images in Split::ALL.map(SplitOrAll::Split).into_iter().chain([SplitOrAll::All]) {
            assert_eq!(images.to_string().parse(), Ok(images));
            let json = serde_json::to_string(&images).unwrap();
            assert_eq!(json, format!("\"{images}\""));
            assert_eq!(serde_json::from_str::<SplitOrAll>(&json).unwrap(), images);
        }
        assert_eq!("dev".parse(), Ok(SplitOrAll::Split(Split::Validation)));
        assert!("every".parse::<SplitOrAll>().unwrap_err().to_string().contains("train, validation, test or all"));
        assert!("3".parse::<Split>().unwrap_err().to_string().contains("`3` is not a split"));
    }
}
