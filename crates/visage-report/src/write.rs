//! Writing pages and figures to files.

use std::fs;
use std::io;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use visage_weights::atomic;

use crate::error::ReportError;
use crate::explanation::Explanation;
use crate::figures::Figures;
use crate::report::{FIGURES, Report};
use crate::{page, png_file, svg};
use visage_run::file_name::{distinct, file_part};

/// The name of a report's page in its folder.
pub const REPORT_PAGE: &str = "report.html";
/// The name of the page of heat maps in its folder.
pub const EXPLANATION_PAGE: &str = "explanation.html";

/// The files of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The page.
    pub page: PathBuf,
    /// Its size in bytes.
    pub bytes: usize,
    /// The folder of figures.
    pub figures: PathBuf,
    /// Number of figures, two files each.
    pub count: usize,
}

/// Writes a report to the folder `out`, which is created if necessary. Files of an earlier report are replaced.
///
/// # Errors
///
/// [`ReportError::NoRuns`], or [`ReportError::Write`] naming the file that could not be written.
pub fn write(report: &Report, out: &Path) -> Result<Written, ReportError> {
    if report.runs.is_empty() {
        return Err(ReportError::NoRuns);
    }
    let folder = out.join(FIGURES);
    let figures = Figures::of(&report.runs);
    create_folder(&folder.join("attributes"))?;
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
    let page = out.join(REPORT_PAGE);
    write_file(&page, html.as_bytes())?;
    Ok(Written { page, bytes: html.len(), figures: folder, count: all.len() })
}

/// The files of an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenExplanation {
    /// The page.
    pub page: PathBuf,
    /// The heat map of each attribute, in their order.
    pub pictures: Vec<PathBuf>,
}

/// Writes a heat map per attribute and a page of all of them to the folder `out`, which is created if necessary. Files of the
/// same names are replaced.
///
/// # Errors
///
/// [`ReportError::Write`] naming the file that could not be written.
pub fn write_explanation(explanation: &Explanation, out: &Path) -> Result<WrittenExplanation, ReportError> {
    create_folder(out)?;
    let heat_maps: Vec<Vec<u8>> = explanation.attributes.iter().map(|each| explanation.heat_map(each)).collect();
    let names = distinct(explanation.attributes.iter().map(|each| file_part(&each.attribute)));
    let pictures: Vec<PathBuf> = names.into_iter().map(|name| out.join(format!("{name}.png"))).collect();
    let html = page::explanation(explanation, &explanation.picture(), &heat_maps);
    let page = out.join(EXPLANATION_PAGE);
    for (path, contents) in pictures.iter().zip(&heat_maps).chain([(&page, &html.into_bytes())]) {
        write_file(path, contents)?;
    }
    for (path, explained) in pictures.iter().zip(&explanation.attributes) {
        if let Some(contents) = &explained.on_photograph {
            let stem = path.file_stem().unwrap_or_default().display();
            write_file(&path.with_file_name(format!("{stem}-photograph.png")), contents)?;
        }
    }
    Ok(WrittenExplanation { page, pictures })
}

pub(crate) fn create_folder(path: &Path) -> Result<(), ReportError> {
    fs::create_dir_all(path).map_err(failed(path))
}

pub(crate) fn write_file(path: &Path, contents: &[u8]) -> Result<(), ReportError> {
    atomic::write(path, |file| file.write_all(contents)).map_err(failed(path))
}

pub(crate) fn failed(path: &Path) -> impl FnOnce(io::Error) -> ReportError {
    move |source| ReportError::Write { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
