//! The text of genotypes of the spaces `mobile` and `plain`, a Python literal such as
//! `Genotype(stages=[['mbconv_k3_e3', None, 'mbconv_k5_e6'], ['mbconv_k7_e1']])`. It has a list for
//! each stage, with an entry for each layer: the operation, or None if the layer is removed. A
//! search in which `skip` is a candidate writes 'skip' for a layer that is removed.
//!
//! Contract: several operations of a layer are a tuple, the strongest first. The first layer of a
//! stage is never removed, and no operation is `skip` there. All operations are of one space; in
//! `plain`, a layer has one.

use std::fmt;

use super::literal::{Field, Kind, Value};
use super::mistake::Mistake;
use super::{CellGenotype, Genotype, KeptEdge};
use crate::{CellGraph, MOBILE_OPERATIONS, Operation, PLAIN_OPERATIONS, PerKind, SpaceName};

/// The field that identifies such genotypes.
const STAGES: &str = "stages";

/// Reads the fields of a call; `None` if none of them is [`STAGES`].
pub(super) fn read(fields: &[Field<'_>]) -> Option<Result<Genotype, Mistake>> {
    let place = fields.iter().position(|field| field.key == STAGES)?;
    let other = fields.iter().enumerate().find(|&(at, _)| at != place);
    Some(match other {
        None => of_stages(&fields[place].value),
        Some((_, other)) if other.key == STAGES => Err(Mistake::new(other.at, "the field stages appears twice")),
        Some((_, other)) => {
            let problem = format!("unknown field {}; a genotype with stages has no other", other.key);
            Err(Mistake::new(other.at, problem))
        }
    })
}

fn of_stages(value: &Value<'_>) -> Result<Genotype, Mistake> {
    let rows = list(value, "the stages, each a list of its layers")?;
    let (mut edges, mut stages) = (Vec::new(), Vec::new());
    let mut layer = 0;
    for row in rows {
        let layers = list(
            row,
            "a list of layers: names of operations, or None for one that vanishes",
        )?;
        if layers.len() + layer > CellGraph::MOST_LAYERS || stages.len() == CellGraph::MOST_STAGES {
            let (layers, stages) = (CellGraph::MOST_LAYERS, CellGraph::MOST_STAGES);
            return Err(Mistake::new(
                row.at,
                format!("more than {stages} stages or {layers} layers"),
            ));
        }
        for (place, value) in layers.iter().enumerate() {
            let operations = operations(value)?;
            of_one_space(edges.first(), &operations).map_err(|problem| Mistake::new(value.at, problem))?;
            if place == 0 && (operations.is_empty() || operations.contains(&Operation::Skip)) {
                return Err(Mistake::new(value.at, "the first layer of a stage never vanishes"));
            }
            if !operations.is_empty() {
                edges.push(KeptEdge {
                    from: layer,
                    to: layer + 1,
                    operations,
                });
            }
            layer += 1;
        }
        stages.push(layers.len());
    }
    let normal = CellGenotype {
        edges,
        concat: vec![layer],
        stages,
    };
    Ok(Genotype {
        cells: PerKind {
            normal,
            reduction: None,
        },
    })
}

fn list<'v, 'a>(value: &'v Value<'a>, expected: &str) -> Result<&'v [Value<'a>], Mistake> {
    let items = value.list().filter(|items| !items.is_empty());
    items.ok_or_else(|| Mistake::new(value.at, format!("expected {expected}")))
}

/// The operations of a layer; empty if it is removed.
fn operations(value: &Value<'_>) -> Result<Vec<Operation>, Mistake> {
    if value.kind == Kind::Null {
        return Ok(Vec::new());
    }
    let one = |value: &Value<'_>| {
        let known = value.text().and_then(Operation::from_name);
        let of_chains =
            |operation: &Operation| MOBILE_OPERATIONS.contains(operation) || PLAIN_OPERATIONS.contains(operation);
        known.filter(of_chains).ok_or_else(|| {
            let [mobile, plain] = [&MOBILE_OPERATIONS[..], &PLAIN_OPERATIONS]
                .map(|operations| operations.iter().map(|one| one.name()).collect::<Vec<_>>().join(", "));
            Mistake::new(
                value.at,
                format!("expected None or an operation of the space mobile: {mobile}; or plain: {plain}"),
            )
        })
    };
    match value.list().filter(|items| !items.is_empty()) {
        Some(items) => items.iter().map(one).collect(),
        None => Ok(vec![one(value)?]),
    }
}

/// Refuses `operations` of a layer that do not fit each other or those of the `first` layer.
fn of_one_space(first: Option<&KeptEdge>, operations: &[Operation]) -> Result<(), &'static str> {
    let all = first.into_iter().flat_map(|edge| &edge.operations).chain(operations);
    let plain: Vec<bool> = all.map(|&operation| SpaceName::Plain.has(operation)).collect();
    if plain.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err("operations of the spaces mobile and plain in one genotype");
    }
    if plain.contains(&true) && operations.len() > 1 {
        return Err("several operations in a layer of the space plain, which has one");
    }
    Ok(())
}

