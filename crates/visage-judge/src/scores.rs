//! The metrics: their values, and their names.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::confusion::{Confusion, commoner_class_accuracy};

/// One value per metric; `None` (null in JSON) where a metric is undefined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Share of right decisions.
    pub accuracy: Option<f64>,
    /// Mean recall over the classes that occur.
    pub balanced_accuracy: Option<f64>,
    /// Share of positive decisions that are right.
    pub precision: Option<f64>,
    /// Share of positives that are predicted positive.
    pub recall: Option<f64>,
    /// Harmonic mean of precision and recall.
    pub f1: Option<f64>,
    /// Matthews correlation coefficient, -1 to 1.
    pub mcc: Option<f64>,
    /// Average precision: precision weighted by the recall gained, over all thresholds.
    pub average_precision: Option<f64>,
    /// Area under the ROC curve.
    pub roc_auc: Option<f64>,
    /// Mean squared distance between probability and outcome; lower is better.
    pub brier: Option<f64>,
    /// Mean negative log likelihood in nats; lower is better.
    pub log_loss: Option<f64>,
    /// Expected calibration error over 15 bins of equal width (Guo et al., 2017); lower is better.
    pub ece: Option<f64>,
    /// Share of positive decisions. Where it is far below `prevalence`, recall is low.
    pub predicted_positive_rate: Option<f64>,
    /// Share of positive labels.
    pub prevalence: Option<f64>,
    /// Accuracy of always answering the class that is commoner in these labels: the baseline of accuracy.
    pub commoner_class_accuracy: Option<f64>,
}

impl Scores {
    pub(crate) fn of_decisions(confusion: &Confusion) -> Self {
        Self {
            accuracy: confusion.accuracy(),
            balanced_accuracy: confusion.balanced_accuracy(),
            precision: confusion.precision(),
            recall: confusion.recall(),
            f1: confusion.f1(),
            mcc: confusion.mcc(),
            predicted_positive_rate: confusion.predicted_positive_rate(),
            prevalence: confusion.prevalence(),
            commoner_class_accuracy: commoner_class_accuracy(std::iter::once(confusion)),
            ..Self::default()
        }
    }

    /// Each metric's mean over those of `all` where it is defined.
    pub(crate) fn mean_where_defined<'a>(all: impl Iterator<Item = &'a Scores> + Clone) -> Self {
        let mut mean = Self::default();
        for metric in Metric::ALL {
            let values = all.clone().filter_map(|scores| scores.get(metric));
            let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
            *mean.slot(metric) = (count > 0).then(|| sum / count as f64);
        }
        mean
    }

    /// The value of a metric.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        let mut scores = *self;
        *scores.slot(metric)
    }

    fn slot(&mut self, metric: Metric) -> &mut Option<f64> {
        match metric {
            Metric::Accuracy => &mut self.accuracy,
            Metric::BalancedAccuracy => &mut self.balanced_accuracy,
            Metric::Precision => &mut self.precision,
            Metric::Recall => &mut self.recall,
            Metric::F1 => &mut self.f1,
            Metric::Mcc => &mut self.mcc,
            Metric::AveragePrecision => &mut self.average_precision,
            Metric::RocAuc => &mut self.roc_auc,
            Metric::Brier => &mut self.brier,
            Metric::LogLoss => &mut self.log_loss,
            Metric::Ece => &mut self.ece,
            Metric::PredictedPositiveRate => &mut self.predicted_positive_rate,
            Metric::Prevalence => &mut self.prevalence,
            Metric::CommonerClassAccuracy => &mut self.commoner_class_accuracy,
        }
    }
}

/// The metrics of [`Scores`], by name. Displays as the heading of a table's column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is documented at the field of `Scores` of the same name")]
pub enum Metric {
    Accuracy,
    BalancedAccuracy,
    Precision,
    Recall,
    F1,
    Mcc,
    AveragePrecision,
    RocAuc,
    Brier,
    LogLoss,
    Ece,
    PredictedPositiveRate,
    Prevalence,
    CommonerClassAccuracy,
}

impl Metric {
    /// Every metric, in the order of the fields of [`Scores`].
    pub const ALL: [Self; 14] = [
        Self::Accuracy,
        Self::BalancedAccuracy,
        Self::Precision,
        Self::Recall,
        Self::F1,
        Self::Mcc,
        Self::AveragePrecision,
        Self::RocAuc,
        Self::Brier,
        Self::LogLoss,
        Self::Ece,
        Self::PredictedPositiveRate,
        Self::Prevalence,
        Self::CommonerClassAccuracy,
    ];

    /// Its heading in a table.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Accuracy => "Accuracy",
            Self::BalancedAccuracy => "Balanced accuracy",
            Self::Precision => "Precision",
            Self::Recall => "Recall",
            Self::F1 => "F1",
            Self::Mcc => "MCC",
            Self::AveragePrecision => "Average precision",
            Self::RocAuc => "ROC AUC",
            Self::Brier => "Brier score",
            Self::LogLoss => "Log loss",
            Self::Ece => "ECE",
            Self::PredictedPositiveRate => "Predicted positive",
            Self::Prevalence => "Prevalence",
            Self::CommonerClassAccuracy => "Always commoner",
        }
    }

    /// Whether higher is better; `None` for metrics that describe rather than rate.
    pub fn higher_is_better(self) -> Option<bool> {
        match self {
            Self::Brier | Self::LogLoss | Self::Ece => Some(false),
            Self::PredictedPositiveRate | Self::Prevalence | Self::CommonerClassAccuracy => None,
            _ => Some(true),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.heading())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_reads_the_field_it_is_named_after() {
        let mut scores = Scores::default();
        for (index, metric) in Metric::ALL.into_iter().enumerate() {
            *scores.slot(metric) = Some(index as f64);
        }
        let json = serde_json::to_value(scores).unwrap();
        assert_eq!(json.as_object().unwrap().len(), Metric::ALL.len());
        for metric in Metric::ALL {
            let name = serde_json::to_value(metric).unwrap();
            assert_eq!(json[name.as_str().unwrap()].as_f64(), scores.get(metric), "{metric}");
        }
    }

    #[test]
    fn an_undefined_value_does_not_count_in_a_mean() {
        let scores = |f1, mcc| Scores { f1, mcc, ..Scores::default() };
        let all = [scores(Some(0.5), None), scores(None, None), scores(Some(1.0), None)];
        let mean = Scores::mean_where_defined(all.iter());
        assert_eq!((mean.f1, mean.mcc), (Some(0.75), None));
    }
}
