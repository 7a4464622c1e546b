//! Advice to the user about an error or a warning.
//!
//! Contract: the library describes the problem in words that are valid for every front end, and
//! adds hints; each front end words them itself: the command line as flags and commands, the Python
//! package as keyword arguments and functions.

use crate::stage::Stage;

/// Advice to the user about an error or a warning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Hint {
    /// Resume the run.
    Resume,
    /// Run the stage again, from its beginning instead of its checkpoint.
    Restart,
    /// Repeat the operation that was stopped.
    Repeat,
    /// Choose another directory for the run.
    OtherDirectory,
    /// Create a run in the directory.
    Create,
    /// Name one of the genotypes of a file.
    PickGenotype,
    /// Run this stage of the run first.
    RunFirst(Stage),
    /// Resume this stage of the run, which is not finished, first.
    FinishFirst(Stage),
    /// Leave out the settings that were requested in addition to the run's own.
    OwnSettings,
    /// Pass the new location of the images.
    ImagesAt,
    /// Give this setting a value.
    Give(&'static str),
    /// Set this setting to this word or number.
    Set(&'static str, &'static str),
    /// Turn all of these settings off.
    TurnOff(&'static [&'static str]),
    /// Raise these settings.
    Raise(&'static [&'static str]),
    /// Lower one of these settings.
    Lower(&'static [&'static str]),
}

impl Hint {
    /// `text` followed by the advice: a clause for each of `hints`, in the words of the front end;
    /// several clauses are alternatives.
    ///
    /// ```
    /// use da2s::Hint;
    ///
    /// let clause = |hint| match hint {
    ///     Hint::Resume => "resume it".to_owned(),
    ///     other => format!("{other:?}"),
    /// };
    /// assert_eq!(Hint::append("stopped", &[Hint::Resume], clause), "stopped; resume it");
    /// ```
    pub fn append(text: &str, hints: &[Self], clause: impl Fn(Self) -> String) -> String {
        let clauses: Vec<String> = hints.iter().copied().map(clause).collect();
        match clauses.split_last() {
            None => text.to_owned(),
            Some((last, [])) => format!("{text}; {last}"),
            Some((last, others)) => format!("{text}; {}, or {last}", others.join(", ")),
        }
    }
}
