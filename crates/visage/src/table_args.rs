//! Options for how a table is read.

use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use visage_data::{Combine, Label, Split, TableOptions};

use crate::error::CommandError;

/// How to read the table of a dataset, where its columns leave a choice.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "How to read the table")]
pub struct TableArgs {
    /// The column with the images' names.
    #[arg(long, value_name = "COLUMN")]
    image_column: Option<String>,
    /// The column that assigns the split.
    #[arg(long, value_name = "COLUMN")]
    split_column: Option<String>,
    /// The meaning of that column's values, such as `0=train,1=train,2=validation`.
    #[arg(long, value_name = "VALUE=SPLIT,...", value_delimiter = ',')]
    split_values: Vec<SplitValue>,
    /// Read only these attributes.
    #[arg(long = "attributes", id = "table_attributes", value_name = "NAME,...", value_delimiter = ',')]
    attributes: Vec<String>,
    /// Leave these columns out.
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    ignore: Vec<String>,
    /// The column that lists the labels of an image, such as `hat|smile` or `["hat", "smile"]`: each label becomes an attribute.
    #[arg(long, value_name = "COLUMN")]
    label_column: Option<String>,
    /// With --label-column, where each row holds one label: the column that says whether it is present.
    #[arg(long, value_name = "COLUMN", requires = "label_column")]
    value_column: Option<String>,
    /// What separates the labels in the label column [default: found among |, ; and ,].
    #[arg(long, value_name = "TEXT")]
    separator: Option<String>,
    /// A file with the labels that the label column may list, one a line [default: those that it lists].
    #[arg(long, value_name = "FILE")]
    vocabulary: Option<PathBuf>,
    /// Leave out labels that fewer rows list.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    min_count: u64,
    /// Columns of words of which each becomes an attribute, such as `race=Black`.
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    one_hot: Vec<String>,
    /// The meaning of -1 in a table that also holds 0, as CheXpert's.
    #[arg(long, value_name = "LABEL")]
    uncertain: Option<UncertainLabel>,
    /// How several rows of one image become one: present where any row says so, by majority, or unknown where they disagree.
    #[arg(long, value_name = "RULE")]
    combine: Option<CombineRule>,
    /// Accept probabilities between 0 and 1 as labels: targets in training; judged at 0.5, and as they are by the log loss.
    #[arg(long)]
    soft_labels: bool,
}

/// A value of the split column, and its meaning.
#[derive(Clone, Debug)]
struct SplitValue(String, Split);

impl FromStr for SplitValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (value, split) = text.rsplit_once('=').ok_or("write VALUE=SPLIT, such as `4=test`")?;
        let split = split.trim().parse::<Split>().map_err(|error| error.to_string())?;
        Ok(SplitValue(value.trim().to_owned(), split))
    }
}

/// The values of `--uncertain`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum UncertainLabel {
    Unknown,
    Present,
    Absent,
}

/// The values of `--combine`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum CombineRule {
    Any,
    Majority,
    Unknown,
}

impl TableArgs {
    /// The options, with the vocabulary read from its file.
    pub fn options(&self) -> Result<TableOptions, CommandError> {
        let mut vocabulary = Vec::new();
        if let Some(path) = &self.vocabulary {
            let text = fs::read_to_string(path).map_err(CommandError::read(path))?;
            let labels = text.trim_start_matches('\u{feff}').lines().map(str::trim).filter(|label| !label.is_empty());
            vocabulary.extend(labels.map(str::to_owned));
            if vocabulary.is_empty() {
                return Err(CommandError::usage(format!("{} lists no label: write one on each line", path.display())));
            }
        }
        Ok(TableOptions {
            image_column: self.image_column.clone(),
            split_column: self.split_column.clone(),
            split_values: self.split_values.iter().map(|SplitValue(value, split)| (value.clone(), *split)).collect(),
            attributes: self.attributes.clone(),
            ignore: self.ignore.clone(),
            dropped: Vec::new(),
            label_column: self.label_column.clone(),
            value_column: self.value_column.clone(),
            separator: self.separator.clone(),
            vocabulary,
            min_count: self.min_count,
            one_hot: self.one_hot.clone(),
            uncertain: self.uncertain.map(|label| match label {
                UncertainLabel::Unknown => Label::Unknown,
                UncertainLabel::Present => Label::Present,
                UncertainLabel::Absent => Label::Absent,
            }),
            combine: self.combine.map(|rule| match rule {
                CombineRule::Any => Combine::Any,
                CombineRule::Majority => Combine::Majority,
                CombineRule::Unknown => Combine::Unknown,
            }),
            soft_labels: self.soft_labels,
        })
    }
}
