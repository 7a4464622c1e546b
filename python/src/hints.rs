//! What a user can do about an error or a warning, in the words of a Python user.
//!
//! Contract: a hint of the library becomes a clause with keyword arguments and functions; several are alternatives.

use std::collections::HashMap;

use da2s::Hint;
use pyo3::prelude::*;

/// `text` with what the user can do about it.
///
/// # Errors
/// What Python raises where `da2s.asking` cannot be imported.
pub fn with_hints(py: Python<'_>, text: &str, hints: &[Hint]) -> PyResult<String> {
    let clauses = hints
        .iter()
        .map(|hint| clause(py, *hint))
        .collect::<PyResult<Vec<_>>>()?;
    Ok(match clauses.split_last() {
        None => text.to_owned(),
        Some((last, [])) => format!("{text}; {last}"),
        Some((last, others)) => format!("{text}; {}, or {last}", others.join(", ")),
    })
}

/// What to do, as an imperative.
fn clause(py: Python<'_>, hint: Hint) -> PyResult<String> {
    Ok(match hint {
        Hint::Resume => "resume with resume=True".to_owned(),
        Hint::Restart => "start again without resume=True".to_owned(),
        Hint::Repeat => "repeat the call".to_owned(),
        Hint::OtherDirectory => "choose another directory with out=".to_owned(),
        Hint::Create => "create one with da2s.run() or da2s.search()".to_owned(),
        Hint::RunFirst(stage) => format!("call da2s.{}() on this directory first", stage.name()),
        Hint::FinishFirst(stage) => format!("finish it with da2s.{}(out=..., resume=True)", stage.name()),
        Hint::OwnSettings => "leave that setting out".to_owned(),
        Hint::Give(key) => format!("pass {}", argument(py, key, "...")?),
        Hint::Set(key, value) => {
            let quoted = match value.parse::<f64>() {
                Ok(_) => value.to_owned(),
                Err(_) => format!("\"{value}\""),
            };
            format!("pass {}", argument(py, key, &quoted)?)
        }
        Hint::Raise(keys) => format!("raise {}", keys.join(" and ")),
        Hint::Lower(keys) => format!("lower {}", keys.join(" or ")),
    })
}

/// A setting as the keyword argument that it has, or as one of `settings`.
fn argument(py: Python<'_>, key: &str, value: &str) -> PyResult<String> {
    let options: HashMap<String, String> = py.import("da2s.asking")?.getattr("OPTIONS")?.extract()?;
    let own = options.into_iter().find(|(_, of)| of == key);
    Ok(match own {
        Some((name, _)) => format!("{name}={value}"),
        None => format!("settings={{\"{key}\": {value}}}"),
    })
}
