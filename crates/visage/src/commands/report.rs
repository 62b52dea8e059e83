//! `visage report`.

use std::path::{Path, PathBuf};

use clap::Args;
use visage_report::{REPORT_PAGE, ReadRuns, ReportSettings, Written, read_runs, write};
use visage_run::comparison::compare;
use visage_run::shell;

use crate::error::CommandError;
use crate::evaluation_choice::EvaluationChoiceArgs;
use crate::overwrite::OverwriteArgs;
use crate::{extension, output, tables};

/// The folder for the report of several runs.
const FOLDER: &str = "visage-report";

/// Options of `visage report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Run folders, shown side by side. A run without an evaluation is shown with its training only.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// The folder for report.html and the folder figures [default: RUN/report, or visage-report for several runs].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub choice: EvaluationChoiceArgs,
    /// Add the images with the worst errors and the least certain predictions. They become part of the page: mind the privacy of
    /// the people on them.
    #[arg(long)]
    pub gallery: bool,
    #[command(flatten)]
    pub overwrite: OverwriteArgs,
}

/// Writes a report of one run or several.
pub fn run(args: &ReportArgs) -> Result<(), CommandError> {
    let out = match (&args.out, args.runs.as_slice()) {
        (Some(out), _) => out.clone(),
        (None, [run]) => run.join("report"),
        (None, _) => PathBuf::from(FOLDER),
    };
    extension::check_folder("--out", &out)?;
    args.overwrite.check(&out.join(REPORT_PAGE))?;
    let written =
        write_report(&ReportSettings { runs: &args.runs, choice: &args.choice.choice(), gallery: args.gallery }, &out)?;
    output::result(&summary(&written))
}

/// Writes the report to the folder `out`.
pub fn write_report(settings: &ReportSettings<'_>, out: &Path) -> Result<Written, CommandError> {
    let ReadRuns { mut report, comparable } = read_runs(settings)?;
    report.remarks.iter().for_each(|remark| output::note(remark));
    if let Some(runs) = comparable {
        match compare(runs, false) {
            Ok(compared) => {
                report.findings = tables::comparison::findings(&compared);
                report.comparison = Some(compared.comparison);
            }
            // Runs that cannot be compared are still reported.
            Err(reason) => report.findings.push(format!("The runs are not compared: {reason}.")),
        }
    }
    Ok(write(&report, out)?)
}

/// The files that were written.
pub fn summary(written: &Written) -> String {
    format!(
        "wrote {} ({:.1} MB, opens in any browser) and {} figures as SVG and PNG in {}\n",
        shell::path(&written.page),
        written.bytes as f64 / 1e6,
        written.count,
        shell::path(&written.figures)
    )
}
