//! `visage evaluate`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use visage_data::{Dataset, Label, Split};
use visage_judge::{
    Consistency, ConsistentScores, Evaluation, Gap, Grouping, Interval, Intervals, Metric, Predictions, Rules,
    SMALL_GROUP, Scores, ThresholdRule, Thresholds, judge_groups, probabilities, widest_gaps,
};
use visage_model::{Card, Origin, Precision, Predictor};
use visage_run::predict::{LabelledOutputs, logits, predictions};
use visage_run::{MetricsFile, PredictionsFile, PredictionsOrigin, RunFolder};

use super::data::source;
use super::{read_predictor, read_rules};
use crate::cli::{EvaluateArgs, SourceArgs, Threshold};
use crate::compute::Compute;
use crate::error::CommandError;
use crate::output;
use crate::progress::Progress;
use crate::resampling::RESAMPLING;
use crate::shell;
use crate::table::{Columns, count, counted, percent, score};

/// Images that go through the network together.
pub const BATCH_SIZE: usize = 64;

/// The metrics shown, and their short headings.
const COLUMNS: [(Metric, &str); 10] = [
    (Metric::Accuracy, "Accuracy"),
    (Metric::CommonerClassAccuracy, "Commoner"),
    (Metric::BalancedAccuracy, "Balanced"),
    (Metric::Precision, "Precision"),
    (Metric::Recall, "Recall"),
    (Metric::F1, "F1"),
    (Metric::AveragePrecision, "AP"),
    (Metric::RocAuc, "AUC"),
    (Metric::Prevalence, "Prevalence"),
    (Metric::PredictedPositiveRate, "Predicted"),
];

/// Judges a model on a part of a dataset.
pub fn run(args: &EvaluateArgs) -> Result<(), CommandError> {
    let compute = Compute::for_asking(&args.ask)?;
    let (model, model_file) = read_predictor(&args.model, &compute)?;
    let rules = read_rules(args.rules.as_deref(), &model.card().attributes)?;
    if args.consistent && rules.is_empty() {
        return Err(CommandError::NoRules);
    }
    let judged = evaluate(&Judging {
        dataset: &Arc::new(open(&args.source, model.card())?),
        model: &model,
        model_file,
        data: &args.source.data,
        split: args.split,
        threshold: args.threshold,
        group_by: &args.group_by,
        rules: &rules,
        consistent: args.consistent,
        compute: &compute,
    })?;
    // "-" is standard output, as it is for many programs.
    let json = args.json.as_ref().map(|file| file.as_deref().filter(|file| *file != Path::new("-")));
    let mut written = Vec::new();
    match &args.out {
        Some(file) => written.extend(judged.write(file)?),
        None if RunFolder::holds_run(&args.model) && !matches!(json, Some(Some(_))) => {
            written.extend(judged.write(&args.model.join(MetricsFile::name(args.split)))?);
        }
        None => {}
    }
    if let Some(Some(file)) = json {
        judged.metrics.write(file)?;
        written.push(file.display().to_string());
    }
    if json == Some(None) {
        output::result(&judged.metrics.to_json())?;
    } else {
        output::result(&report(&judged.metrics))?;
    }
    if !written.is_empty() {
        output::note(&format!("wrote {}", written.join(", ")));
        output::note(&format!("next: visage compare {} ANOTHER_RUN", shell::path(&args.model)));
    }
    Ok(())
}

/// Opens the dataset. Where its table assigns no splits and the model was trained on it, they are those of then.
pub fn open(args: &SourceArgs, card: &Card) -> Result<Dataset, CommandError> {
    let dataset = source::open(args)?;
    let Origin { split_seed, dataset_fingerprint, .. } = &card.origin;
    match split_seed {
        Some(seed) if !dataset.has_splits() => {
            let mut drawn = dataset.clone();
            drawn.assign_splits(*seed);
            if drawn.fingerprint() == *dataset_fingerprint { Ok(drawn) } else { Ok(dataset) }
        }
        _ => Ok(dataset),
    }
}

