//! The first line of a table of accuracies: the separator and the meaning of each column.
//!
//! Contract: the name of a column determines its meaning. A column that is named after something
//! other than an accuracy (a count, a size, a time, a loss, an error) is ignored, whatever its
//! values. If some name indicates accuracies, only such columns are accuracies; otherwise all
//! remaining columns are.

/// Accepted names of the column of architectures.
const ARCHITECTURE: [&str; 8] = [
    "architecture",
    "arch",
    "arch_str",
    "arch-str",
    "arch_string",
    "architecture_str",
    "genotype",
    "structure",
];
/// Accepted names of the column of the benchmark's indices, the most certain names first.
const INDEX: [&[&str]; 2] = [
    &["arch_index", "arch-index", "arch index", "arch_idx", "arch_id"],
    &["index", "idx"],
];
/// The name that pandas gives to unnamed columns.
const UNNAMED: &str = "unnamed:";
/// Parts of the names of accuracy columns, and prefixes of their words.
const ACCURACY_PARTS: [&str; 7] = ["accuracy", "top-1", "top_1", "top 1", "top-5", "top_5", "top 5"];
const ACCURACY_WORDS: [&str; 9] = [
    "acc", "test", "train", "valid", "eval", "top1", "top5", "cifar", "imagenet",
];
/// Parts of the names of other columns, whatever else the names contain: `test_loss`, `latency-ms`.
const OTHER_PARTS: [&str; 14] = [
    "param",
    "flop",
    "latency",
    "loss",
    "second",
    "error",
    "memory",
    "energy",
    "runtime",
    "throughput",
    "hash",
    "index",
    "duration",
    "deviation",
];
/// The same, as complete words: `val_time`, `accuracy std`.
const OTHER_WORDS: [&str; 29] = [
    "time", "times", "ms", "sec", "secs", "hours", "days", "std", "stdev", "sd", "var", "variance", "err", "nll",
    "rank", "ranking", "id", "uid", "idx", "mb", "size", "macs", "madds", "cost", "count", "num", "number", "lr",
    "date",
];
/// Complete words with the same meaning, unless the name mentions accuracy: `seed`, but not
/// `accuracy seed 777`.
const RUN_WORDS: [&str; 6] = ["seed", "seeds", "run", "trial", "epoch", "epochs"];

/// The meaning of a column.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// The architecture.
    Architecture,
    /// The index of the benchmark.
    Index,
    /// Accuracies with this name.
    Accuracy(String),
    /// Something else with this name.
    Other(String),
}

impl Column {
    /// The name of the column in a message.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Architecture => ARCHITECTURE[0],
            Self::Index => "the index",
            Self::Accuracy(name) | Self::Other(name) => name,
        }
    }
}

/// The columns, from the first line.
#[derive(Debug)]
pub(super) struct Heading {
    /// The separator.
    pub delimiter: u8,
    /// The meaning of each column.
    pub columns: Vec<Column>,
    /// Whether the column of indices has no name, such as the row numbers of pandas.
    pub unnamed_index: bool,
}

impl Heading {
    /// Parses the first line; `delimiter` is given if an earlier line defined it.
    ///
    /// # Errors
    /// A description of the problem.
    pub(super) fn read(line: &str, delimiter: Option<u8>) -> Result<Self, String> {
        let delimiter = delimiter.unwrap_or_else(|| delimiter_of(line));
        let mut names = cells(line, delimiter);
        // A trailing separator begins no column.
        while names.last().is_some_and(String::is_empty) {
            names.pop();
        }
        let lower: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
        let architectures = lower.iter().filter(|name| ARCHITECTURE.contains(&name.as_str()));
        if architectures.count() != 1 {
            return Err(
                "expected `architecture,` and the names of the columns; one of them is the column \
                 of architectures, which may also be called arch, arch_str, genotype or structure"
                    .to_owned(),
            );
        }
        let (index, unnamed_index) = index_of(&lower);
        let explicit = lower.iter().any(|name| names_accuracy(name));
        let is_accuracy = |at: usize, lower: &str| {
            if explicit {
                names_accuracy(lower)
            } else {
                !(names_other(lower) || names_run(lower) || at == 0 && lower.is_empty())
            }
        };
        let columns: Vec<Column> = names
            .iter()
            .zip(&lower)
            .enumerate()
            .map(|(at, (name, lower))| {
                if ARCHITECTURE.contains(&lower.as_str()) {
                    Column::Architecture
                } else if Some(at) == index {
                    Column::Index
                } else if is_accuracy(at, lower) {
                    Column::Accuracy(name.clone())
                } else {
                    Column::Other(name.clone())
                }
            })
            .collect();
        let heading = Self {
            delimiter,
            columns,
            unnamed_index,
        };
        heading.check()?;
        Ok(heading)
    }

    fn check(&self) -> Result<(), String> {
        let accuracies = self.accuracies();
        if accuracies.is_empty() {
            let others = self.others();
            return Err(match others.is_empty() {
                true => "there is no column of accuracies".to_owned(),
                false => format!(
                    "there is no column of accuracies, only other columns: {:.200}",
                    others.join(", ")
                ),
            });
        }
        for (at, name) in accuracies.iter().enumerate() {
            if name.is_empty() {
                return Err("a column has no name".to_owned());
            }
            if accuracies[..at].contains(name) {
                return Err(format!("two columns are named {name}"));
            }
        }
        Ok(())
    }

