//! The Rust part of the Python package `da2s`: runs, data sets and comparisons of the library as
//! Python objects.
//!
//! Contract: it is a thin layer. The library implements runs, and `python/da2s` defines the
//! results; the code here converts values and errors, and releases the interpreter lock during
//! computation. Every item is documented in `_native.pyi`.

mod compare;
mod data;
mod errors;
mod front;
mod hints;
mod job;
mod listen;
mod plan;
mod request;
mod value;

use da2s_records::files;
use pyo3::prelude::*;

/// The extension module.
#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::compare::compare;
    #[pymodule_export]
    use crate::data::{Arrays, datasets, formats_in, load};
    #[pymodule_export]
    use crate::job::{Job, check_settings, draw, genotype, genotype_file, network, read, report, trainings};
    #[pymodule_export]
    use crate::request::options;

    use super::{Bound, PyModule, PyModuleMethods, PyResult, files};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        for (name, file) in [
            ("CONFIG", files::CONFIG),
            ("SEARCH_METRICS", files::SEARCH_METRICS),
            ("ARCH", files::ARCH),
            ("GENOTYPE", files::GENOTYPE),
            ("GAP", files::GAP),
            ("NETWORK_METRICS", files::NETWORK_METRICS),
            ("EVALUATION", files::EVALUATION),
            ("MISTAKES_TABLE", files::MISTAKES_TABLE),
            ("SUMMARY", files::SUMMARY),
            ("REPORT", files::REPORT),
        ] {
            module.add(name, file)?;
        }
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
