//! Reports of runs, as figures and pages: training, evaluation, and every attribute in detail.
//!
//! [`write()`] writes a folder: `report.html`, a self-contained page, and every figure as SVG and PNG in `figures/`. A figure is
//! drawn once, as a list of marks; the page, the SVG file and the PNG file are rendered from it, so they agree.
//!
//! [`read_runs()`] reads the runs of a report from their folders. [`AuditFiles`] writes the tables and the page of an audit,
//! [`write_explanation()`] heat maps and their page, [`write_annotated()`] captioned copies of images, and [`model_card()`] a model
//! card in Markdown.
//!
//! ```
//! use visage_report::{Epoch, Report, Run, write};
//!
//! let epoch = |epoch: u64| Epoch {
//!     epoch,
//!     train_loss: 1.0 / epoch as f64,
//!     validation_loss: 1.1 / epoch as f64,
//!     seconds: 60.0,
//!     images_per_second: 300.0,
//!     best: true,
//! };
//! let run = Run {
//!     name: "baseline".into(),
//!     facts: vec![("Network".into(), "resnet18".into())],
//!     loss: "bce".into(),
//!     epochs: (1..=10).map(epoch).collect(),
//!     steps: Vec::new(),
//!     judged: None,
//!     gallery: Vec::new(),
//! };
//! let report =
//!     Report { runs: vec![run], made: "today".into(), remarks: vec![], comparison: None, findings: vec![] };
//! let folder = tempfile::tempdir()?;
//! let written = write(&report, folder.path())?;
//! assert!(written.page.ends_with("report.html"));
//! assert!(written.figures.join("loss.svg").is_file());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod annotated;
mod attribute_predictions;
mod audit;
mod audit_files;
mod axis;
mod caption;
mod drawing;
mod error;
mod explanation;
mod figure;
mod figures;
mod file_name;
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
mod report;
mod run;
mod sheet;
mod simplify;
mod svg;
mod thumbnail;
mod write;

pub use annotated::write_annotated;
pub use audit_files::AuditFiles;
pub use error::ReportError;
pub use explanation::{Explained, Explanation, heat_picture};
pub use from_runs::{ReadRuns, ReportSettings, made, read_runs};
pub use gallery::{Pick, Picked, Picture, pick};
pub use model_card::model_card;
pub use report::Report;
pub use run::{Epoch, Judged, MetricIntervals, Run, Step};
pub use write::{Written, WrittenExplanation, write, write_explanation};
