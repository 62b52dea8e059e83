//! `visage data verify`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use visage_data::Truncated;
use visage_data::verify::{self, Finding, Verification};

use crate::compute::start_threads;
use crate::error::CommandError;
use crate::output;
use crate::progress::Progress;
use crate::table_args::TableArgs;
use crate::tables::{count, counted};

/// Items of a finding that are shown.
const SHOWN: usize = 5;

/// Options of `visage data verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The dataset, as for `visage data inspect`.
    pub path: PathBuf,
    /// Print JSON with all findings instead of a summary.
    #[arg(long)]
    pub json: bool,
    /// Report images that are cut short as remarks, not as errors: they can be used with this option of the other commands.
    #[arg(long)]
    pub allow_truncated: bool,
    /// Threads for decoding [default: one per processor; the variable VISAGE_THREADS sets it too].
    #[arg(long, value_name = "N", env = "VISAGE_THREADS", hide_env = true)]
    pub threads: Option<NonZeroUsize>,
    #[command(flatten)]
    pub table: TableArgs,
}

/// Verifies a dataset.
pub fn run(args: &VerifyArgs) -> Result<(), CommandError> {
    start_threads(args.threads)?;
    let mut progress: Option<Progress> = None;
    let (options, truncated) = (args.table.options()?, Truncated::allowed(args.allow_truncated));
    let verification = verify::verify(&args.path, &options, truncated, |done, images| {
        let progress = progress.get_or_insert_with(|| Progress::new("verifying", "images", images as u64));
        progress.set(done as u64, String::new);
    })?;
    drop(progress);
    output::json_or(args.json, &verification, text)?;
    match verification.errors() {
        0 => Ok(()),
        errors => Err(CommandError::Verification { dataset: verification.dataset, errors }),
    }
}

fn text(verification: &Verification) -> String {
    let Verification { dataset, images, decoded, findings } = verification;
    let mut text = format!("{dataset}: {}, {} decoded\n", counted(*images as u64, "image"), count(*decoded as u64));
    for Finding { error, what, count: number, items, .. } in findings {
        let kind = if *error { "error" } else { "remark" };
        text += &format!("\n{kind}: {what}: {}\n", count(*number as u64));
        items.iter().take(SHOWN).for_each(|item| text += &format!("  {item}\n"));
        if items.len() > SHOWN {
            text += &format!("  and {} more (--json lists them)\n", count((items.len() - SHOWN) as u64));
        }
    }
    if findings.is_empty() {
        text += "no problems found\n";
    }
    text
}
