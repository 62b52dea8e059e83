//! The metrics of a model on a split.

use visage_judge::{
    Consistency, ConsistentScores, Evaluation, Gap, Interval, Metric, SMALL_GROUP, Scores, widest_gaps,
};
use visage_model::Precision;
use visage_run::MetricsFile;

use super::{Table, count, counted, percent, score};

/// The metrics shown, and their short headings.
const COLUMNS: [(Metric, &str); 10] = [
    (Metric::Accuracy, "Accuracy"),
    (Metric::CommonerClassAccuracy, "Majority"),
    (Metric::BalancedAccuracy, "Balanced"),
    (Metric::Precision, "Precision"),
    (Metric::Recall, "Recall"),
    (Metric::F1, "F1"),
    (Metric::AveragePrecision, "AP"),
    (Metric::RocAuc, "AUC"),
    (Metric::Prevalence, "Prevalence"),
    (Metric::PredictedPositiveRate, "Predicted"),
];

/// How many of the widest gaps between groups are listed.
const WIDEST_GAPS: usize = 5;

/// The metrics that decisions have, without probabilities.
const DECISION_METRICS: [Metric; 6] = [
    Metric::Accuracy,
    Metric::BalancedAccuracy,
    Metric::Precision,
    Metric::Recall,
    Metric::F1,
    Metric::PredictedPositiveRate,
];

/// All tables, and a summary in words.
pub fn text(metrics: &MetricsFile) -> String {
    let macro_average = &metrics.evaluation.macro_average;
    let calibration = metrics.calibration.as_ref().map(|method| format!("; calibration: {method}")).unwrap_or_default();
    let precision = match metrics.precision {
        Precision::F32 => String::new(),
        narrower => format!("; computed in {}", narrower.name()),
    };
    let mut text = format!(
        "{}; thresholds: {}{calibration}{precision}\n\n{}",
        metrics.split.counted(&counted(metrics.evaluation.images as u64, "image"), &metrics.dataset),
        metrics.thresholds,
        attributes(metrics)
    );
    if !metrics.groups.is_empty() {
        let mut table = Table::new(1, &headings("Group", "Images"));
        for group in &metrics.groups {
            let name = format!("{}: {}", group.group, group.value);
            let images = count(group.images as u64) + if group.too_small { " (too few to tell)" } else { "" };
            table.row(row(&name, &group.macro_average, images));
        }
        text += &format!("\nmacro average by group\n\n{}{}", table.text(), gaps(&metrics.gaps));
    }
    if let Some(consistency) = &metrics.consistency {
        text += &contradictions(consistency, metrics.evaluation.images);
    }
    if let Some(consistent) = &metrics.consistent {
        text += &consistent_predictions(consistent, &metrics.evaluation);
    }
    text += &format!(
        "\nmeans over the attributes: accuracy {} (majority class: {}), recall {}, precision {}\n",
        percent(macro_average.accuracy),
        percent(macro_average.commoner_class_accuracy),
        percent(macro_average.recall),
        percent(macro_average.precision),
    );
    text
}

/// The attributes, then the averages with their intervals.
fn attributes(metrics: &MetricsFile) -> String {
    let Evaluation { macro_average, micro_average, original, attributes, .. } = &metrics.evaluation;
    let mut table = Table::new(1, &headings("Attribute", "Threshold"));
    for attribute in attributes {
        table.row(row(&attribute.attribute, &attribute.scores, score(Some(f64::from(attribute.threshold)))));
    }
    let intervals = metrics.intervals.as_ref();
    let averages = [
        ("macro average", macro_average, intervals.map(|all| &all.macro_average)),
        ("micro average", micro_average, intervals.map(|all| &all.micro_average)),
        ("mean, undefined as 0", &original.scores(), None),
    ];
    for (name, scores, intervals) in averages {
        table.row(row(name, scores, String::new()));
        let Some(intervals) = intervals else { continue };
        let end = |end: fn(&Interval) -> f64| {
            COLUMNS.map(|(metric, _)| {
                intervals.get(&metric).map(|interval| score(Some(end(interval)))).unwrap_or_default()
            })
        };
        for (label, values) in [("  95 % interval: from", end(|i| i.low)), ("                   to", end(|i| i.high))] {
            table.row(std::iter::once(label.to_owned()).chain(values).chain([String::new()]));
        }
    }
    table.text()
}

