//! Runs as figures and as one page: how they trained, what they are worth, attribute by attribute.
//!
//! [`write()`] makes a folder of it: `report.html`, which needs nothing beside it and no network, and every figure as SVG
//! and PNG in `figures/`. A figure is drawn once, as a `Drawing` of lines, bars, dots and words; the page, the
//! SVG file and the PNG file are three ways to put that down, so they cannot disagree.
//!
//! [`write_audit()`] makes a page of what an audit of labels found, [`write_explanation()`] pictures and a page of where in an image
//! a model sees what; [`captioned()`] puts words below an image.
//!
//! Nothing here reads runs, models or images: the caller brings [`Run`]s.

mod annotated;
mod audit;
mod audit_files;
mod axis;
mod caption;
mod curve;
mod drawing;
mod error;
mod explanation;
mod figure;
mod figures;
mod font;
pub mod format;
mod from_runs;
mod gallery;
#[cfg(test)]
mod golden;
mod model_card;
mod number;
mod page;
mod palette;
mod plot;
mod png_file;
mod run;
mod sheet;
mod simplify;
mod svg;
mod thumbnail;
mod write;

pub use annotated::write_annotated;
pub use audit::{AuditReport, Doubted, Twice};
pub use audit_files::AuditFiles;
pub use caption::{Captioned, captioned};
pub use error::ReportError;
pub use explanation::{Explained, Explanation, WrittenExplanation, heat_picture, write_explanation};
pub use from_runs::{ReadRuns, ReportSettings, made, read_runs};
pub use gallery::{Pick, Picked, Picture, pick};
pub use model_card::model_card;
pub use run::{Epoch, Judged, MetricIntervals, Run, Step};
pub use write::{FIGURES, PAGE, Report, Written, write, write_audit};