/// What to judge.
pub struct Judging<'a> {
    /// Whom to judge.
    pub model: &'a Predictor,
    /// Where it was read.
    pub model_file: PathBuf,
    /// On what.
    pub dataset: &'a Arc<Dataset>,
    /// Where that lies.
    pub data: &'a Path,
    /// The part of it.
    pub split: Split,
    /// What counts as present.
    pub threshold: Threshold,
    /// Attributes, and columns of words, whose groups are judged apart.
    pub group_by: &'a [String],
    /// What cannot be true together.
    pub rules: &'a Rules,
    /// Whether to judge answers that break no rule too.
    pub consistent: bool,
    /// Where to compute.
    pub compute: &'a Compute,
}

/// What judging gave.
pub struct Judged {
    /// The metrics.
    pub metrics: MetricsFile,
    /// The answers behind them.
    pub predictions: PredictionsFile,
}

impl Judged {
    /// Writes the metrics to `path` and the predictions beside them; returns both paths.
    ///
    /// The predictions first: what compares them goes by their own labels and thresholds, so that being killed in between
    /// leaves nothing that contradicts itself.
    ///
    /// # Errors
    ///
    /// When one cannot be written.
    pub fn write(&self, path: &Path) -> Result<[String; 2], CommandError> {
        let beside = PredictionsFile::beside(path);
        self.predictions.write(&beside)?;
        self.metrics.write(path)?;
        Ok([path, &beside].map(|path| path.display().to_string()))
    }
}

/// Judges a model, showing how it goes.
pub fn evaluate(judging: &Judging<'_>) -> Result<Judged, CommandError> {
    let Judging { model, model_file, dataset, data, split, threshold, group_by, rules, consistent, .. } = judging;
    let indices = images(dataset, *split)?;
    let by = groupings(dataset, &indices, group_by)?;
    let (predictions, uncalibrated) = answers(judging, &indices)?;
    let (thresholds, rule) = match threshold {
        // Whatever rule chose them, it did not look at these images.
        Threshold::Model => (
            Thresholds { rule: ThresholdRule::Fixed, values: model.card().thresholds.clone() },
            format!("the model's: {}", model.card().threshold_rule),
        ),
        Threshold::Fixed(value) => {
            (Thresholds::fixed(*value, model.card().attributes.len()), format!("{value} for every attribute"))
        }
    };
    let (judged_groups, gaps) = judge_groups(&predictions, &thresholds, &by, &RESAMPLING)?;
    let metrics = MetricsFile {
        visage_version: env!("CARGO_PKG_VERSION").to_owned(),
        model: model_file.clone(),
        architecture: model.card().network.architecture.to_string(),
        precision: judging.compute.precision,
        calibration: model.card().calibration.as_ref().map(|calibration| calibration.method().to_string()),
        dataset: dataset.name().to_owned(),
        data: data.to_path_buf(),
        dataset_fingerprint: dataset.fingerprint(),
        split: *split,
        thresholds: rule,
        evaluation: visage_judge::evaluate(&predictions, &thresholds)?,
        intervals: Some(Intervals::new(&predictions, &thresholds, &RESAMPLING)?),
        groups: judged_groups,
        gaps,
        consistency: (!rules.is_empty()).then(|| rules.count(&predictions, &thresholds)),
        consistent: consistent.then(|| rules.judge(&predictions, &thresholds)).transpose()?,
    };
    let origin = PredictionsOrigin {
        visage_version: metrics.visage_version.clone(),
        model: metrics.model.clone(),
        dataset: metrics.dataset.clone(),
        dataset_fingerprint: metrics.dataset_fingerprint.clone(),
        split: *split,
        images: indices.iter().map(|&index| dataset.samples()[index].image.clone()).collect(),
    };
    Ok(Judged { metrics, predictions: PredictionsFile { origin, predictions, uncalibrated, thresholds } })
}

