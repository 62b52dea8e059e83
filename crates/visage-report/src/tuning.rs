//! The page of a search.

use std::path::Path;

use crate::error::ReportError;
use crate::page;
use crate::write::write_file;

/// A search, to be written as a page.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// Name of the recipe that was varied.
    pub recipe: String,
    /// When and by which version: see [`made`](crate::made).
    pub made: String,
    /// What was searched and how it ended, a paragraph each.
    pub about: Vec<String>,
    /// The metric by which trials are judged, in words.
    pub metric: String,
    /// The keys of the parameters.
    pub parameters: Vec<String>,
    /// The trials, from the best.
    pub trials: Vec<TunedTrial>,
    /// Each parameter with the share of the metric's variance that it explains by itself, and the share that one without effect
    /// explains by chance; 0 to 1.
    pub importance: Vec<(String, f64, f64)>,
    /// The trials from which that was computed.
    pub important_trials: usize,
}

/// A trial of a search.
#[derive(Clone, Debug)]
pub struct TunedTrial {
    /// Its number, from 0.
    pub number: usize,
    /// The value of each parameter.
    pub values: Vec<String>,
    /// Epochs trained.
    pub epochs: u32,
    /// Whether its loss became infinite or undefined.
    pub diverged: bool,
    /// Whether it is the best.
    pub best: bool,
    /// The metric after its best epoch.
    pub value: Option<f64>,
    /// Accuracy after that epoch, 0 to 1.
    pub accuracy: Option<f64>,
    /// F1 after that epoch, 0 to 1.
    pub f1: Option<f64>,
}

impl Tuning {
    /// Writes the page to `path`, which is replaced.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ReportError> {
        write_file(path, page::tuning(self).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(number: usize, epochs: u32, f1: Option<f64>) -> TunedTrial {
        TunedTrial {
            number,
            values: vec!["<b>".to_owned()],
            epochs,
            diverged: f1.is_none(),
            best: number == 1,
            value: f1,
            accuracy: f1.map(|f1| 1.0 - f1 / 2.0),
            f1,
        }
    }

    fn tuning(trials: Vec<TunedTrial>, importance: Vec<(String, f64, f64)>) -> Tuning {
        Tuning {
            recipe: "mine".to_owned(),
            made: "today".to_owned(),
            about: vec!["about the search".to_owned()],
            metric: "F1".to_owned(),
            parameters: vec!["loss.gamma".to_owned()],
            important_trials: trials.len(),
            trials,
            importance,
        }
    }

    #[test]
    fn the_page_shows_every_trial_and_the_figure_those_with_scores() {
        let trials = vec![trial(1, 9, Some(0.6)), trial(0, 9, Some(0.5)), trial(3, 1, Some(0.7)), trial(2, 1, None)];
        let shares = [("loss.gamma", 0.1, 0.5), ("loss.alpha", 0.42, 0.5)].map(|(key, a, b)| (key.to_owned(), a, b));
        let tuning = tuning(trials, shares.to_vec());
        let figure = crate::figures::trials(&tuning).unwrap();
        let plot = &figure.drawing.plots[0];
        let dots =
            plot.marks.iter().filter(|mark| matches!(mark.shape, crate::drawing::Shape::Dot { hollow: false, .. }));
        assert_eq!((dots.count(), plot.marks.len()), (3, 4), "three dots and a ring");
        assert!(figure.reading.starts_with("The best by F1 is trial 1: F1 0.6, accuracy 0.7."), "{}", figure.reading);
        assert!(figure.reading.contains("highest F1 is 0.7 (trial 3), the highest accuracy 0.75 (trial 0)"));

        let html = page::tuning(&tuning);
        for part in ["about the search", "1 best", "diverged", "&lt;b&gt;", "42\u{a0}%", "9 epochs", "1 epoch"] {
            assert!(html.contains(part), "{part}");
        }
        assert!(!html.contains("<td class=\"w\"><b>"));
        assert!(
            html.find("loss.alpha</th>").unwrap() < html.find("loss.gamma</th>").unwrap(),
            "the most important first"
        );
    }

    #[test]
    fn a_search_without_scores_has_a_page_too() {
        let tuning = tuning(vec![trial(0, 0, None)], Vec::new());
        assert!(crate::figures::trials(&tuning).is_none());
        let html = page::tuning(&tuning);
        assert!(
            html.contains("id=\"trials\"") && !html.contains("id=\"importance\"") && !html.contains("id=\"figure\"")
        );
    }
}
