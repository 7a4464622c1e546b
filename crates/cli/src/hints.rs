//! Advice for an error or a warning, in terms of the command line.
//!
//! Contract: a hint of the library becomes a clause with flags and commands; several hints are
//! alternatives.

use da2s::Hint;

use crate::args::flag_of;

/// `text` followed by the advice.
pub fn with_hints(text: &str, hints: &[Hint]) -> String {
    Hint::append(text, hints, clause)
}

/// The advice, as an imperative.
fn clause(hint: Hint) -> String {
    match hint {
        Hint::Resume => "resume with --resume".to_owned(),
        Hint::Restart => "start again without --resume".to_owned(),
        Hint::Repeat => "repeat the command".to_owned(),
        Hint::OtherDirectory => "choose another directory with --out DIR".to_owned(),
        Hint::Create => "create one with `da2s run` or `da2s search`".to_owned(),
        Hint::PickGenotype => "pick one as FILE:NAME".to_owned(),
        Hint::RunFirst(stage) => format!("run `da2s {}` on this directory first", stage.name()),
        Hint::FinishFirst(stage) => format!("finish it with `da2s {} --resume --out DIR`", stage.name()),
        Hint::OwnSettings => "leave that setting out".to_owned(),
        Hint::ImagesAt => "say where they are with --data-dir".to_owned(),
        Hint::Give(key) => match flag_of(key) {
            Some(flag) => format!("set it with {flag}"),
            None => format!("set it with --set {key}=VALUE"),
        },
        Hint::Set(key, value) => match flag_of(key) {
            Some(flag) => format!("use {flag} {value}"),
            None => format!("use --set {key}={value}"),
        },
        Hint::TurnOff(keys) => {
            let off: Vec<String> = keys.iter().map(|key| format!("--set {key}=false")).collect();
            format!("turn them off with {}", off.join(" "))
        }
        Hint::Raise(keys) => format!("raise {}", keys.join(" and ")),
        Hint::Lower(keys) => format!("lower {}", keys.join(" or ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use da2s::stage::Stage;

    #[test]
    fn hints_are_flags_and_commands() {
        let cases: [(&[Hint], &str); 10] = [
            (&[], "stopped"),
            (
                &[Hint::Resume, Hint::OtherDirectory],
                "stopped; resume with --resume, or choose another directory with --out DIR",
            ),
            (&[Hint::Restart], "stopped; start again without --resume"),
            (&[Hint::Create], "stopped; create one with `da2s run` or `da2s search`"),
            (
                &[Hint::RunFirst(Stage::Train)],
                "stopped; run `da2s train` on this directory first",
            ),
            (
                &[Hint::FinishFirst(Stage::Search)],
                "stopped; finish it with `da2s search --resume --out DIR`",
            ),
            (&[Hint::ImagesAt], "stopped; say where they are with --data-dir"),
            (&[Hint::Give("data.dir")], "stopped; set it with --data-dir"),
            (
                &[
                    Hint::Set("search.extra_epochs", "0.5"),
                    Hint::Raise(&["search.alpha_rate", "search.beta_rate"]),
                    Hint::Set("search.cells", "8"),
                ],
                "stopped; use --extra-epochs 0.5, raise search.alpha_rate and search.beta_rate, or use --set search.cells=8",
            ),
            (
                &[
                    Hint::Lower(&["network.learning_rate"]),
                    Hint::Set("run.on_nan", "rollback"),
                ],
                "stopped; lower network.learning_rate, or use --on-nan rollback",
            ),
        ];
        for (hints, words) in cases {
            assert_eq!(with_hints("stopped", hints), words);
        }
    }
}
