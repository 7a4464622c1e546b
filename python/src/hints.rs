//! What users can do about an error or a warning, in Python terms.
//!
//! Contract: a hint of the library becomes a clause that names keyword arguments and functions;
//! several hints are alternatives.

use da2s::Hint;
use da2s::config::named;

/// `text`, followed by what users can do about it.
pub fn with_hints(text: &str, hints: &[Hint]) -> String {
    Hint::append(text, hints, clause)
}

/// A hint as an imperative clause.
fn clause(hint: Hint) -> String {
    match hint {
        Hint::Resume => "resume with resume=True".to_owned(),
        Hint::Restart => "start again without resume=True".to_owned(),
        Hint::Repeat => "repeat the call".to_owned(),
        Hint::OtherDirectory => "choose another directory with out=".to_owned(),
        Hint::Create => "create one with da2s.run() or da2s.search()".to_owned(),
        Hint::PickGenotype => "pick one as Path(\"FILE:NAME\")".to_owned(),
        Hint::RunFirst(stage) => format!("call da2s.{}() on this directory first", stage.name()),
        Hint::FinishFirst(stage) => format!("finish it with da2s.{}(out=..., resume=True)", stage.name()),
        Hint::OwnSettings => "leave that setting out".to_owned(),
        Hint::ImagesAt => "say where they are with data_dir=".to_owned(),
        Hint::Give(key) => format!("pass {}", argument(key, "...")),
        Hint::Set(key, value) => {
            let quoted = match value.parse::<f64>() {
                Ok(_) => value.to_owned(),
                Err(_) => format!("\"{value}\""),
            };
            format!("pass {}", argument(key, &quoted))
        }
        Hint::TurnOff(keys) => {
            let off: Vec<String> = keys.iter().map(|key| format!("\"{key}\": False")).collect();
            format!("turn them off with settings={{{}}}", off.join(", "))
        }
        Hint::Raise(keys) => format!("raise {}", keys.join(" and ")),
        Hint::Lower(keys) => format!("lower {}", keys.join(" or ")),
    }
}

/// A setting as its keyword argument, or as an entry of `settings`.
fn argument(key: &str, value: &str) -> String {
    match named().into_iter().find(|(entry, _)| entry.key == key) {
        Some((_, name)) => format!("{name}={value}"),
        None => format!("settings={{\"{key}\": {value}}}"),
    }
}