/// What the model says of the images, and what it would say without its calibration if it has one.
fn answers(judging: &Judging<'_>, indices: &[usize]) -> Result<(Predictions, Option<Predictions>), CommandError> {
    let Judging { model, dataset, split, .. } = judging;
    let mut progress = Progress::new(&format!("judging on {split}"), "images", indices.len() as u64);
    let told = |done: usize| progress.set(done as u64, String::new);
    let Some(calibration) = &model.card().calibration else {
        let plain = predictions(model, dataset, indices.to_vec(), BATCH_SIZE, told)?;
        return Ok((plain, None));
    };
    let LabelledOutputs { labels, outputs: logits } = logits(model, dataset, indices.to_vec(), BATCH_SIZE, told)?;
    let names = &model.card().attributes;
    let plain = Predictions::new(names.clone(), labels.clone(), probabilities(None, &logits))?;
    Ok((Predictions::new(names.clone(), labels, probabilities(Some(calibration), &logits))?, Some(plain)))
}

/// The images of a split, of which there must be some.
pub fn images(dataset: &Dataset, split: Split) -> Result<Vec<usize>, CommandError> {
    let indices = dataset.indices(split);
    if indices.is_empty() {
        // Never the training split: it is not what anyone wants to be told to judge on.
        let other = [Split::Test, Split::Validation].into_iter().find(|&other| !dataset.indices(other).is_empty());
        return Err(CommandError::EmptySplit { dataset: dataset.name().to_owned(), split, other });
    }
    Ok(indices)
}

/// The groups that each of `names`, an attribute or a column of words, makes of the images `indices`.
fn groupings(dataset: &Dataset, indices: &[usize], names: &[String]) -> Result<Vec<Grouping>, CommandError> {
    /// More groups than this are no groups but names.
    const MOST_VALUES: usize = 50;

    let position = |columns: &[String], name: &String| columns.iter().position(|column| column == name);
    let samples = || indices.iter().map(|&index| &dataset.samples()[index]);
    let (mut groupings, mut missing) = (Vec::new(), Vec::new());
    for name in names {
        if let Some(column) = position(dataset.attributes(), name) {
            groupings.push(Grouping::by_attribute(name, samples().map(|sample| Label::known(sample.labels[column]))));
        } else if let Some(column) = position(dataset.categories(), name) {
            let grouping = Grouping::by_value(name, samples().map(|sample| sample.categories[column].as_deref()));
            if grouping.values.len() > MOST_VALUES {
                let (name, values) = (name.clone(), grouping.values.len());
                return Err(CommandError::ManyGroups { name, values, most: MOST_VALUES });
            }
            groupings.push(grouping);
        } else {
            missing.push(name.clone());
        }
    }
    if !missing.is_empty() {
        let known = dataset.attributes().iter().chain(dataset.categories()).cloned().collect();
        return Err(CommandError::NoSuchGroups { dataset: dataset.name().to_owned(), names: missing, known });
    }
    Ok(groupings)
}

/// The tables.
pub fn report(metrics: &MetricsFile) -> String {
    let Evaluation { macro_average, micro_average, original, attributes, .. } = &metrics.evaluation;
    let mut table = Columns::new(1, &headings("Attribute", "Threshold"));
    for attribute in attributes {
        table.row(row(&attribute.attribute, &attribute.scores, score(Some(f64::from(attribute.threshold)))));
    }
    let means = [
        ("macro average", macro_average),
        ("micro average", micro_average),
        ("mean, undefined as 0", &original.scores()),
    ];
    for (name, scores) in means {
        table.row(row(name, scores, String::new()));
        let intervals = metrics.intervals.as_ref().and_then(|intervals| match name {
            "macro average" => Some(&intervals.macro_average),
            "micro average" => Some(&intervals.micro_average),
            _ => None,
        });
        if let Some(intervals) = intervals {
            let end = |end: fn(&Interval) -> f64| {
                COLUMNS.map(|(metric, _)| {
                    intervals.get(&metric).map(|interval| score(Some(end(interval)))).unwrap_or_default()
                })
            };
            for (label, values) in
                [("  95 % interval: from", end(|i| i.low)), ("                   to", end(|i| i.high))]
            {
                table.row(std::iter::once(label.to_owned()).chain(values).chain([String::new()]));
            }
        }
    }
    let calibration = metrics.calibration.as_ref().map(|method| format!("; calibration: {method}")).unwrap_or_default();
    let precision = match metrics.precision {
        Precision::F32 => String::new(),
        narrower => format!("; computed in {}", narrower.name()),
    };
    let mut text = format!(
        "{} of the {} split of {}; thresholds: {}{calibration}{precision}\n\n{}",
        counted(metrics.evaluation.images as u64, "image"),
        metrics.split,
        metrics.dataset,
        metrics.thresholds,
        table.text()
    );
    if !metrics.groups.is_empty() {
        let mut table = Columns::new(1, &headings("Group", "Images"));
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
        text += &mended(consistent, &metrics.evaluation);
    }
    text += &format!(
        "\naccuracy {}, where always answering the commoner class has {}; of what is there it finds {} (recall), \
         and of what it reports {} is there (precision), as means over the attributes\n",
        percent(macro_average.accuracy),
        percent(macro_average.commoner_class_accuracy),
        percent(macro_average.recall),
        percent(macro_average.precision),
    );
    text
}