/// The mean gaps of each grouping, and the widest gaps that are significant.
fn gaps(gaps: &[Gap]) -> String {
    let interval = |gap: &Gap| match gap.interval {
        Some(Interval { low, high }) => format!("{low:+.4} to {high:+.4}"),
        None => "-".to_owned(),
    };
    let mut means =
        Table::new(2, &["Group", "Criterion", "Mean gap", "95 % interval", "Attributes", "Too few to tell"]);
    for mean in gaps.iter().filter(|gap| gap.attribute.is_none()) {
        let same =
            |gap: &&Gap| gap.attribute.is_some() && gap.criterion == mean.criterion && gap.sides() == mean.sides();
        means.row([
            mean.sides()[0].clone(),
            format!("{} ({})", mean.criterion.metric().heading().to_lowercase(), mean.criterion.heading()),
            score(mean.difference),
            interval(mean),
            count(mean.cases[0]),
            count(gaps.iter().filter(same).filter(|gap| gap.too_small).count() as u64),
        ]);
    }
    let widest = widest_gaps(gaps);
    let mut named =
        Table::new(4, &["Attribute", "Metric", "Group", "Other", "In it", "In the other", "Gap", "95 % interval"]);
    for gap in widest.iter().take(WIDEST_GAPS) {
        let [group, other] = gap.sides();
        named.row([
            gap.attribute.clone().unwrap_or_default(),
            gap.criterion.metric().heading().to_owned(),
            group,
            other,
            score(gap.values[0]),
            score(gap.values[1]),
            gap.difference.map(|gap| format!("{gap:+.4}")).unwrap_or_default(),
            interval(gap),
        ]);
    }
    let mut text = format!(
        "\ngaps between groups, over the attributes with at least {SMALL_GROUP} cases in both\n\n{}",
        means.text()
    );
    if !widest.is_empty() {
        text += &format!("\nthe widest of {} significant gaps\n\n{}", widest.len(), named.text());
    }
    text
}

/// How often labels and predictions break the rules.
fn contradictions(consistency: &Consistency, images: usize) -> String {
    let mut table = Table::new(1, &["Rule", "Labels", "Predictions"]);
    for rule in &consistency.rules {
        table.row([rule.rule.clone(), count(rule.labels), count(rule.predictions)]);
    }
    table.row(["any of them".to_owned(), count(consistency.labels), count(consistency.predictions)]);
    format!(
        "\nimages, of {}, that break rules between attributes; `visage predict --consistent` gives predictions that break none\n\n{}",
        count(images as u64),
        table.text()
    )
}

/// Consistent predictions beside the plain ones: the attributes that change, and the averages.
fn consistent_predictions(consistent: &ConsistentScores, plain: &Evaluation) -> String {
    let headings = DECISION_METRICS.map(Metric::heading);
    let headings: Vec<&str> = ["Attribute", "Predictions"].into_iter().chain(headings).chain(["Changed"]).collect();
    let mut table = Table::new(2, &headings);
    let mut pair = |name: &str, plain: &Scores, consistent: &Scores, changed: u64| {
        for (name, predictions, scores, changed) in
            [(name, "plain", plain, String::new()), ("", "consistent", consistent, count(changed))]
        {
            let values = DECISION_METRICS.map(|metric| score(scores.get(metric)));
            let words = [name.to_owned(), predictions.to_owned()];
            table.row(words.into_iter().chain(values).chain([changed]));
        }
    };
    for (attribute, plain) in consistent.attributes.iter().zip(&plain.attributes) {
        if attribute.changed > 0 {
            pair(&attribute.attribute, &plain.scores, &attribute.scores, attribute.changed);
        }
    }
    pair("macro average", &plain.macro_average, &consistent.macro_average, consistent.answers_changed);
    pair("micro average", &plain.micro_average, &consistent.micro_average, consistent.answers_changed);
    format!(
        "\nconsistent predictions beside the plain ones; they differ on {} of {} images\n\n{}",
        count(consistent.images_changed),
        count(plain.images as u64),
        table.text()
    )
}

fn headings(first: &'static str, last: &'static str) -> Vec<&'static str> {
    std::iter::once(first).chain(COLUMNS.map(|(_, heading)| heading)).chain([last]).collect()
}

fn row(name: &str, scores: &Scores, last: String) -> Vec<String> {
    let values = COLUMNS.map(|(metric, _)| score(scores.get(metric)));
    std::iter::once(name.to_owned()).chain(values).chain([last]).collect()
}
