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
        match text.to_ascii_lowercase().as_str() {
            "train" | "training" | "0" => Ok(Split::Train),
            "validation" | "valid" | "val" | "dev" | "eval" | "1" => Ok(Split::Validation),
            "test" | "testing" | "2" => Ok(Split::Test),
            _ => Err(UnknownSplit(text.to_owned())),
        }
    }
}

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
        assert!("3".parse::<Split>().unwrap_err().to_string().contains("`3` is not a split"));
    }
}
