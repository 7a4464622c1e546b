//! Reads the text of a genotype: a small recursive-descent parser for the Python literals that DARTS prints.

use super::{CellGenotype, Genotype, GenotypeError, MOST_NODES};
use crate::{Operation, PerKind};

/// The largest number of a node.
const LAST_NODE: usize = MOST_NODES - 1;
/// Entries of a node: every operation from every node before it.
const MOST_AT_NODE: usize = LAST_NODE * Operation::ALL.len();
/// Entries of a cell. More are refused before anything is allocated for them.
const MOST_ENTRIES: usize = MOST_NODES * LAST_NODE / 2 * Operation::ALL.len();

#[derive(Default)]
struct CellText {
    entries: Option<Vec<(Operation, usize)>>,
    concat: Option<Vec<usize>>,
    nodes: Option<Vec<usize>>,
}

/// Reads the form of DARTS; see [`Genotype::parse`].
pub(super) fn parse(text: &str) -> Result<Genotype, GenotypeError> {
    let mut reader = Reader { text, at: 0 };
    let (mut normal, mut reduce) = (CellText::default(), CellText::default());
    reader.expect("Genotype")?;
    reader.expect("(")?;
    while !reader.take(")") {
        let start = reader.at;
        let key = reader.word()?.to_owned();
        reader.expect("=")?;
        let repeated = match key.as_str() {
            "normal" => normal.entries.replace(reader.entries()?).is_some(),
            "normal_concat" => normal.concat.replace(reader.numbers(LAST_NODE)?).is_some(),
            "normal_nodes" => normal.nodes.replace(reader.numbers(MOST_AT_NODE)?).is_some(),
            "reduce" => reduce.entries.replace(reader.entries()?).is_some(),
            "reduce_concat" => reduce.concat.replace(reader.numbers(LAST_NODE)?).is_some(),
            "reduce_nodes" => reduce.nodes.replace(reader.numbers(MOST_AT_NODE)?).is_some(),
            other => {
                let known = "normal, normal_concat, normal_nodes, reduce, reduce_concat, reduce_nodes";
                return Err(reader.fail_at(start, format!("unknown field {other}; known are {known}")));
            }
        };
        if repeated {
            return Err(reader.fail_at(start, format!("the field {key} appears twice")));
        }
        if !reader.take(",") {
            reader.expect(")")?;
            break;
        }
    }
    reader.space();
    if reader.at < text.len() {
        return Err(reader.fail("text behind the genotype".to_owned()));
    }
    let end = reader.at;
    let cell = |name: &str, cell: CellText| {
        let fail = |problem: String| GenotypeError { at: end, problem };
        let entries = cell
            .entries
            .ok_or_else(|| fail(format!("the field {name} is missing")))?;
        let concat = cell
            .concat
            .ok_or_else(|| fail(format!("the field {name}_concat is missing")))?;
        let counts = match cell.nodes {
            Some(counts) => counts,
            None if entries.len() % 2 == 0 => vec![2; entries.len() / 2],
            None => {
                let count = entries.len();
                return Err(fail(format!(
                    "{name} has {count} entries, not two a node: say how many with {name}_nodes=[…]"
                )));
            }
        };
        CellGenotype::from_entries(&entries, &counts, concat).map_err(|problem| fail(format!("{name}: {problem}")))
    };
    Ok(Genotype {
        cells: PerKind {
            normal: cell("normal", normal)?,
            reduction: Some(cell("reduce", reduce)?),
        },
    })
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn fail_at(&self, at: usize, problem: String) -> GenotypeError {
        GenotypeError { at, problem }
    }

    fn fail(&self, problem: String) -> GenotypeError {
        self.fail_at(self.at, problem)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), GenotypeError> {
        if self.take(token) {
            Ok(())
        } else {
            Err(self.fail(format!("expected {token}")))
        }
    }

    fn word(&mut self) -> Result<&'a str, GenotypeError> {
        self.space();
        let rest = self.rest();
        let length = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        if length == 0 {
            return Err(self.fail("expected a name".to_owned()));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    /// A whole number from 0 to `most`.
    fn number(&mut self, most: usize) -> Result<usize, GenotypeError> {
        self.space();
        let start = self.at;
        let digits = self
            .word()
            .map_err(|_| self.fail_at(start, "expected a number".to_owned()))?;
        match digits.parse::<usize>() {
            Ok(number) if number <= most => Ok(number),
            Ok(number) => Err(self.fail_at(start, format!("{number} is too large: at most {most}"))),
            Err(_) => Err(self.fail_at(start, format!("expected a number, found {digits}"))),
        }
    }

    /// `[item, item, …]`, at most `most` of them.
    fn list<T>(
        &mut self,
        most: usize,
        item: impl Fn(&mut Self) -> Result<T, GenotypeError>,
    ) -> Result<Vec<T>, GenotypeError> {
        self.expect("[")?;
        let mut items = Vec::new();
        while !self.take("]") {
            if items.len() == most {
                return Err(self.fail(format!("more than {most} items")));
            }
            items.push(item(self)?);
            if !self.take(",") {
                self.expect("]")?;
                break;
            }
        }
        Ok(items)
    }

    /// `[2, 3, 4, 5]` or `range(2, 6)`: numbers up to `most`, one a node at most.
    fn numbers(&mut self, most: usize) -> Result<Vec<usize>, GenotypeError> {
        if self.take("range") {
            self.expect("(")?;
            let from = self.number(most + 1)?;
            self.expect(",")?;
            let to = self.number(most + 1)?;
            self.expect(")")?;
            return Ok((from..to).collect());
        }
        self.list(MOST_NODES, |reader| reader.number(most))
    }

    /// `[('sep_conv_3x3', 0), …]`.
    fn entries(&mut self) -> Result<Vec<(Operation, usize)>, GenotypeError> {
        self.list(MOST_ENTRIES, |reader| {
            reader.expect("(")?;
            let quote = if reader.take("'") { "'" } else { "\"" };
            if quote == "\"" {
                reader.expect(quote)?;
            }
            let start = reader.at;
            let name = reader.word()?;
            let operation = Operation::from_name(name).ok_or_else(|| {
                let known = Operation::ALL.map(Operation::name).join(", ");
                reader.fail_at(start, format!("unknown operation {name}; known are {known}"))
            })?;
            reader.expect(quote)?;
            reader.expect(",")?;
            let from = reader.number(LAST_NODE)?;
            reader.expect(")")?;
            Ok((operation, from))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeptEdge;
    use proptest::prelude::*;

    const DARTS_V2: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), \
        ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], \
        normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), \
        ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], \
        reduce_concat=[2, 3, 4, 5])";

    #[test]
    fn the_text_of_darts_is_read_and_written_back() {
        let genotype = parse(DARTS_V2).unwrap();
        assert_eq!(genotype.to_string(), DARTS_V2);
        assert_eq!(genotype.cells.normal.edges[4].from, 1);
        let ranged = DARTS_V2.replace("[2, 3, 4, 5]", "range(2, 6)").replace('\'', "\"");
        assert_eq!(parse(&ranged).unwrap(), genotype);
    }

    #[test]
    fn other_counts_are_written_with_their_nodes() {
        let text = "Genotype(normal=[('skip_connect', 0), ('sep_conv_3x3', 1), ('dil_conv_3x3', 1)], \
            normal_concat=[2, 3], normal_nodes=[1, 2], reduce=[('skip_connect', 0), ('max_pool_3x3', 1)], \
            reduce_concat=[2, 3], reduce_nodes=[1, 1])";
        let genotype = parse(text).unwrap();
        assert_eq!(
            genotype.cells.normal.edges[1].operations,
            [Operation::SepConv3x3, Operation::DilConv3x3]
        );
        assert_eq!(genotype.to_string(), text);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let error = parse(&DARTS_V2.replace("dil_conv_3x3", "dil_conv_9x9")).unwrap_err();
        assert!(
            error.problem.contains("dil_conv_9x9") && error.problem.contains("sep_conv_5x5"),
            "{error}"
        );
        assert!(DARTS_V2[error.at..].starts_with("dil_conv_3x3"));
        for (from, to, say) in [
            ("normal_concat=[2, 3, 4, 5], ", "", "normal_concat is missing"),
            ("('dil_conv_3x3', 2)]", "('dil_conv_3x3', 5)]", "cannot read node 5"),
            (", ('dil_conv_3x3', 2)]", "]", "normal_nodes"),
            ("reduce_concat", "reduce_cat", "unknown field reduce_cat"),
            ("2)]", "99999999999999999999)]", "expected a number"),
            ("[2, 3, 4, 5]", "range(0, 60)", "must name nodes from 2 to 5"),
            ("[2, 3, 4, 5]", "range(0, 65)", "65 is too large: at most 64"),
            ("[2, 3, 4, 5]", "[64]", "64 is too large: at most 63"),
            ("2)]", "64)]", "64 is too large: at most 63"),
        ] {
            let error = parse(&DARTS_V2.replacen(from, to, 1)).unwrap_err();
            assert!(error.to_string().contains(say), "{error}");
        }
    }

    #[test]
    fn graphs_that_cannot_run_are_refused() {
        let cell = |entries: &str, concat: &str, nodes: &str| {
            format!(
                "Genotype(normal=[{entries}], normal_concat={concat}, normal_nodes={nodes}, \
                 reduce=[('skip_connect', 0)], reduce_concat=[2], reduce_nodes=[1])"
            )
        };
        let skip = "('skip_connect', 0)";
        for (text, say) in [
            (cell("", "[0]", "[]"), "must name nodes"),
            (cell(skip, "[1, 2]", "[1]"), "must name nodes from 2 to 2"),
            (cell(skip, "[2, 3]", "[1, 0]"), "node 3 is used"),
            (cell("('skip_connect', 2)", "[3]", "[0, 1]"), "node 2 is used"),
            (cell(skip, "[2, 2]", "[1]"), "twice"),
            (
                cell(
                    &format!("{skip}, ('max_pool_3x3', 1), ('sep_conv_3x3', 0)"),
                    "[2]",
                    "[3]",
                ),
                "entries of one edge must stand together: those from node 0 to node 2",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.to_string().contains(say), "{text}: {error}");
        }
    }

    /// A cell of `nodes` nodes, each of which keeps the operations from every node before it.
    fn dense(nodes: usize, operations: &[Operation]) -> Genotype {
        let edge = |from, to| KeptEdge {
            from,
            to,
            operations: operations.to_vec(),
        };
        let cell = CellGenotype {
            edges: (2..2 + nodes)
                .flat_map(|to| (0..to).map(move |from| (from, to)))
                .map(|(from, to)| edge(from, to))
                .collect(),
            concat: (2..2 + nodes).collect(),
        };
        Genotype {
            cells: PerKind {
                normal: cell.clone(),
                reduction: Some(cell),
            },
        }
    }

    #[test]
    fn a_cell_has_as_many_nodes_as_a_report_draws() {
        let skip = [Operation::SkipConnect];
        let largest = dense(62, &skip);
        assert_eq!(largest.cells.normal.nodes(), 62);
        assert_eq!(parse(&largest.to_string()).unwrap(), largest);
        // The largest space with as many operations as may stay.
        let full = dense(32, &Operation::ALL[1..9]);
        assert_eq!(parse(&full.to_string()).unwrap(), full);

        let concat = "concat=[2], ";
        let entries = "('skip_connect', 0), ".repeat(63);
        let text = format!(
            "Genotype(normal=[{entries}], normal_{concat}normal_nodes={ones:?}, reduce=[], reduce_{concat})",
            ones = vec![1; 63]
        );
        let error = parse(&text).unwrap_err();
        assert!(
            error.problem.contains("normal: 63 nodes, where a cell has at most 62"),
            "{error}"
        );
        let pairs = "(0, 3), (1, 3), ".repeat(63);
        let error = Genotype::parse(&format!("(({}), ((0, 3), (1, 3)))", pairs.trim_end_matches(", "))).unwrap_err();
        assert!(
            error.problem.contains("63 nodes, where a cell has at most 62"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}") {
            let _ = parse(&text);
        }

        #[test]
        fn no_damage_makes_it_panic(cut in 0usize..400, byte in any::<char>()) {
            let mut text: Vec<char> = DARTS_V2.chars().collect();
            let at = cut.min(text.len() - 1);
            text[at] = byte;
            let _ = parse(&text.iter().collect::<String>());
            let _ = parse(&text[..at].iter().collect::<String>());
        }
    }
}
