//! A model card in Markdown (Mitchell et al., "Model Cards for Model Reporting", 2019): what one should know before using a model.

use std::fmt::Write;

use visage_judge::{AttributeMetrics, Interval, Metric, SMALL_GROUP, ScoreIntervals, Scores, widest_gaps};
use visage_model::Card;
use visage_run::{MetricsFile, RunRecord};

use crate::format::{count, duration, percent, score};

/// The metrics a card shows.
const METRICS: [Metric; 6] = [
    Metric::Accuracy,
    Metric::BalancedAccuracy,
    Metric::Precision,
    Metric::Recall,
    Metric::F1,
    Metric::AveragePrecision,
];

/// With fewer positives than this, the 95 % interval of an attribute's recall is up to 20 points wide.
const FEW_POSITIVES: u64 = 100;

/// How many gaps between groups are listed.
const NAMED_GAPS: usize = 10;

/// The model card of a model file with this `card`, trained by the run of `record` if there is one, and evaluated with `metrics`.
#[must_use]
pub fn model_card(card: &Card, record: Option<&RunRecord>, metrics: &MetricsFile) -> String {
    let mut text = String::new();
    about(&mut text, card, record);
    uses(&mut text, card);
    results(&mut text, metrics);
    groups(&mut text, metrics);
    limits(&mut text, metrics);
    let recipe = card.origin.recipe.trim_end();
    add(&mut text, &format!("## Recipe\n\n```toml\n{recipe}\n```"));
    text
}

fn add(text: &mut String, paragraph: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{paragraph}");
}

fn about(text: &mut String, card: &Card, record: Option<&RunRecord>) {
    let origin = &card.origin;
    let title = record.map_or_else(|| card.network.architecture.to_string(), |record| record.recipe.clone());
    add(text, &format!("# Model card: {} on {}", cell(&title), cell(&origin.dataset)));
    let mut lines = vec![
        format!(
            "- **Output**: for one image, the probabilities of {} attributes: {}",
            card.attributes.len(),
            list(&card.attributes)
        ),
        format!("- **Network**: {}", card.network.architecture),
        format!(
            "- **Images**: resized and cropped to {} (height x width), mean {:?}, standard deviation {:?}",
            card.preparation.output_size(),
            card.preparation.mean,
            card.preparation.std
        ),
        format!(
            "- **Trained**: from {}, by visage {}, to epoch {} (step {}), on {} images of {}",
            origin.started,
            origin.visage_version,
            origin.epoch,
            count(origin.step),
            count(origin.training_images as u64),
            cell(&origin.dataset)
        ),
        format!("- **Data fingerprint**: `{}`", origin.dataset_fingerprint),
    ];
    if let Some(record) = record {
        let data = &record.data;
        lines.push(format!(
            "- **Splits**: {} training, {} validation and {} test images",
            count(data.train),
            count(data.validation),
            count(data.test)
        ));
        lines.push(format!("- **Parameters**: {}", count(record.parameters)));
        if let Some(result) = &record.result {
            let threads = record.threads;
            lines.push(format!("- **Cost**: {} on {} with {threads} threads", duration(result.seconds), record.device));
        }
    }
    let calibration =
        card.calibration.as_ref().map_or("none".to_owned(), |calibration| calibration.method().to_string());
    lines.push(format!("- **Thresholds**: {}; **calibration**: {calibration}", card.threshold_rule));
    add(text, &lines.join("\n"));
}

fn uses(text: &mut String, card: &Card) {
    add(
        text,
        &format!(
            "## Uses\n\nStudying the data and the method, and sorting images like the training images, where errors do no harm and a \
             person reviews what matters.\n\n### Uses to avoid\n\n{}",
            card.uses_to_avoid
        ),
    );
}

fn results(text: &mut String, metrics: &MetricsFile) {
    let evaluation = &metrics.evaluation;
    let confidence = metrics.intervals.as_ref().map_or(String::new(), |intervals| {
        format!(
            ", with {:.0} % intervals of {} bootstrap samples in brackets",
            intervals.confidence * 100.0,
            count(intervals.replicates as u64)
        )
    });
    add(
        text,
        &format!(
            "## Results\n\nOn {} images of the {} split of {}{confidence}. A metric that is undefined has a dash.",
            count(evaluation.images as u64),
            metrics.split,
            cell(&metrics.dataset)
        ),
    );
    let none = ScoreIntervals::new();
    let mut rows = Vec::new();
    let averages = metrics.intervals.as_ref();
    rows.push(row(
        "**macro average**",
        &evaluation.macro_average,
        averages.map_or(&none, |all| &all.macro_average),
        None,
    ));
    rows.push(row(
        "**micro average**",
        &evaluation.micro_average,
        averages.map_or(&none, |all| &all.micro_average),
        None,
    ));
    for (number, attribute) in evaluation.attributes.iter().enumerate() {
        let intervals = averages.and_then(|all| all.attributes.get(number)).unwrap_or(&none);
        rows.push(row(&cell(&attribute.attribute), &attribute.scores, intervals, Some(attribute.positives)));
    }
    let headings: Vec<&str> =
        ["Attribute", "Prevalence", "Positives"].into_iter().chain(METRICS.map(Metric::heading)).collect();
    add(text, &table(&headings, &rows));
    let commoner = evaluation.macro_average.commoner_class_accuracy;
    add(
        text,
        &format!(
            "Always predicting the majority class of each attribute has a mean accuracy of {}; the model has {}.",
            score(commoner),
            score(evaluation.macro_average.accuracy)
        ),
    );
}

