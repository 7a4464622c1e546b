//! Reports of da2s runs: a run directory in, pictures out. Trains nothing.
//!
//! [`Run`] reads what a run directory holds, [`render`] turns it into one self-contained HTML page and
//! [`write_report`] puts that page beside the data as `report.html`. [`cell_svg`] draws one cell of a
//! genotype as a stand-alone picture. [`Comparison`] sets several runs side by side, with means and paired tests, and
//! [`write_comparison`] writes it as CSV, JSON, Markdown and a page of the same kind.
//!
//! [`metrics`] makes tables of a run's numbers, as CSV and Parquet, and [`tensorboard`] event files of them;
//! [`run::Follow`] reads a run that is still going on.
//!
//! The page needs no network: style, script and data are inside it, and its content security policy
//! forbids everything else. Whatever a run directory contains (class names, configuration, commands) is
//! treated as text and escaped.
//!
//! ```no_run
//! let page = da2s_report::write_report(std::path::Path::new("runs/digits"))?;
//! # Ok::<(), da2s_report::ReportError>(())
//! ```

pub mod comparison;
mod data_link;
mod error;
pub mod metrics;
mod number;
mod page;
pub mod run;
mod svg;
pub mod tensorboard;
mod write;

pub use comparison::Comparison;
pub use error::ReportError;
pub use page::render;
pub use run::Run;
pub use svg::cell::cell_svg;
pub use write::{COMPARISON_FILES, REPORT_FILE, write_comparison, write_report};