    /// The names of the columns of accuracies.
    pub(super) fn accuracies(&self) -> Vec<String> {
        let name = |column: &Column| match column {
            Column::Accuracy(name) => Some(name.clone()),
            _ => None,
        };
        self.columns.iter().filter_map(name).collect()
    }

    /// The names of the ignored columns that have one.
    pub(super) fn others(&self) -> Vec<String> {
        let name = |column: &Column| match column {
            Column::Other(name) if !name.is_empty() => Some(name.clone()),
            _ => None,
        };
        self.columns.iter().filter_map(name).collect()
    }
}

/// The column of indices, and whether it has no name.
fn index_of(lower: &[String]) -> (Option<usize>, bool) {
    let named = INDEX.iter().find_map(|names| {
        let is = |name: &String| names.contains(&name.as_str());
        lower.iter().position(is)
    });
    let unnamed = lower
        .first()
        .is_some_and(|name| name.is_empty() || name.starts_with(UNNAMED));
    (named.or(unnamed.then_some(0)), named.is_none() && unnamed)
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

/// Whether a name, in lower case, indicates accuracies.
fn names_accuracy(name: &str) -> bool {
    let is_one = |word: &str| {
        word == "val" || word.ends_with("acc") || ACCURACY_WORDS.iter().any(|begin| word.starts_with(begin))
    };
    let says_so = words(name).any(is_one) || ACCURACY_PARTS.iter().any(|part| name.contains(part));
    says_so && !names_other(name)
}

/// Whether a name, in lower case, indicates something else.
fn names_other(name: &str) -> bool {
    name.starts_with(UNNAMED)
        || OTHER_PARTS.iter().any(|part| name.contains(part))
        || words(name).any(|word| OTHER_WORDS.contains(&word))
}

/// Whether a name, in lower case, indicates a seed, a run or an epoch.
fn names_run(name: &str) -> bool {
    words(name).any(|word| RUN_WORDS.contains(&word))
}

/// The most frequent separator in a line: comma, semicolon or tab; a bar only if it has none of
/// them.
fn delimiter_of(line: &str) -> u8 {
    let count = |one: u8| line.bytes().filter(|&byte| byte == one).count();
    // The last one wins ties.
    match [b'\t', b';', b','].into_iter().max_by_key(|&one| count(one)) {
        Some(most) if count(most) > 0 || count(b'|') == 0 => most,
        _ => b'|',
    }
}

/// The cells of a line, without surrounding whitespace and quotes.
pub(super) fn cells(line: &str, delimiter: u8) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .buffer_capacity(line.len().max(1))
        .from_reader(line.as_bytes());
    let mut record = csv::StringRecord::new();
    // A line of text is always a record; an empty line has no cells.
    match reader.read_record(&mut record) {
        Ok(true) => record.iter().map(|cell| unquoted(cell).to_owned()).collect(),
        Ok(false) | Err(_) => Vec::new(),
    }
}

/// A cell without surrounding whitespace and quotes; the CSV reader leaves quotes in cells that
/// begin with whitespace.
fn unquoted(cell: &str) -> &str {
    let cell = cell.trim();
    let inner = cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"'));
    inner.unwrap_or(cell).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> (Vec<String>, Vec<String>) {
        let heading = Heading::read(line, None).unwrap();
        (heading.accuracies(), heading.others())
    }

    #[test]
    fn a_column_is_what_its_name_says() {
        for (line, accuracies, others) in [
            ("architecture,a,b", "a b", ""),
            ("arch,params,FLOPs,a", "a", "params FLOPs"),
            (
                "arch,params (M),test_acc,latency-ms,synflow",
                "test_acc",
                "params (M)|latency-ms|synflow",
            ),
            (
                "arch,cifar10-test,cifar10-test-loss,train_time,val_acc_std",
                "cifar10-test",
                "cifar10-test-loss train_time val_acc_std",
            ),
            ("arch,top1,top-5,top-1 error,seed", "top1 top-5", "top-1 error|seed"),
            ("arch,acc at epoch 12,epoch,value", "acc at epoch 12|", "epoch value"),
            (
                "arch,accuracy seed 777,accuracy seed 888",
                "accuracy seed 777|accuracy seed 888",
                "",
            ),
            ("arch\tx\ty", "x y", ""),
            ("arch;x;y", "x y", ""),
            ("\"arch\",\"a, b\"", "a, b", ""),
        ] {
            let list = |text: &str| -> Vec<String> {
                let sign = if text.contains('|') || text.contains(", ") {
                    '|'
                } else {
                    ' '
                };
                text.split(sign)
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned)
                    .collect()
            };
            assert_eq!(read(line), (list(accuracies), list(others)), "{line}");
        }
        let none = Heading::read("arch,params,time", None).unwrap_err();
        assert_eq!(
            none,
            "there is no column of accuracies, only other columns: params, time"
        );
    }

    #[test]
    fn the_most_certain_name_of_an_index_column_is_used() {
        for (line, index, unnamed) in [
            (",arch,a", Some(0), true),
            ("Unnamed: 0,arch,a", Some(0), true),
            (",arch_index,arch,a", Some(1), false),
            ("index,arch,arch-index,a", Some(2), false),
            ("Unnamed: 0.1,Unnamed: 0,arch,idx,a", Some(3), false),
            ("arch,a", None, false),
        ] {
            let heading = Heading::read(line, None).unwrap();
            let found = heading.columns.iter().position(|column| *column == Column::Index);
            assert_eq!((found, heading.unnamed_index), (index, unnamed), "{line}");
            assert_eq!(heading.accuracies(), ["a"], "{line}");
        }
    }
}
