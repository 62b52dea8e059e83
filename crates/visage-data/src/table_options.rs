//! How a table is read where its columns leave a choice.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::label::Label;
use crate::split::Split;

/// How a table is read where its columns leave a choice. The default chooses nothing: what cannot be read without a guess is an
/// error that names the setting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TableOptions {
    /// The column with the images' names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_column: Option<String>,
    /// The column that assigns the split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_column: Option<String>,
    /// The meaning of that column's values, where they are not the names of splits.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub split_values: BTreeMap<String, Split>,
    /// The attributes to read; all if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<String>,
    /// Columns to leave out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Attributes that are left out after they were read, in whatever form; names that do not occur have no effect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
    /// The column that lists the labels which are present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_column: Option<String>,
    /// The column that says, in a table with a row for each image and label, whether the label is present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_column: Option<String>,
    /// What separates the labels in the label column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
    /// The labels that the label column may list; if empty, those that are found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vocabulary: Vec<String>,
    /// The least number of images with a label that is found; rarer ones are left out.
    #[serde(skip_serializing_if = "is_zero")]
    pub min_count: u64,
    /// Columns of which each value becomes an attribute, `race=Black`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub one_hot: Vec<String>,
    /// The label for -1 in a table that also holds 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncertain: Option<Label>,
    /// How several rows of one image become one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub combine: Option<Combine>,
    /// Whether labels may be probabilities between 0 and 1.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub soft_labels: bool,
}

/// How the labels of several rows of one image become one label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Combine {
    /// Present if it is present in any row.
    Any,
    /// What most rows say; unknown if as many say the one as the other.
    Majority,
    /// Unknown where the rows disagree.
    Unknown,
}

impl TableOptions {
    /// Whether nothing is chosen.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}
