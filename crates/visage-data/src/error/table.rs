//! Faults of tables.

use crate::split::UnknownSplit;

/// What is wrong with a line of a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableFault {
    /// A table that ends too early.
    #[error("the table ends here; expected {expected}")]
    Ended {
        /// What should have followed.
        expected: &'static str,
    },
    /// Bytes that are not UTF-8.
    #[error("not UTF-8 text: save the table as UTF-8")]
    NotUtf8,
    /// A table without attribute columns.
    #[error(
        "no attributes: beside the image names the table needs a column of 1 and 0, or 1 and -1, for each attribute, separated by commas"
    )]
    NoAttributes,
    /// A column without a name.
    #[error("column {number} has no name: name it or remove it (pandas: `to_csv(..., index=False)`)")]
    UnnamedColumn {
        /// The column, counted from 1.
        number: usize,
    },
    /// Two columns with the same name.
    #[error("two columns are named `{column}`: rename or remove one")]
    RepeatedColumn {
        /// The name.
        column: String,
    },
    /// An image of a WebDataset shard without labels.
    #[error("image `{image}` has no .json or .cls file of the same name: add its labels or remove it")]
    MissingLabels {
        /// The image.
        image: String,
    },
    /// A line of a JSON lines table that is not an object of plain values.
    #[error("not a JSON object of names and plain values: {reason}")]
    NotJson {
        /// Why not.
        reason: String,
    },
    /// A row with too many or too few fields.
    #[error("{found} fields where {expected} are expected: complete or remove this row")]
    FieldCount {
        /// The number of fields in this row.
        found: usize,
        /// The number of fields in the header.
        expected: usize,
    },
    /// A row without an image name.
    #[error("the image name is blank: name an image or remove this row")]
    BlankImage,
    /// A value that is not a label.
    #[error(
        "`{value}` in column `{column}` is not a label: write 1 (true, yes) for present, -1 or 0 (false, no) for absent, nothing for unknown, or remove the column if it is not an attribute"
    )]
    Label {
        /// The attribute.
        column: String,
        /// The value.
        value: String,
    },
    /// A column with both -1 and 0, of which only one can mean "absent".
    #[error(
        "column `{column}` holds {value} here and {other} on line {other_line}: it is not clear which means absent; use -1/1 or 0/1 in the whole column, and nothing for unknown"
    )]
    MixedSpelling {
        /// The attribute.
        column: String,
        /// The value on this line.
        value: &'static str,
        /// The other value.
        other: &'static str,
        /// The first line with the other value.
        other_line: u64,
    },
    /// A value that is not a split.
    #[error(transparent)]
    Split(#[from] UnknownSplit),
    /// An image that a table lists twice.
    #[error("image `{image}` is already listed on line {first_line}: remove one of the two rows")]
    RepeatedImage {
        /// The image.
        image: String,
        /// The first line that lists it.
        first_line: u64,
    },
    /// An image that two tables list.
    #[error("image `{image}` is already listed in {first}, line {first_line}: remove one of the two rows")]
    RepeatedElsewhere {
        /// The image.
        image: String,
        /// The other table.
        first: String,
        /// The line there.
        first_line: u64,
    },
    /// A coordinate that is not an integer.
    #[error("`{value}` is not a whole number of pixels: correct it, or remove this file if its data are not needed")]
    NotInteger {
        /// The value.
        value: String,
    },
    /// An image of a companion table that the labels do not list.
    #[error("image `{image}` has no row in {labels}: remove this row, or restore the labels")]
    UnlabelledImage {
        /// The image.
        image: String,
        /// The file with the labels.
        labels: String,
    },
    /// An image that a companion table does not list.
    #[error(
        "image `{image}` has no row in {companion}, which lacks {missing} in all: complete that file, or remove it if its data are not needed"
    )]
    MissingRow {
        /// The first missing image.
        image: String,
        /// The companion table.
        companion: String,
        /// How many images are missing.
        missing: usize,
    },
}
