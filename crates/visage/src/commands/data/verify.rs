//! `visage data verify`.

use visage_data::verify::{self, Finding, Verification};

use crate::cli::VerifyArgs;
use crate::compute::start_threads;
use crate::error::CommandError;
use crate::output;
use crate::progress::Progress;
use crate::table::{count, counted};

/// Items of a finding that are shown.
const SHOWN: usize = 5;

/// Verifies a dataset.
pub fn run(args: &VerifyArgs) -> Result<(), CommandError> {
    start_threads(args.threads)?;
    let mut progress: Option<Progress> = None;
    let verification = verify::verify(&args.path, |done, images| {
        let progress = progress.get_or_insert_with(|| Progress::new("verifying", "images", images as u64));
        progress.set(done as u64, String::new);
    })?;
    drop(progress);
    if args.json {
        output::json(&verification)?;
    } else {
        output::result(&report(&verification))?;
    }
    match verification.errors() {
        0 => Ok(()),
        errors => Err(CommandError::NotWhole { dataset: verification.dataset, errors }),
    }
}

fn report(verification: &Verification) -> String {
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
        text += "nothing is wrong with it\n";
    }
    text
}
