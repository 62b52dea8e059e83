//! The attributes with too few positives to judge.

use std::fmt::Write;

use visage_judge::{JUDGED_WIDTH, few_positives};

use super::{judged, run_name, value_and_interval};
use crate::run::Run;
use crate::svg::escaped;

/// A row for each attribute and run whose recall is not known well enough; empty if there is none.
pub fn html(runs: &[Run]) -> String {
    let several = runs.len() > 1;
    let mut rows = String::new();
    for (number, run, judged) in judged(runs, |_| true) {
        for few in few_positives(&judged.evaluation) {
            let _ = write!(rows, "<tr><th scope=\"row\">{}</th>", escaped(&few.attribute));
            if several {
                let _ = write!(rows, "<td class=\"w\">{}</td>", run_name(number, &run.name));
            }
            let recall = value_and_interval(few.recall, few.interval);
            let _ = writeln!(rows, "<td>{}</td><td>{recall}</td><td>{}</td></tr>", few.positives, few.needed);
        }
    }
    if rows.is_empty() {
        return rows;
    }
    let run = if several { "<th scope=\"col\" class=\"w\">Run</th>" } else { "" };
    format!(
        "<p class=\"lead\">With so few positives, the recall is not known to within {JUDGED_WIDTH}: its 95 % interval (Wilson's) is wider. \
         Do not choose between models by these attributes. The last column is the number of positives that would be enough at the same \
         recall.</p>\n\
         <div class=\"scroll\"><table class=\"plain\"><thead><tr><th scope=\"col\" class=\"w\">Attribute</th>{run}\
         <th scope=\"col\">Positives</th><th scope=\"col\">Recall</th><th scope=\"col\">Needed</th></tr></thead><tbody>\n\
         {rows}</tbody></table></div>\n"
    )
}
