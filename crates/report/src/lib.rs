//! Creates reports of da2s runs from their directories. This crate does no training.
//!
//! [`Run`] reads the content of a run directory, [`render`] turns it into one self-contained HTML
//! page, and [`write_report`] writes that page into the directory as `report.html`. [`write_page`]
//! writes it to any other file, and can show several runs side by side. [`write_drawings`] writes
//! cells and curves as separate files; [`cell_svg`] draws one cell of a genotype as a separate
//! picture. [`Comparison`] compares many runs, with means and paired tests, and
//! [`write_comparison`] writes it as CSV, JSON, Markdown and a similar page; [`write_front`] writes
//! several networks of one search in the same way. [`write_suspects`] shows images with doubtful
//! labels.
//!
//! [`metrics`] turns the numbers of runs into tables, as CSV and Parquet; [`tensorboard`] turns
//! them into event files; [`run::Follow`] reads a run that is still in progress.
//!
//! The page needs no network: style, script and data are embedded, and its content security policy
//! forbids everything else. The content of a run directory (class names, configuration, commands)
//! is treated as text and escaped.
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
mod front;
pub mod metrics;
mod number;
mod page;
pub mod run;
mod svg;
pub mod tensorboard;
mod write;

pub use comparison::Comparison;
pub use error::ReportError;
pub use page::{MOST_RUNS, argument, next_steps, render, side_by_side};
pub use run::Run;
pub use svg::cell::cell_svg;
pub use write::{write_comparison, write_drawings, write_front, write_page, write_report, write_suspects};
