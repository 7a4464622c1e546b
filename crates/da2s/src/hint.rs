//! What a user can do about an error or a warning.
//!
//! Contract: the library says what is wrong, in words that hold for every front end, and adds
//! hints; a front end says each hint in its own words: the command line as flags and commands, the
//! Python package as keyword arguments and functions.

use crate::stage::Stage;

/// What a user can do about an error or a warning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Hint {
    /// Resume the run.
    Resume,
    /// Run the stage again, from its beginning instead of its checkpoint.
    Restart,
    /// Repeat what was stopped.
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
    /// Leave out what was asked for beside the run's own settings.
    OwnSettings,
    /// Say where the images are, which have moved.
    ImagesAt,
    /// Give this setting a value.
    Give(&'static str),
    /// Set this setting to this word or number.
    Set(&'static str, &'static str),
    /// Raise these settings.
    Raise(&'static [&'static str]),
    /// Lower one of these settings.
    Lower(&'static [&'static str]),
}

impl Hint {
    /// `text` with what the user can do about it: a clause for each of `hints`, as a front end
    /// words it; several are alternatives.
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
