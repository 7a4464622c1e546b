//! A value of Python as one of TOML, which is what settings are written in.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use toml::{Table, Value};

/// The same value in TOML.
///
/// # Errors
/// `TypeError` if TOML has none such, `OverflowError` for a number beyond 64 bits.
pub fn to_toml(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    // A truth value is a whole number too, so it is asked for first.
    if let Ok(truth) = value.cast::<PyBool>() {
        return Ok(Value::Boolean(truth.is_true()));
    }
    if value.is_instance_of::<PyInt>() {
        return Ok(Value::Integer(value.extract()?));
    }
    if value.is_instance_of::<PyFloat>() {
        return Ok(Value::Float(value.extract()?));
    }
    if value.is_instance_of::<PyString>() {
        return Ok(Value::String(value.extract()?));
    }
    if let Ok(items) = value.cast::<PyDict>() {
        let mut table = Table::new();
        for (name, item) in items {
            table.insert(name.extract()?, to_toml(&item)?);
        }
        return Ok(Value::Table(table));
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let items: PyResult<Vec<Value>> = value.try_iter()?.map(|item| to_toml(&item?)).collect();
        return Ok(Value::Array(items?));
    }
    // Numbers of numpy, paths.
    if let Ok(item) = value.call_method0("item") {
        return to_toml(&item);
    }
    if let Ok(path) = value.call_method0("__fspath__") {
        return to_toml(&path);
    }
    let kind = value.get_type().name()?;
    Err(PyTypeError::new_err(format!("a setting cannot be a {kind}")))
}
