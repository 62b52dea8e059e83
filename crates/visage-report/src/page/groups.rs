//! Metrics per group of images, and the gaps between groups.

use visage_judge::{Gap, Metric, SMALL_GROUP};

use super::sortable::{Column, Sortable};
use super::{judged, number_or_dash, run_name, value_and_interval};
use crate::number::grouped;
use crate::run::{Judged, Run};
use crate::svg::escaped;

const METRICS: [Metric; 6] = [
    Metric::Accuracy,
    Metric::Precision,
    Metric::Recall,
    Metric::F1,
    Metric::PredictedPositiveRate,
    Metric::Prevalence,
];

/// The columns of the table of gaps but for the run.
const GAPS: [Column<'_>; 9] = [
    Column::words("Criterion", "what should be equal"),
    Column::words("Group", "the first group"),
    Column::words("Other", "the group it is compared with"),
    Column::numbers("Value", "metric of the first group"),
    Column::numbers("Other value", "metric of the other group"),
    Column::numbers("Gap", "value minus other value, with its 95 % interval"),
    Column::numbers("Width", "absolute value of the gap"),
    Column::numbers("Cases", "smaller number of cases of both groups"),
    Column::words("Finding", "whether the gap is significant"),
];

/// The groups of each run, and the gaps between them; empty if no run was evaluated by group.
pub fn html(runs: &[Run]) -> String {
    let with = judged(runs, |judged| !judged.groups.is_empty());
    if with.is_empty() {
        return String::new();
    }
    let several = runs.len() > 1;
    groups(&with, several) + &gaps(&with, several)
}

fn groups(runs: &[(usize, &Run, &Judged)], several: bool) -> String {
    let mut table = String::from(
        "<p class=\"lead\">Means over the attributes, with 95 % intervals.</p>\n<div class=\"scroll\"><table class=\"plain\"><thead><tr>\
         <th scope=\"col\" class=\"w\">Group</th>",
    );
    if several {
        table += "<th scope=\"col\" class=\"w\">Run</th>";
    }
    table += "<th scope=\"col\">Images</th>";
    table.extend(METRICS.map(|metric| format!("<th scope=\"col\">{metric}</th>")));
    table += "</tr></thead><tbody>\n";
    for (number, run, judged) in runs {
        for group in &judged.groups {
            let few = if group.too_small { " <small>too few images</small>" } else { "" };
            table += &format!("<tr><th scope=\"row\">{}: {}{few}</th>", escaped(&group.group), escaped(&group.value));
            if several {
                table += &format!("<td class=\"w\">{}</td>", run_name(*number, &run.name));
            }
            table += &format!("<td>{}</td>", grouped(group.images as f64));
            for metric in METRICS {
                let interval = group.intervals.get(&metric).copied();
                table += &format!("<td>{}</td>", value_and_interval(group.macro_average.get(metric), interval));
            }
            table += "</tr>\n";
        }
    }
    table + "</tbody></table></div>\n"
}

fn finding(gap: &Gap) -> &'static str {
    match gap {
        Gap { too_small: true, .. } => "too few cases",
        gap if gap.is_significant() => "significant",
        _ => "not significant",
    }
}

fn gaps(runs: &[(usize, &Run, &Judged)], several: bool) -> String {
    let mut columns = vec![Column::words("Attribute", "name of the attribute")];
    columns.extend(several.then(|| Column::words("Run", "name of the run")));
    columns.extend(GAPS);
    let help = format!(
        "Every attribute by every criterion. Equal opportunity: equal recall. Predictive parity: equal precision. Demographic parity: \
         equal share of positive predictions. With fewer than {SMALL_GROUP} cases on either side a gap is not tested. \
         <code>opportunity width&gt;0.1</code> shows the wide gaps in recall."
    );
    let mut table = Sortable::new("gaps", &columns, "opportunity width>0.1", &help);
    for (number, run, judged) in runs {
        let named = judged.gaps.iter().filter_map(|gap| Some((gap, gap.attribute.as_ref()?)));
        for (gap, attribute) in named {
            let [group, other] = gap.sides();
            let mut cells = vec![escaped(attribute)];
            cells.extend(several.then(|| run_name(*number, &run.name)));
            cells.extend([
                gap.criterion.heading().to_owned(),
                escaped(&group),
                escaped(&other),
                number_or_dash(gap.values[0]),
                number_or_dash(gap.values[1]),
                value_and_interval(gap.difference, gap.interval),
                number_or_dash(gap.difference.map(f64::abs)),
                gap.cases[0].min(gap.cases[1]).to_string(),
                finding(gap).to_owned(),
            ]);
            table.row(cells);
        }
    }
    format!("<h3>Gaps</h3>\n{}", table.finish())
}
