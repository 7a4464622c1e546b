//! A value of Python as one of TOML, which is what settings are written in.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use toml::{Table, Value};

/// How many lists and dictionaries may lie in each other: more than any setting has, and what
/// contains itself has no end.
const LEVELS: usize = 16;

/// The same value in TOML.
///
/// # Errors
/// `TypeError` if TOML has none such, `OverflowError` for a number beyond 64 bits.
pub fn to_toml(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    nested(value, LEVELS)
}

/// A value that holds at most so many levels of lists and dictionaries.
fn nested(value: &Bound<'_, PyAny>, levels: usize) -> PyResult<Value> {
    if let Some(plain) = plain(value)? {
        return Ok(plain);
    }
    let below = || {
        let problem = format!("a setting cannot have more than {LEVELS} lists or dictionaries in each other");
        levels.checked_sub(1).ok_or_else(|| PyTypeError::new_err(problem))
    };
    if let Ok(items) = value.cast::<PyDict>() {
        let levels = below()?;
        let mut table = Table::new();
        for (name, item) in items {
            table.insert(name.extract()?, nested(&item, levels)?);
        }
        return Ok(Value::Table(table));
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let levels = below()?;
        let items: PyResult<Vec<Value>> = value.try_iter()?.map(|item| nested(&item?, levels)).collect();
        return Ok(Value::Array(items?));
    }
    // Numbers of numpy, paths. Some, as a long double, are their own item.
    for method in ["item", "__fspath__"] {
        if let Ok(held) = value.call_method0(method)
            && let Some(plain) = plain(&held)?
        {
            return Ok(plain);
        }
    }
    let kind = value.get_type().name()?;
    Err(PyTypeError::new_err(format!("a setting cannot be a {kind}")))
}

/// A truth value, a number or a text in TOML; none for anything else.
fn plain(value: &Bound<'_, PyAny>) -> PyResult<Option<Value>> {
    // A truth value is a whole number too, so it is asked for first.
    Ok(if let Ok(truth) = value.cast::<PyBool>() {
        Some(Value::Boolean(truth.is_true()))
    } else if value.is_instance_of::<PyInt>() {
        Some(Value::Integer(value.extract()?))
    } else if value.is_instance_of::<PyFloat>() {
        Some(Value::Float(value.extract()?))
    } else if value.is_instance_of::<PyString>() {
        Some(Value::String(value.extract()?))
    } else {
        None
    })
}