/// Writes the genotype of `cell`.
pub(super) fn write(cell: &CellGenotype, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let of_layer = |layer: usize| {
        let kept = cell.edges.iter().find(|edge| edge.from == layer);
        let names = kept.map(|edge| edge.operations.iter().map(|operation| format!("'{operation}'")));
        let names: Vec<String> = names.into_iter().flatten().collect();
        match names.as_slice() {
            [] => "None".to_owned(),
            [one] => one.clone(),
            several => format!("({})", several.join(", ")),
        }
    };
    let mut first = 0;
    let rows = cell.stages.iter().map(|&layers| {
        let row: Vec<String> = (first..first + layers).map(of_layer).collect();
        first += layers;
        format!("[{}]", row.join(", "))
    });
    write!(f, "Genotype(stages=[{}])", rows.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mobile_candidates;
    use proptest::prelude::*;

    fn layer() -> impl Strategy<Value = Vec<Operation>> {
        prop::sample::subsequence(MOBILE_OPERATIONS.to_vec(), 0..3)
    }

    proptest! {
        #[test]
        fn every_genotype_is_written_and_read_back(
            rows in prop::collection::vec((prop::sample::select(mobile_candidates(true, true, false)), prop::collection::vec(layer(), 0..4)), 1..5),
        ) {
            let mut edges = Vec::new();
            let mut at = 0;
            for (first, others) in &rows {
                for operations in std::iter::once(vec![*first]).chain(others.iter().cloned()) {
                    if !operations.is_empty() {
                        edges.push(KeptEdge { from: at, to: at + 1, operations });
                    }
                    at += 1;
                }
            }
            let stays = |operations: &&Vec<Operation>| operations.iter().any(|&operation| operation != Operation::Skip);
            let kept = |others: &[Vec<Operation>]| 1 + others.iter().filter(stays).count();
            let depth: Vec<usize> = rows.iter().map(|(_, others)| kept(others)).collect();
            let stages = rows.iter().map(|(_, others)| others.len() + 1).collect();
            let normal = CellGenotype { edges, concat: vec![at], stages };
            let genotype = Genotype { cells: PerKind { normal, reduction: None } };
            prop_assert_eq!(genotype.space(), SpaceName::Mobile);
            prop_assert_eq!(genotype.cells.normal.depth(), depth);
            prop_assert_eq!(Genotype::parse(&genotype.to_string()).unwrap(), genotype);
        }

        #[test]
        fn no_damage_makes_it_panic(at in 0usize..70, byte in any::<char>()) {
            let mut text: Vec<char> = "Genotype(stages=[['mbconv_k3_e3', None], [('mbconv_k5_e6', 'mbconv_k7_e1')]])".chars().collect();
            text[at] = byte;
            let _ = Genotype::parse(&text.iter().collect::<String>());
            let _ = Genotype::parse(&text[..at].iter().collect::<String>());
        }
    }

    #[test]
    fn a_plain_chain_is_written_and_read_back() {
        let text = "Genotype(stages=[['basic_block', None], ['ds_conv_3x3']])";
        let genotype = Genotype::parse(text).unwrap();
        assert_eq!(
            (genotype.space(), genotype.to_string()),
            (SpaceName::Plain, text.to_owned())
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, says) in [
            ("Genotype(stages=[])", "expected the stages"),
            ("Genotype(stages=[['mbconv_k3_e3'], []])", "expected a list of layers"),
            ("Genotype(stages=[[None, 'mbconv_k3_e3']])", "never vanishes"),
            ("Genotype(stages=[['skip', 'mbconv_k3_e3']])", "never vanishes"),
            ("Genotype(stages=[[('mbconv_k3_e3', 'skip')]])", "never vanishes"),
            (
                "Genotype(stages=[['sep_conv_3x3']])",
                "an operation of the space mobile: mbconv_k3_e1",
            ),
            ("Genotype(stages=[['mbconv_k3_e3']], normal=[])", "unknown field normal"),
            ("Genotype(stages=[['mbconv_k3_e3']], stages=[])", "appears twice"),
            (
                "Genotype(stages=[['mbconv_k3_e3'], ['basic_block']])",
                "of the spaces mobile and plain in one",
            ),
            (
                "Genotype(stages=[['basic_block'], [('basic_block', 'ds_conv_3x3')]])",
                "several operations in a layer",
            ),
        ] {
            let error = Genotype::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        let many = format!("Genotype(stages=[[{}]])", "'mbconv_k3_e3',".repeat(61));
        assert!(Genotype::parse(&many).unwrap_err().to_string().contains("60 layers"));
    }
}
