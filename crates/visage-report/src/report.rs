//! The contents of a report.

use visage_judge::Comparison;

use crate::run::Run;

pub(crate) const FIGURES: &str = "figures";

/// The contents of a report.
#[derive(Clone, Debug)]
pub struct Report {
    /// The runs, in the order of their colours.
    pub runs: Vec<Run>,
    /// When and by which program the report was made, in words.
    pub made: String,
    /// Remarks at the top of the page, such as what is missing; a paragraph each.
    pub remarks: Vec<String>,
    /// The comparison of the runs, in their order, if they can be compared: shown as a table of differences.
    pub comparison: Option<Comparison>,
    /// Findings of the comparison, or why there is none; a sentence each.
    pub findings: Vec<String>,
}
