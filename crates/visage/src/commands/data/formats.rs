//! `visage data formats`.

use std::fmt::Write;

use clap::Args;
use visage_data::recognised;

use crate::error::CommandError;
use crate::output;

/// What the reference begins with.
const ABOUT: &str = "# Data that is recognised

Printed by `visage data formats`, from the lists that the program itself uses. Names of columns are compared without case and punctuation:
`image_id`, `Image ID` and `imageId` are all `imageid`. Everything else in a table is an attribute if its cells are labels, and a column to
group by if they are text; `visage data inspect PATH` shows how a table was understood. The options under \"How to read the table\"
(`visage data inspect --help`) decide where names do not. [The guide](guide.md) shows each layout with an example.
";

/// Options of `visage data formats`.
#[derive(Debug, Args)]
pub struct FormatsArgs {}

/// Prints what is recognised by name.
pub fn run(_: &FormatsArgs) -> Result<(), CommandError> {
    let mut text = ABOUT.to_owned();
    let mut group = "";
    for each in recognised() {
        // Writing to a string cannot fail.
        if each.group != group {
            group = each.group;
            let _ = write!(text, "\n## {group}\n\n| meaning | names |\n| --- | --- |\n");
        }
        let names: Vec<String> = each.names.iter().map(|name| format!("`{}`", name.replace('|', "\\|"))).collect();
        let _ = writeln!(text, "| {} | {} |", each.meaning, names.join(", "));
    }
    output::result(&text)
}
