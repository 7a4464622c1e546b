//! Converts Python values to TOML, in which settings are written.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use toml::{Table, Value};

/// Limit on the nesting of lists and dictionaries: more than any setting needs. Without a limit, a
/// value that contains itself would never end.
const LEVELS: usize = 16;

/// The same value in TOML.
///
/// # Errors
/// `TypeError` if TOML has no such value, `OverflowError` for an integer beyond 64 bits.
pub fn to_toml(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    nested(value, LEVELS)
}

/// Converts a value with at most `levels` levels of lists and dictionaries.
fn nested(value: &Bound<'_, PyAny>, levels: usize) -> PyResult<Value> {
    if let Some(plain) = plain(value)? {
        return Ok(plain);
    }
    let below = || {
        let problem = format!("a setting cannot have more than {LEVELS} nested lists or dictionaries");
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
    // NumPy numbers and paths. For some types, such as long double, `item` returns the same type.
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

/// A boolean, number or string in TOML; `None` for anything else.
fn plain(value: &Bound<'_, PyAny>) -> PyResult<Option<Value>> {
    // In Python, a boolean is also an integer, so it is tested first.
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
