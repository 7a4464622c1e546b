//! An architecture of NAS-Bench-201 and its text: `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`.
//!
//! Dong, Yang, "NAS-Bench-201", ICLR 2020: a cell of four nodes; each of its six edges has one of
//! five operations, and `none` means no edge. In the text, `+` separates the nodes 1, 2 and 3, and
//! `op~i` is the operation on the edge from node i. Whitespace around a `+`, such as a line break,
//! has no meaning. A text without it is written back unchanged.

use std::fmt;
use std::str::FromStr;

use da2s_settings::strum::VariantArray;

use super::{NAS_BENCH_201_GRAPH, Operation};

/// An operation of NAS-Bench-201.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, VariantArray)]
#[strum(crate = "da2s_settings::strum")]
pub enum Operation201 {
    /// No edge.
    None,
    /// The identity.
    SkipConnect,
    /// ReLU, 1×1 convolution, batch norm.
    Conv1x1,
    /// ReLU, 3×3 convolution, batch norm.
    Conv3x3,
    /// 3×3 average pool.
    AvgPool3x3,
}

impl Operation201 {
    /// Every operation, in the order of the paper.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The same operation as a candidate.
    pub fn operation(self) -> Operation {
        match self {
            Self::None => Operation::None,
            Self::SkipConnect => Operation::SkipConnect,
            Self::Conv1x1 => Operation::NorConv1x1,
            Self::Conv3x3 => Operation::NorConv3x3,
            Self::AvgPool3x3 => Operation::AvgPool3x3,
        }
    }

    /// The names of all operations, separated by commas.
    pub(crate) fn names() -> String {
        let names: Vec<&str> = Self::ALL.iter().map(|operation| operation.name()).collect();
        names.join(", ")
    }

    /// Its name in texts.
    pub fn name(self) -> &'static str {
        self.operation().name()
    }
}

/// An architecture: the operations on the edges 0→1, 0→2, 1→2, 0→3, 1→3, 2→3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arch201 {
    /// The operations, in this order.
    pub operations: [Operation201; 6],
}

/// Why a text is not an architecture, with the byte offset where reading stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("architecture, character {at}: expected {expected}")]
pub struct Arch201Error {
    /// Byte offset in the text.
    pub at: usize,
    /// The expected text.
    pub expected: String,
}

impl Arch201 {
    /// Number of architectures: each of the six edges has five candidates.
    pub const COUNT: usize = 15_625;

    /// The architecture at the beginning of `text`, and its length in bytes.
    ///
    /// # Errors
    /// If the text does not begin with an architecture.
    pub fn prefix(text: &str) -> Result<(Self, usize), Arch201Error> {
        let mut reader = Reader { text, at: 0 };
        let mut operations = [Operation201::None; 6];
        for ((from, to), operation) in NAS_BENCH_201_GRAPH.edges().zip(&mut operations) {
            if from == 0 {
                if to > 1 {
                    reader.plus()?;
                }
                reader.literal("|")?;
            }
            *operation = reader.operation()?;
            reader.literal(&format!("~{from}|"))?;
        }
        Ok((Self { operations }, reader.at))
    }

    /// Its index among all, from 0: a number in base five, with the first edge as the most
    /// significant digit.
    pub fn index(self) -> usize {
        self.operations.iter().fold(0, |index, operation| {
            index * Operation201::ALL.len() + *operation as usize
        })
    }
}

impl fmt::Display for Arch201 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((from, to), operation) in NAS_BENCH_201_GRAPH.edges().zip(self.operations) {
            if from == 0 {
                f.write_str(if to > 1 { "+|" } else { "|" })?;
            }
            write!(f, "{}~{from}|", operation.name())?;
        }
        Ok(())
    }
}

impl FromStr for Arch201 {
    type Err = Arch201Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (arch, at) = Self::prefix(text)?;
        Reader { text, at }.end()?;
        Ok(arch)
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn expected(&self, what: impl Into<String>) -> Arch201Error {
        Arch201Error {
            at: self.at,
            expected: what.into(),
        }
    }

    fn literal(&mut self, literal: &str) -> Result<(), Arch201Error> {
        if !self.rest().starts_with(literal) {
            return Err(self.expected(format!("`{literal}`")));
        }
        self.at += literal.len();
        Ok(())
    }

    /// A `+` between two nodes, with any whitespace around it.
    fn plus(&mut self) -> Result<(), Arch201Error> {
        let start = self.at;
        self.space();
        if self.rest().starts_with('+') {
            self.at += 1;
            self.space();
            if self.rest().starts_with('|') {
                return Ok(());
            }
        }
        self.at = start;
        Err(self.expected("`+|`"))
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn operation(&mut self) -> Result<Operation201, Arch201Error> {
        let is = |operation: &&Operation201| {
            let rest = self.rest().strip_prefix(operation.name());
            rest.is_some_and(|rest| rest.starts_with('~') || rest.is_empty())
        };
        let Some(&operation) = Operation201::ALL.iter().find(is) else {
            return Err(self.expected(format!("one of {}", Operation201::names())));
        };
        self.at += operation.name().len();
        Ok(operation)
    }

    fn end(&self) -> Result<(), Arch201Error> {
        if self.rest().is_empty() {
            Ok(())
        } else {
            Err(self.expected("the end"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|";

    fn any_arch() -> impl Strategy<Value = Arch201> {
        proptest::array::uniform6(proptest::sample::select(Operation201::ALL))
            .prop_map(|operations| Arch201 { operations })
    }

    #[test]
    fn the_text_names_edges_in_order() {
        use Operation201::{AvgPool3x3, Conv1x1, Conv3x3, None, SkipConnect};
        let arch: Arch201 = TEXT.parse().unwrap();
        assert_eq!(
            arch.operations,
            [Conv3x3, Conv1x1, None, SkipConnect, AvgPool3x3, Conv3x3]
        );
        assert_eq!(arch.to_string(), TEXT);
    }

    #[test]
    fn errors_name_the_place() {
        let error = |text: &str| text.parse::<Arch201>().unwrap_err().to_string();
        assert_eq!(error(""), "architecture, character 0: expected `|`");
        assert!(error("|conv~0|").starts_with("architecture, character 1: expected one of none, "));
        assert_eq!(
            error(&TEXT.replace("~2", "~1")),
            "architecture, character 84: expected `~2|`"
        );
        assert_eq!(
            error(&format!("{TEXT}+")),
            "architecture, character 87: expected the end"
        );
        assert!(error("|é~0|").contains("character 1"));
    }

    #[test]
    fn first_and_last() {
        let uniform = |operation| Arch201 {
            operations: [operation; 6],
        };
        assert_eq!(uniform(Operation201::None).index(), 0);
        assert_eq!(uniform(Operation201::AvgPool3x3).index(), Arch201::COUNT - 1);
    }

    proptest! {
        #[test]
        fn text_and_index_are_one_to_one(a in any_arch(), b in any_arch()) {
            prop_assert_eq!(a.to_string().parse::<Arch201>(), Ok(a));
            prop_assert_eq!(a.index() == b.index(), a == b);
            prop_assert!(a.index() < Arch201::COUNT);
        }

        #[test]
        fn any_text_is_refused_without_panic(text in ".*", cut in 0..=TEXT.len()) {
            let _ = text.parse::<Arch201>();
            prop_assert!(cut == TEXT.len() || TEXT[..cut].parse::<Arch201>().is_err());
        }
    }
}
