//! Reports of runs, as figures and pages: training, evaluation, and every attribute in detail.
//!
//! [`write()`] writes a folder: `report.html`, a self-contained page, and every figure as SVG and PNG in `figures/`. A figure is
//! drawn once, as a list of marks; the page, the SVG file and the PNG file are rendered from it, so they agree.
//!
//! [`read_runs()`] reads the runs of a report from their folders. [`AuditFiles`] writes the tables and the page of an audit,
//! [`write_explanation()`] heat maps and their page, [`write_annotated()`] captioned copies of images, [`model_card()`] a model
//! card in Markdown, and [`Tuning`] the page of a search.
//!
//! ```
//! use visage_report::{Report, Run, write};
//! use visage_run::StepRow;
//!
//! let step = |step: u64| StepRow {
//!     step,
//!     epoch: 1,
//!     loss: 1.0 / step as f64,
//!     learning_rate: 0.1,
//!     gradient_norm: 1.0,
//!     images_per_second: 300.0,
//!     waiting: 0.0,
//! };
//! let run = Run {
//!     name: "baseline".into(),
//!     facts: vec![("Network".into(), "resnet18".into())],
//!     loss: "bce".into(),
//!     epochs: Vec::new(),
//!     steps: (1..=10).map(step).collect(),
//!     judged: None,
//!     gallery: Vec::new(),
//! };
//! let report =
//!     Report { runs: vec![run], made: "today".into(), remarks: vec![], comparison: None, findings: vec![] };
//! let folder = tempfile::tempdir()?;
//! let written = write(&report, folder.path())?;
//! assert!(written.page.ends_with("report.html"));
//! assert!(written.figures.join("learning-rate.svg").is_file());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod annotated;
mod attribute_predictions;
mod audit_files;
mod axis;
mod caption;
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
mod outlines;
mod page;
mod palette;
mod plot;
mod png_file;
mod range_test;
mod report;
mod run;
mod sheet;
mod simplify;
mod svg;
mod thumbnail;
mod tuning;
mod write;

pub use annotated::write_annotated;
pub use audit_files::AuditFiles;
pub use error::ReportError;
pub use explanation::{Explained, Explanation, heat_over_photograph, heat_overlay, heat_picture};
pub use from_runs::{ReadRuns, ReportSettings, made, read_runs};
pub use gallery::{Pick, Picked, Picture};
pub use model_card::model_card;
pub use range_test::RangeTestCurve;
pub use report::Report;
pub use run::{Judged, Run};
pub use tuning::{TunedTrial, Tuning};
pub use write::{EXPLANATION_PAGE, REPORT_PAGE, Written, WrittenExplanation, write, write_explanation};
