//! A model card in Markdown (Mitchell et al., "Model Cards for Model Reporting", 2019): what one should know before using a model.

use visage_data::Alignment;
use visage_judge::{AttributeMetrics, Interval, Metric, SMALL_GROUP, ScoreIntervals, Scores, widest_gaps};
use visage_model::{Card, TestTime};
use visage_run::{MetricsFile, RunRecord};

use crate::format::{count, duration, percent, score};

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

const NAMED_GAPS: usize = 10;

/// The model card of a model file with this `card`, trained by the run of `record` if there is one, and evaluated with `metrics`.
pub fn model_card(card: &Card, record: Option<&RunRecord>, metrics: &MetricsFile) -> String {
    let recipe = format!("## Recipe\n\n```toml\n{}\n```\n", card.origin.recipe.trim_end());
    [about(card, record), uses(card), results(card, metrics), groups(metrics), limits(metrics), recipe].join("\n\n")
}

fn about(card: &Card, record: Option<&RunRecord>) -> String {
    let origin = &card.origin;
    let title = record.map_or_else(|| card.architectures(), |record| record.recipe.clone());
    let mut lines = vec![
        format!(
            "- **Output**: for one image, the probabilities of {} attributes: {}",
            card.attributes.len(),
            list(&card.attributes)
        ),
        network(card),
        format!(
            "- **Images**: resized and cropped to {} (height x width), mean {:?}, standard deviation {:?}",
            card.preparation.output_size(),
            card.preparation.mean,
            card.preparation.std
        ),
        format!("- **Faces**: {}", faces(card.preparation.alignment)),
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
    format!("# Model card: {} on {}\n\n{}", cell(&title), cell(&origin.dataset), lines.join("\n"))
}

fn network(card: &Card) -> String {
    let views = match card.test_time {
        TestTime::None => "",
        TestTime::Flip => "; the logits of an image and of its mirror image are averaged",
    };
    let networks = if card.ensemble.is_empty() { "" } else { "; their logits are averaged" };
    format!("- **Network**: {}{networks}{views}", card.architectures())
}

fn faces(alignment: Option<Alignment>) -> &'static str {
    match alignment {
        Some(Alignment::Celeba) => {
            "aligned as CelebA's, in 178x218 pixels. In other photographs they have to be found and aligned first \
             (`visage predict --faces`); nobody is recognised"
        }
        Some(Alignment::None) => "not aligned: images are used as they are",
        None => "it is not known whether they have to be aligned",
    }
}

fn uses(card: &Card) -> String {
    format!(
        "## Uses\n\nStudying the data and the method, and sorting images like the training images, where errors do no harm and a \
         person reviews what matters.\n\n### Uses to avoid\n\n{}",
        card.uses_to_avoid
    )
}

fn results(card: &Card, metrics: &MetricsFile) -> String {
    let evaluation = &metrics.evaluation;
    let confidence = metrics.intervals.as_ref().map_or(String::new(), |intervals| {
        format!(
            ", with {:.0} % intervals of {} bootstrap samples in brackets",
            intervals.confidence * 100.0,
            count(intervals.replicates as u64)
        )
    });
    let other_data = if metrics.dataset_fingerprint == card.origin.dataset_fingerprint {
        String::new()
    } else {
        format!(
            " These are not the data that the model was trained on: their fingerprint is `{}`.",
            metrics.dataset_fingerprint
        )
    };
    let none = ScoreIntervals::new();
    let intervals = metrics.intervals.as_ref();
    let (means, pooled) = (&evaluation.macro_average, &evaluation.micro_average);
    let mut rows = vec![
        row("**macro average**", means, intervals.map_or(&none, |all| &all.macro_average), None),
        row("**micro average**", pooled, intervals.map_or(&none, |all| &all.micro_average), None),
    ];
    for (number, attribute) in evaluation.attributes.iter().enumerate() {
        let intervals = intervals.and_then(|all| all.attributes.get(number)).unwrap_or(&none);
        rows.push(row(&cell(&attribute.attribute), &attribute.scores, intervals, Some(attribute.positives)));
    }
    format!(
        "## Results\n\nOn {}{confidence}.{other_data} A metric that is undefined has a dash.\n\n{}\n\n\
         Always predicting the majority class of each attribute has a mean accuracy of {}; the model has {}.",
        metrics.split.counted(&format!("{} images", count(evaluation.images as u64)), &cell(&metrics.dataset)),
        table(&with_metrics(["Attribute", "Prevalence", "Positives"]), &rows),
        score(means.commoner_class_accuracy),
        score(means.accuracy)
    )
}

/// These headings, then those of the metrics.
fn with_metrics(headings: [&'static str; 3]) -> Vec<&'static str> {
    headings.into_iter().chain(METRICS.map(Metric::heading)).collect()
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

fn groups(metrics: &MetricsFile) -> String {
    if metrics.groups.is_empty() {
        return format!(
            "## Groups\n\nNot evaluated by group. Do so before any use: `visage evaluate RUN --data {} --group-by ATTRIBUTE`.",
            metrics.data.display()
        );
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
    let table = table(&with_metrics(["Group", "Prevalence", "Images"]), &rows);
    format!("## Groups\n\nMeans over the attributes.\n\n{table}\n\n{}", gaps(metrics))
}

fn gaps(metrics: &MetricsFile) -> String {
    let gaps = widest_gaps(&metrics.gaps);
    if gaps.is_empty() {
        return format!("No gap between groups of at least {SMALL_GROUP} cases is significant.");
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
    let table = table(&headings, &rows);
    format!("Significant gaps in recall and precision ({}), the widest first:\n\n{table}", count(gaps.len() as u64))
}

fn limits(metrics: &MetricsFile) -> String {
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
    format!("## Limits\n\n{}", lines.join("\n"))
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
