//! The options that choose among the evaluations of a run.

use clap::Args;
use visage_data::SplitOrAll;
use visage_run::results::EvaluationChoice;

/// Which evaluations are shown.
#[derive(Clone, Debug, Args)]
pub struct EvaluationChoiceArgs {
    /// The split whose metrics are shown: train, validation, test or all [default: the first of test, validation, train and all that
    /// the runs were evaluated on].
    #[arg(long)]
    pub split: Option<SplitOrAll>,
    /// The dataset whose metrics are shown: its name, its path, or the beginning of its fingerprint [default: the run's own data before
    /// others].
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
}

impl EvaluationChoiceArgs {
    /// The choice.
    pub fn choice(&self) -> EvaluationChoice {
        EvaluationChoice { split: self.split, dataset: self.dataset.clone() }
    }
}
