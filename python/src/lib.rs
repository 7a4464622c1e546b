//! The Python package `da2s`, its half in Rust: runs, data sets and comparisons of the library as
//! Python objects.
//!
//! Contract: thin. What a run is lives in the library, what a result looks like in `python/da2s`;
//! here values and errors change their language, and computing lets go of the interpreter. Every
//! item is documented in `_native.pyi`.

mod compare;
mod data;
mod errors;
mod hints;
mod job;
mod listen;
mod request;
mod value;

use da2s_records::files;
use pyo3::prelude::*;

/// What `da2s` is made of.
#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::compare::compare;
    #[pymodule_export]
    use crate::data::{Arrays, datasets, formats_in, load};
    #[pymodule_export]
    use crate::job::{Job, check_settings, draw, genotype, genotype_file, read, report};
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
            ("SUMMARY", files::SUMMARY),
            ("REPORT", files::REPORT),
        ] {
            module.add(name, file)?;
        }
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
