//! Reports of da2s runs: a run directory in, pictures out. Trains nothing.
//!
//! [`Run`] reads what a run directory holds, [`render`] turns it into one self-contained HTML page
//! and [`write_report`] puts that page beside the data as `report.html`. [`write_page`] does so
//! wherever it is wanted, and sets several runs side by side; [`write_drawings`] writes cells and
//! curves as files of their own; [`cell_svg`] draws one cell of a genotype as a stand-alone
//! picture. [`Comparison`] compares many runs, with means and paired tests, and
//! [`write_comparison`] writes it as CSV, JSON, Markdown and a page of the same kind.
//!
//! [`metrics`] makes tables of a run's numbers, as CSV and Parquet, and [`tensorboard`] event files
//! of them; [`run::Follow`] reads a run that is still going on.
//!
//! The page needs no network: style, script and data are inside it, and its content security policy
//! forbids everything else. Whatever a run directory contains (class names, configuration,
//! commands) is treated as text and escaped.
//!
//! ```no_run
//! let page = da2s_report::write_report(std::path::Path::new("runs/digits"))?;
//! # Ok::<(), da2s_report::ReportError>(())
//! ```

#![forbid(unsafe_code)]

pub mod comparison;
mod data_link;
pub mod drawing;
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
pub use page::{MOST_RUNS, render, side_by_side};
pub use run::Run;
pub use svg::cell::cell_svg;
pub use write::{write_comparison, write_drawings, write_page, write_report};
