//! Errors in the text of a genotype, and their position.

use std::fmt::Write as _;

/// Number of characters of the text that are shown on either side of the position.
const SHOWN: usize = 24;

/// Why a text is not a genotype, with the byte offset at which reading stopped and the surrounding
/// text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("genotype{place}: {problem}")]
pub struct GenotypeError {
    /// Byte offset in the text; 0 if the genotype as a whole is invalid.
    pub at: usize,
    /// The problem.
    pub problem: String,
    /// Whether the problem is that there are several genotypes, one of which must be selected.
    pub several: bool,
    /// The position in words, with the surrounding text.
    place: String,
}

impl GenotypeError {
    /// A genotype that is invalid as a whole, at any position.
    pub fn whole(problem: impl Into<String>) -> Self {
        Self {
            at: 0,
            problem: problem.into(),
            several: false,
            place: String::new(),
        }
    }
}

/// An error whose position has not been described yet. Describing it requires a pass through the
/// text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) at: usize,
    pub(super) problem: String,
}

impl Mistake {
    pub(super) fn new(at: usize, problem: impl Into<String>) -> Self {
        Self {
            at,
            problem: problem.into(),
        }
    }

    /// Adds the description of the position in `text`.
    pub(super) fn of(self, text: &str) -> GenotypeError {
        GenotypeError {
            at: self.at,
            several: false,
            place: place(text, self.at),
            problem: self.problem,
        }
    }
}

/// The line, if there are several, and the character, both counted in the text, with the
/// surrounding text.
fn place(text: &str, at: usize) -> String {
    let at = (0..=at.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0);
    let (before, after) = text.split_at(at);
    let mut place = String::new();
    if text.trim_end().contains('\n') {
        let line = 1 + before.matches('\n').count();
        // Writing to a String cannot fail.
        let _ = write!(place, ", line {line}");
    }
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
    let _ = write!(place, ", character {column}");
    let start = before.char_indices().rev().nth(SHOWN - 1).map_or(0, |(start, _)| start);
    let end = after.char_indices().nth(SHOWN).map_or(text.len(), |(end, _)| at + end);
    let words: Vec<&str> = text[start..end].split_whitespace().collect();
    if !words.is_empty() {
        let cut = |is: bool| if is { "…" } else { "" };
        let _ = write!(
            place,
            ", near `{}{}{}`",
            cut(start > 0),
            words.join(" "),
            cut(end < text.len())
        );
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_give_the_position_and_the_text_around_it() {
        let told = |text: &str, at| Mistake::new(at, "bad").of(text).to_string();
        assert_eq!(told("", 0), "genotype, character 0: bad");
        assert_eq!(told("abc", 1), "genotype, character 1, near `abc`: bad");
        let long = format!("{}\n\té x{}", "a".repeat(100), "b".repeat(100));
        let words = format!(
            "genotype, line 2, character 3, near `…{} é x{}…`: bad",
            "a".repeat(20),
            "b".repeat(23)
        );
        assert_eq!(told(&long, long.find('x').unwrap()), words);
        // Within a character, and beyond the end.
        assert!(told("é", 1).contains("character 0"));
        assert!(told("é", 9).contains("character 1"));
        assert_eq!(GenotypeError::whole("bad").to_string(), "genotype: bad");
    }
}