/// The mean gaps of each grouping, and the widest that are more than chance.
fn gaps(gaps: &[Gap]) -> String {
    /// How many of the widest gaps are named.
    const NAMED: usize = 5;
    let interval = |gap: &Gap| match gap.interval {
        Some(Interval { low, high }) => format!("{low:+.4} to {high:+.4}"),
        None => "-".to_owned(),
    };
    let mut means =
        Columns::new(2, &["Group", "Alike in", "Mean gap", "95 % interval", "Attributes", "Too few to tell"]);
    for mean in gaps.iter().filter(|gap| gap.attribute.is_none()) {
        let of = |gap: &&Gap| gap.attribute.is_some() && gap.criterion == mean.criterion && gap.sides() == mean.sides();
        means.row([
            mean.sides()[0].clone(),
            format!("{} ({})", mean.criterion.metric().heading().to_lowercase(), mean.criterion.heading()),
            score(mean.difference),
            interval(mean),
            count(mean.cases[0]),
            count(gaps.iter().filter(of).filter(|gap| gap.too_small).count() as u64),
        ]);
    }
    let widest = widest_gaps(gaps);
    let mut named =
        Columns::new(4, &["Attribute", "Metric", "Group", "Other", "In it", "In the other", "Gap", "95 % interval"]);
    for gap in widest.iter().take(NAMED) {
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
        "\ngaps between groups, over the attributes with {SMALL_GROUP} cases or more in both\n\n{}",
        means.text()
    );
    if !widest.is_empty() {
        text += &format!("\nthe widest gaps beyond chance, of {}\n\n{}", widest.len(), named.text());
    }
    text
}

/// How often labels and answers break the rules.
fn contradictions(consistency: &Consistency, images: usize) -> String {
    let mut table = Columns::new(1, &["Rule", "Labels", "Answers"]);
    for rule in &consistency.rules {
        table.row([rule.rule.clone(), count(rule.labels), count(rule.predictions)]);
    }
    table.row(["any of them".to_owned(), count(consistency.labels), count(consistency.predictions)]);
    format!(
        "\nimages of {} that contradict themselves; `visage predict --consistent` gives answers that do not\n\n{}",
        count(images as u64),
        table.text()
    )
}

/// How consistent answers score beside the plain ones: the averages, and the attributes with other answers.
fn mended(consistent: &ConsistentScores, plain: &Evaluation) -> String {
    /// The metrics that answers alone have.
    const METRICS: [Metric; 6] = [
        Metric::Accuracy,
        Metric::BalancedAccuracy,
        Metric::Precision,
        Metric::Recall,
        Metric::F1,
        Metric::PredictedPositiveRate,
    ];
    let headings = METRICS.map(Metric::heading);
    let headings: Vec<&str> = ["Attribute", "Answers"].into_iter().chain(headings).chain(["Changed"]).collect();
    let mut table = Columns::new(2, &headings);
    let mut pair = |name: &str, plain: &Scores, consistent: &Scores, changed: u64| {
        for (name, answers, scores, changed) in
            [(name, "plain", plain, String::new()), ("", "consistent", consistent, count(changed))]
        {
            let values = METRICS.map(|metric| score(scores.get(metric)));
            let words = [name.to_owned(), answers.to_owned()];
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
        "\nconsistent answers beside the plain ones; {} of {} have others\n\n{}",
        counted(consistent.images_changed, "image"),
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
