//! The folder of a report.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use visage_weights::atomic;

use crate::audit::AuditReport;
use crate::error::ReportError;
use crate::figure::{Figure, distinct};
use crate::run::Run;
use crate::{figures, page, png_file, svg};

/// Name of the page.
pub const PAGE: &str = "report.html";
/// Name of the folder of figures beside it.
pub const FIGURES: &str = "figures";

/// What to report on.
#[derive(Clone, Debug)]
pub struct Report {
    /// The runs, in the order of their colours.
    pub runs: Vec<Run>,
    /// When and by what it was made, in words.
    pub made: String,
    /// What a reader should know before anything else, such as what is missing; a paragraph each.
    pub remarks: Vec<String>,
    /// How the runs compare, in words; a paragraph each.
    pub comparison: Vec<String>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The page.
    pub page: PathBuf,
    /// Its size in bytes.
    pub bytes: usize,
    /// The folder of figures.
    pub figures: PathBuf,
    /// How many there are; each is two files.
    pub count: usize,
}

/// The figures of a report, by the part of the page they stand in.
pub(crate) struct Figures {
    pub training: Vec<Figure>,
    pub judgement: Vec<Figure>,
    pub calibration: Vec<Figure>,
    /// Each attribute's, by name.
    pub attributes: Vec<(String, Vec<Figure>)>,
}

impl Figures {
    fn of(runs: &[Run]) -> Self {
        Self {
            training: figures::training(runs),
            judgement: figures::judgement(runs),
            calibration: figures::calibration(runs),
            attributes: attributes(runs)
                .into_par_iter()
                .map(|name| (name.to_owned(), figures::attribute(name, runs)))
                .filter(|(_, figures)| !figures.is_empty())
                .collect(),
        }
    }

    fn all(&self) -> Vec<&Figure> {
        let attributes = self.attributes.iter().flat_map(|(_, figures)| figures);
        self.training.iter().chain(&self.judgement).chain(&self.calibration).chain(attributes).collect()
    }
}

/// The attributes that some run was judged on, in the order they first occur.
pub(crate) fn attributes(runs: &[Run]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for judged in runs.iter().filter_map(|run| run.judged.as_ref()) {
        for metrics in &judged.evaluation.attributes {
            if !names.contains(&metrics.attribute.as_str()) {
                names.push(&metrics.attribute);
            }
        }
    }
    names
}

/// Writes the page of an audit to `path`, and returns its size in bytes; a file that is there is replaced.
///
/// # Errors
///
/// [`ReportError::Write`].
pub fn write_audit(audit: &AuditReport, path: &Path) -> Result<usize, ReportError> {
    let html = page::audit(audit);
    atomic::write(path, |file| file.write_all(html.as_bytes()))
        .map_err(|source| ReportError::Write { path: path.to_owned(), source })?;
    Ok(html.len())
}

/// Writes the report to the folder `out`, which is made if it is not there; files of an earlier report are replaced.
///
/// # Errors
///
/// [`ReportError::NoRuns`], or [`ReportError::Write`] naming the file that could not be written.
pub fn write(report: &Report, out: &Path) -> Result<Written, ReportError> {
    if report.runs.is_empty() {
        return Err(ReportError::NoRuns);
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ReportError::Write { path, source }
    };
    let folder = out.join(FIGURES);
    let figures = Figures::of(&report.runs);
    for folder in [folder.clone(), folder.join("attributes")] {
        fs::create_dir_all(&folder).map_err(failed(&folder))?;
    }
    let all = figures.all();
    let names = distinct(all.iter().map(|figure| figure.file.clone()));
    all.par_iter().zip(names).try_for_each(|(figure, name)| {
        let write = |ending: &str, contents: &[u8]| {
            let path = folder.join(format!("{name}.{ending}"));
            fs::write(&path, contents).map_err(failed(&path))
        };
        write("svg", svg::file(figure).as_bytes())?;
        write("png", &png_file::file(figure))
    })?;
    let html = page::report(report, &figures);
    let page = out.join(PAGE);
    atomic::write(&page, |file| file.write_all(html.as_bytes())).map_err(failed(&page))?;
    Ok(Written { page, bytes: html.len(), figures: folder, count: all.len() })
}
