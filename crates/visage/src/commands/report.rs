//! `visage report`.

use std::path::{Path, PathBuf};

use visage_report::{Written, write};

use super::compare;
use crate::cli::ReportArgs;
use crate::error::CommandError;
use crate::output;
use crate::report_runs::{self, Asked};
use crate::shell;

/// Where the report of several runs goes that is not told where.
const FOLDER: &str = "visage-report";

/// Writes a report of one run or several.
pub fn run(args: &ReportArgs) -> Result<(), CommandError> {
    let out = match (&args.out, args.runs.as_slice()) {
        (Some(out), _) => out.clone(),
        (None, [run]) => run.join("report"),
        (None, _) => PathBuf::from(FOLDER),
    };
    let written = report(&Asked { runs: &args.runs, split: args.split, gallery: args.gallery }, &out)?;
    output::result(&told(&written))
}

/// Writes the report of `asked` to the folder `out`.
pub fn report(asked: &Asked<'_>, out: &Path) -> Result<Written, CommandError> {
    let names = compare::names(asked.runs);
    let gathered = report_runs::gather(asked, &names)?;
    let mut report = gathered.report;
    report.remarks.iter().for_each(|remark| output::note(remark));
    if let Some(judged) = gathered.comparable {
        match compare::compare(judged, false) {
            Ok(compared) => {
                report.findings = compare::findings(&compared);
                report.comparison = Some(compared.comparison);
            }
            // Runs that cannot be compared are still reported.
            Err(reason) => report.findings.push(format!("The runs are not compared: {reason}.")),
        }
    }
    Ok(write(&report, out)?)
}

/// What was written, in words.
pub fn told(written: &Written) -> String {
    format!(
        "wrote {} ({:.1} MB, opens in any browser) and {} figures, each as SVG and PNG, to {}\n",
        shell::path(&written.page),
        written.bytes as f64 / 1e6,
        written.count,
        shell::path(&written.figures)
    )
}
