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
        "no attributes: beside the image names the table needs a column of 1 and 0, or 1 and -1, for each attribute, separated by commas{}",
        if text.is_empty() { String::new() } else { format!("; if a column holds words (here {text}), name it with --label-column (labels in one column) or --one-hot (an attribute for each value)") }
    )]
    NoAttributes {
        /// The columns of text, separated by commas.
        text: String,
    },
    /// A table in which no column can name the images.
    #[error("no column names the images (columns: {columns}): name it with --image-column")]
    NoImageColumn {
        /// All columns.
        columns: String,
    },
    /// Two columns that may name the images.
    #[error("both `{first}` and `{second}` hold names of images: choose one with --image-column")]
    ManyImageColumns {
        /// One column.
        first: String,
        /// Another column.
        second: String,
    },
    /// Two columns that may assign the split.
    #[error(
        "both `{first}` and `{second}` hold names of splits: choose one with --split-column, or leave one out with --ignore"
    )]
    ManySplitColumns {
        /// One column.
        first: String,
        /// Another column.
        second: String,
    },
    /// Two columns that may list the labels.
    #[error("both `{first}` and `{second}` hold lists: choose one with --label-column, or leave one out with --ignore")]
    ManyLabelColumns {
        /// One column.
        first: String,
        /// Another column.
        second: String,
    },
    /// A column that is a split by its name, whose values do not say which.
    #[error(
        "column `{column}` assigns the splits by its name, but its values ({values}) do not say which is which: name them with --split-values VALUE=train,..., leave the column out with --ignore `{column}`, or keep it as an attribute with --attributes"
    )]
    UnclearSplit {
        /// The column.
        column: String,
        /// Some of its values.
        values: String,
    },
    /// A value that does not say whether an image belongs to a split.
    #[error(
        "`{value}` in column `{column}` does not say whether the image belongs to that split: write true or false, or leave the column out with --ignore"
    )]
    NoFlag {
        /// The column.
        column: String,
        /// The value.
        value: String,
    },
    /// A row that belongs to two splits.
    #[error(
        "column `{column}` puts this image into a second split: correct the row, or choose one column with --split-column"
    )]
    TwoSplits {
        /// The second column.
        column: String,
    },
    /// A column that an option names and the table lacks.
    #[error("{option} names `{column}`, which is not in the table (it has {columns})")]
    NoColumn {
        /// The option.
        option: &'static str,
        /// The column.
        column: String,
        /// All columns.
        columns: String,
    },
    /// A label column whose separator is not clear.
    #[error("the labels in column `{column}` may be separated by {found}: choose with --separator")]
    UnclearSeparator {
        /// The column.
        column: String,
        /// What may be the separator.
        found: String,
    },
    /// A column that holds no label at all, or none that is frequent enough.
    #[error("column `{column}` holds no label that is kept: check --min-count and --attributes")]
    NoLabels {
        /// The column.
        column: String,
    },
    /// A column with so many values that they are hardly labels.
    #[error(
        "column `{column}` holds {found} different labels, more than {most}: is it the right column? --min-count leaves out rare labels"
    )]
    TooManyLabels {
        /// The column.
        column: String,
        /// The number of labels.
        found: usize,
        /// The most that are read.
        most: usize,
    },
    /// A label that the vocabulary lacks.
    #[error("`{label}` in column `{column}` is not in the vocabulary: add it there, or correct this row")]
    UnknownLabel {
        /// The column.
        column: String,
        /// The label.
        label: String,
    },
    /// A column without a name.
    #[error("column {number} has no name: name it or remove it (pandas: `to_csv(..., index=False)`)")]
    UnnamedColumn {
        /// The column, counted from 1.
        number: usize,
    },
    /// More columns than any table of labels has.
    #[error("the table has {found} columns, and {most} are read at most: is it the right file?")]
    TooManyColumns {
        /// The number of columns.
        found: usize,
        /// The most that are read.
        most: usize,
    },
    /// More attributes than are read.
    #[error("the table has {found} attributes, and {most} are read at most: choose some with --attributes")]
    TooManyAttributes {
        /// The number of attributes.
        found: usize,
        /// The most that are read.
        most: usize,
    },
    /// A line that is longer than those of any table.
    #[error("the line has {length} bytes, and a line may have {most} at most: is it the right file?")]
    LongLine {
        /// Its length in bytes.
        length: usize,
        /// The most bytes of a line.
        most: usize,
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
    /// A JSON or XML file that is no known export.
    #[error(
        "not an export of COCO, Label Studio, FiftyOne or CVAT: export the labels in one of these forms, or as CSV"
    )]
    UnknownExport,
    /// An export that cannot be read.
    #[error("the export cannot be read: {reason}")]
    Export {
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
        "`{value}` in column `{column}` is not a label: write 1 (true, yes) for present, -1 or 0 (false, no) for absent, nothing for unknown; if the column is not an attribute, leave it out with --ignore, and if its values are classes, read them with --one-hot"
    )]
    Label {
        /// The attribute.
        column: String,
        /// The value.
        value: String,
    },
    /// A probability in place of a label.
    #[error(
        "`{value}` in column `{column}` is a probability and not a label: accept probabilities with --soft-labels, or leave the column out with --ignore"
    )]
    Probability {
        /// The attribute.
        column: String,
        /// The value.
        value: String,
    },
    /// A column with both -1 and 0, of which only one can mean "absent".
    #[error(
        "column `{column}` holds {value} here and {other} on line {other_line}: it is not clear which means absent; say what -1 means with --uncertain unknown, present or absent, or use -1/1 or 0/1 in the whole column, and nothing for unknown"
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
    #[error(
        "image `{image}` is already listed on line {first_line}: remove one of the two rows, or combine rows with --combine any, majority or unknown"
    )]
    RepeatedImage {
        /// The image.
        image: String,
        /// The first line that lists it.
        first_line: u64,
    },
    /// An image that two tables list.
    #[error(
        "image `{image}` is already listed in {first}, line {first_line}: remove one of the two rows, or combine rows with --combine any, majority or unknown"
    )]
    RepeatedElsewhere {
        /// The image.
        image: String,
        /// The other table.
        first: String,
        /// The line there.
        first_line: u64,
    },
    /// Rows of one image that belong to different splits.
    #[error("image `{image}` is in another split on line {first_line}: rows of one image belong to one split")]
    RepeatedInSplits {
        /// The image.
        image: String,
        /// The first line that lists it.
        first_line: u64,
    },
    /// A coordinate that is not an integer.
    #[error("`{value}` is not a whole number of pixels: correct it, or remove this file if its data are not needed")]
    NotInteger {
        /// The value.
        value: String,
    },
    /// A coordinate that is no number.
    #[error("`{value}` is not a number of pixels: correct it, or leave the column out with --ignore")]
    NotPixels {
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
