//! `genotype.json`: written by the stage `discretize`, read by the stages after it.
//!
//! Contract: the genotype is read from its text, which also identifies it in files of weights; the
//! cells are for other tools.

use da2s_records::files::GENOTYPE;
use da2s_records::schema::{GenotypeCell, GenotypeEdge, GenotypeFile, GenotypeTarget, Widened};

use super::{Error, RunDirectory};
use crate::discretize::Decision;
use crate::network::{CHANNELS, Cost, NetworkShape, Resource};
use crate::space::{Genotype, Precision, Space, Target};
use crate::stage::Stage;

/// The file for `genotype`, whose network has the size `cost` and has been `widened` after the
/// search; `searched` is set unless the genotype was given.
pub(super) fn record(
    (space, target): (&Space, &Target),
    genotype: &Genotype,
    decision: &Decision,
    searched: bool,
    (cost, widened): (Cost, Option<Widened>),
) -> GenotypeFile {
    let least = |value: f32| searched.then_some(f64::from(value));
    let target = target.iter().map(|(kind, target)| {
        let target = GenotypeTarget {
            edges: target.edges.clone(),
            depth: target.depth(space.graph),
            operations: target.operations,
        };
        (kind.name().to_owned(), target)
    });
    let cells = genotype.cells.iter().map(|(kind, cell)| {
        let edges = cell.edges.iter().map(|edge| GenotypeEdge {
            from: edge.from,
            to: edge.to,
            operations: edge.operations.iter().map(ToString::to_string).collect(),
        });
        let cell = GenotypeCell {
            edges: edges.collect(),
            concat: cell.concat.clone(),
        };
        (kind.name().to_owned(), cell)
    });
    GenotypeFile {
        space: Some(space.name.name().to_owned()),
        genotype: Some(genotype.to_string()),
        cells: cells.collect(),
        target: target.collect(),
        decided: Some(decision.undecided.is_empty()),
        p_least: least(decision.p_least),
        q_least: least(decision.q_least),
        undecided: decision.texts(),
        widened,
        parameters: Some(cost.parameters),
        multiply_adds: Some(cost.multiply_adds),
        on_device: cost.on_device,
    }
}

/// The run's genotype as text, and the settings of its network: those of `shape`, with the width
/// that it got after the search.
///
/// # Errors
/// If it is missing, or its width is invalid.
pub(super) fn stored_network(directory: &RunDirectory, shape: &NetworkShape) -> Result<(String, NetworkShape), Error> {
    let file: GenotypeFile = directory.read_json(GENOTYPE, Stage::Discretize)?;
    let text = required(directory, file.genotype, "genotype")?;
    let channels = width(directory, file.widened.as_ref())?;
    Ok((text, with_width(shape, channels)))
}

/// The number of channels of a network that was `widened`; `None` if it was not.
///
/// # Errors
/// If no network can have that many.
fn width(directory: &RunDirectory, widened: Option<&Widened>) -> Result<Option<usize>, Error> {
    let Some(&Widened { channels, .. }) = widened else {
        return Ok(None);
    };
    let [least, most] = CHANNELS;
    let valid = usize::try_from(channels)
        .ok()
        .filter(|own| (least..=most).contains(own));
    valid.map(Some).ok_or_else(|| Error::Damaged {
        path: directory.file(GENOTYPE),
        problem: format!("`widened.channels` is {channels}; expected {least} to {most}"),
    })
}

/// `shape` with `channels`, if the network was widened to that many.
fn with_width(shape: &NetworkShape, channels: Option<usize>) -> NetworkShape {
    NetworkShape {
        channels: channels.unwrap_or(shape.channels),
        ..shape.clone()
    }
}

/// The size of the network of the run's genotype.
///
/// # Errors
/// If it is missing.
pub(super) fn stored_cost(directory: &RunDirectory) -> Result<Cost, Error> {
    let file: GenotypeFile = directory.read_json(GENOTYPE, Stage::Discretize)?;
    Ok(Cost {
        parameters: required(directory, file.parameters, "parameters")?,
        multiply_adds: required(directory, file.multiply_adds, "multiply_adds")?,
        on_device: file.on_device,
    })
}

/// How much of `resource` the network of the run's genotype needs, in numbers of `precision`.
///
/// # Errors
/// If that is missing.
pub(super) fn stored_need(directory: &RunDirectory, resource: Resource, precision: Precision) -> Result<f64, Error> {
    let need = resource.of(&stored_cost(directory)?, precision);
    let key = match (resource, precision) {
        (Resource::MultiplyAdds, _) => "multiply_adds",
        (Resource::Parameters, _) => "parameters",
        (Resource::Size, Precision::Float32) => "size_bytes",
        (Resource::Size, Precision::Int8) => "size_int8_bytes",
        (Resource::Ram, Precision::Float32) => "ram_bytes",
        (Resource::Ram, Precision::Int8) => "ram_int8_bytes",
        (Resource::Latency, _) => "latency_ms",
    };
    required(directory, need, key)
}

/// The genotype of the run, given or searched, if there is one.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn stored(directory: &RunDirectory) -> Result<Option<Stored>, Error> {
    let Some(file) = directory.find_json::<GenotypeFile>(GENOTYPE)? else {
        return Ok(None);
    };
    let text = required(directory, file.genotype, "genotype")?;
    Ok(Some(Stored {
        genotype: parsed(directory, &text)?,
        given: file.p_least.is_none(),
        channels: width(directory, file.widened.as_ref())?,
    }))
}

/// The run's genotype.
pub(super) struct Stored {
    pub(super) genotype: Genotype,
    /// Whether it was given rather than searched.
    pub(super) given: bool,
    /// The channels that it was widened to.
    channels: Option<usize>,
}

impl Stored {
    /// The settings of its network: those of `shape`, with the width that it got after the search.
    pub(super) fn shape(&self, shape: &NetworkShape) -> NetworkShape {
        with_width(shape, self.channels)
    }
}

/// Parses the genotype `text` of the run.
pub(super) fn parsed(directory: &RunDirectory, text: &str) -> Result<Genotype, Error> {
    Genotype::parse(text).map_err(|error| Error::Genotype {
        path: Some(directory.file(GENOTYPE)),
        error,
    })
}

fn required<T>(directory: &RunDirectory, value: Option<T>, key: &str) -> Result<T, Error> {
    value.ok_or_else(|| Error::Damaged {
        path: directory.file(GENOTYPE),
        problem: format!("missing field `{key}`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_width_that_no_network_can_have_is_damage() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = RunDirectory::create(&temporary.path().join("run")).unwrap();
        let channels_of = |channels: u64| {
            let widened = Widened {
                channels,
                ..Widened::default()
            };
            let file = GenotypeFile {
                genotype: Some("-".to_owned()),
                widened: Some(widened),
                ..GenotypeFile::default()
            };
            directory.write_json(GENOTYPE, &file).unwrap();
            stored_network(&directory, &NetworkShape::default()).map(|(_, shape)| shape.channels)
        };
        assert_eq!(channels_of(17).unwrap(), 17);
        for channels in [0, 1, 4097, u64::MAX] {
            assert!(
                matches!(channels_of(channels), Err(Error::Damaged { .. })),
                "{channels}"
            );
        }
    }
}