fn row(name: &str, scores: &Scores, intervals: &ScoreIntervals, positives: Option<u64>) -> Vec<String> {
    let value = |metric: Metric| match intervals.get(&metric) {
        Some(Interval { low, high }) if scores.get(metric).is_some() => {
            format!("{} [{low:.3}, {high:.3}]", score(scores.get(metric)))
        }
        _ => score(scores.get(metric)),
    };
    let first = [name.to_owned(), score(scores.prevalence), positives.map(count).unwrap_or_default()];
    first.into_iter().chain(METRICS.map(value)).collect()
}

fn groups(text: &mut String, metrics: &MetricsFile) {
    if metrics.groups.is_empty() {
        add(
            text,
            &format!(
                "## Groups\n\nNot evaluated by group. Do so before any use: `visage evaluate RUN --data {} --group-by ATTRIBUTE`.",
                metrics.data.display()
            ),
        );
        return;
    }
    let rows: Vec<Vec<String>> = metrics
        .groups
        .iter()
        .map(|group| {
            let name = format!("{}: {}", cell(&group.group), cell(&group.value));
            let mut row = row(&name, &group.macro_average, &group.intervals, None);
            row[2] = count(group.images as u64) + if group.too_small { " (too few to tell)" } else { "" };
            row
        })
        .collect();
    let headings: Vec<&str> =
        ["Group", "Prevalence", "Images"].into_iter().chain(METRICS.map(Metric::heading)).collect();
    add(text, &format!("## Groups\n\nMeans over the attributes.\n\n{}", table(&headings, &rows)));

    let gaps = widest_gaps(&metrics.gaps);
    if gaps.is_empty() {
        add(text, &format!("No gap between groups of at least {SMALL_GROUP} cases is significant."));
        return;
    }
    let rows: Vec<Vec<String>> = gaps
        .iter()
        .take(NAMED_GAPS)
        .map(|gap| {
            let interval = gap.interval.map_or_else(String::new, |i| format!(" [{:+.3}, {:+.3}]", i.low, i.high));
            vec![
                cell(gap.attribute.as_deref().unwrap_or_default()),
                format!("{} ({})", gap.criterion.metric().heading().to_lowercase(), gap.criterion.heading()),
                cell(&gap.sides()[0]),
                cell(&gap.other),
                score(gap.values[0]),
                score(gap.values[1]),
                gap.difference.map_or_else(String::new, |gap| format!("{gap:+.4}")) + &interval,
            ]
        })
        .collect();
    let headings = ["Attribute", "Metric", "Group", "Other", "In it", "In the other", "Gap"];
    add(
        text,
        &format!(
            "Significant gaps in recall and precision ({}), the widest first:\n\n{}",
            count(gaps.len() as u64),
            table(&headings, &rows)
        ),
    );
}

fn limits(text: &mut String, metrics: &MetricsFile) {
    let attributes = &metrics.evaluation.attributes;
    let named = |which: &dyn Fn(&AttributeMetrics) -> bool| -> Vec<String> {
        attributes.iter().filter(|attribute| which(attribute)).map(|attribute| attribute.attribute.clone()).collect()
    };
    let mut lines = vec![
        "- It was trained on images of one kind. On others (another camera, crop, lighting, age or place) it errs more often, with \
         the same confidence."
            .to_owned(),
        "- Its labels come from annotators, with their mistakes and opinions; so do the labels it was evaluated on."
            .to_owned(),
    ];
    let collapsed = named(&|attribute| attribute.scores.collapse().is_some());
    if !collapsed.is_empty() {
        lines.push(format!(
            "- It predicts these attributes less than half as often as they occur: {}.",
            list(&collapsed)
        ));
    }
    let useless = named(&|attribute| match (attribute.scores.accuracy, attribute.scores.commoner_class_accuracy) {
        (Some(accuracy), Some(commoner)) => accuracy <= commoner,
        _ => false,
    });
    if !useless.is_empty() {
        lines
            .push(format!("- It is no more accurate than always predicting the majority class on {}.", list(&useless)));
    }
    let rare = named(&|attribute| attribute.positives < FEW_POSITIVES);
    if !rare.is_empty() {
        lines.push(format!("- It was evaluated on fewer than {FEW_POSITIVES} images that have {}.", list(&rare)));
    }
    if let Some(consistency) = &metrics.consistency {
        let share = consistency.predictions as f64 / metrics.evaluation.images.max(1) as f64;
        lines.push(format!(
            "- Its predictions break rules between attributes on {} of the images (the labels do on {}).",
            percent(Some(share)),
            count(consistency.labels)
        ));
    }
    add(text, &format!("## Limits\n\n{}", lines.join("\n")));
}

/// A Markdown table with a column of names and columns of numbers.
fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &mut dyn Iterator<Item = &str>| format!("| {} |", cells.collect::<Vec<_>>().join(" | "));
    let rule = line(&mut (0..headings.len()).map(|column| if column == 0 { "---" } else { "---:" }));
    let rows = rows.iter().map(|row| line(&mut row.iter().map(String::as_str)));
    [line(&mut headings.iter().copied()), rule].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| cell(name)).collect::<Vec<_>>().join(", ")
}

/// Text that does not break out of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('_', "\\_")
        .replace('*', "\\*")
        .replace('<', "&lt;")
        .replace(['\n', '\r'], " ")
}
