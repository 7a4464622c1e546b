//! PyTorch: a folder with a readable module, its weights, and the preprocessing.
//!
//! Contract: `model.py` needs torch and safetensors but not da2s. It begins with constants that
//! define the network; one of four hand-written modules follows, for the skeleton of DARTS
//! (`darts.py`, with the operations of every space), of NAS-Bench-201, or of the space `mobile` or
//! `plain`. `weights.safetensors` has exactly the tensors of that module. `SHA256SUMS` has the
//! checksums of all files in the format of `sha256sum --check`; `model.py` verifies the other files
//! before it uses them.

mod operations;

use std::fmt::Write as _;

use da2s_engine::{ActivationFunction, Block};
use da2s_records::Sha256;

use super::{ExportError, ExportedFile, safetensors};
use crate::backbone::{NetworkSize, STAGES, Stem};
use crate::network::{Trained, kept_layers};
use crate::space::{CellGenotype, CellGraph, CellKind, HostNetwork, LayerShape, Operation, PerKind, SpaceName};

const HEAD: &str = include_str!("head.py");
const DARTS: &str = include_str!("darts.py");
const MOBILE: &str = include_str!("mobile.py");
const PLAIN: &str = include_str!("plain.py");
const NAS_BENCH_201: &str = include_str!("nas_bench_201.py");
const TAIL: &str = include_str!("tail.py");

/// The files of the folder.
pub(super) fn files(trained: &Trained) -> Result<Vec<ExportedFile>, ExportError> {
    Ok(vec![
        ("weights.safetensors", safetensors::bytes(trained)?),
        ("model.py", module(trained).into_bytes()),
    ])
}

/// The checksums of the folder's other files.
pub(super) fn sums(files: &[ExportedFile]) -> ExportedFile {
    let line = |(name, bytes): &ExportedFile| format!("{}  {name}\n", Sha256::over(bytes).hex());
    ("SHA256SUMS", files.iter().map(line).collect::<String>().into_bytes())
}

/// The text of `model.py`.
fn module(trained: &Trained) -> String {
    let (cells, size) = (&trained.genotype.cells, &trained.description.size);
    let table = || operations::table(cells.values());
    let (constants, body) = match trained.genotype.space() {
        SpaceName::Darts => (darts_constants(cells, size) + &table(), DARTS),
        SpaceName::NasBench201 => (bench_constants(&cells.normal, size) + &table(), NAS_BENCH_201),
        SpaceName::Mobile => (mobile_constants(&cells.normal, size), MOBILE),
        SpaceName::Plain => (plain_constants(&cells.normal, size), PLAIN),
    };
    let classes = operations::classes(&[&constants, body].concat());
    let tail = TAIL.replace("    STEPS", &numbered(&trained.description.preprocessing.steps()));
    [HEAD, &constants, &classes, body, &tail].concat()
}

/// One step per line, for a docstring.
fn numbered(steps: &[String]) -> String {
    let lines = steps
        .iter()
        .zip(1..)
        .map(|(step, number)| format!("    {number}. {step}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn darts_constants(cells: &PerKind<CellGenotype>, size: &NetworkSize) -> String {
    let mut text = "\n# For each node of a cell the operations that it sums, each with the node that it reads; nodes 0 and 1 are the inputs.\n"
        .to_owned();
    for (kind, cell) in cells.iter() {
        let name = kind.name().to_uppercase();
        text += &nodes(&name, cell, CellGraph::new(2, cell.nodes()));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}_CONCAT = {:?}", cell.concat);
    }
    let stem = match size.stem {
        Stem::Cifar => "cifar",
        Stem::Imagenet => "imagenet",
    };
    let reduces = |&index: &usize| size.reductions.kind(index, size.cells) == CellKind::Reduction;
    let places: Vec<usize> = (0..size.cells).filter(reduces).collect();
    let _ = writeln!(
        text,
        "\nSTEM = \"{stem}\"\nCELLS = {}\nREDUCTION_CELLS = {places:?}",
        size.cells
    );
    text + &channels(size)
}

fn bench_constants(cell: &CellGenotype, size: &NetworkSize) -> String {
    let graph = CellGraph::new(1, cell.concat.last().copied().unwrap_or(0));
    let mut text = "\n# For each node of a cell the operations that it sums, each with the node that it reads; node 0 is the input.\n".to_owned();
    text += &nodes("CELL", cell, graph);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\nSTAGES = {STAGES}\nCELLS_PER_STAGE = {}", size.cells);
    text + &channels(size)
}

/// The kept layers of a chain, one per line, each with what `write` writes for its operations.
fn layers(cell: &CellGenotype, size: &NetworkSize, write: impl Fn(&[Operation], &LayerShape) -> String) -> String {
    let mut text = "LAYERS = [\n".to_owned();
    for (layer, operations) in kept_layers(cell, size) {
        let (outputs, stride) = (layer.outputs, layer.stride);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    ({outputs}, {stride}, {}),", write(&operations, &layer));
    }
    text + "]\n"
}

fn plain_constants(cell: &CellGenotype, size: &NetworkSize) -> String {
    let name = |operations: &[Operation], _: &LayerShape| {
        let names = operations.iter().map(|operation| format!("\"{operation}\""));
        names.collect::<Vec<_>>().join(", ")
    };
    format!(
        "\n# For each layer its channels, its stride and its operation.\n{}# Channels and stride of the stem.\nSTEM = ({}, {})\n\
         IMAGE_CHANNELS = {}\nCLASSES = {}\n",
        layers(cell, size, name),
        size.channels,
        size.chain.stem_stride,
        size.image_channels,
        size.classes
    )
}

fn mobile_constants(cell: &CellGenotype, size: &NetworkSize) -> String {
    let chain = &size.chain;
    let of_layer = |operations: &[Operation], layer: &LayerShape| {
        let shape = |operation: &Operation| match operation.block(layer.stride, HostNetwork::Network).0 {
            Block::InvertedBottleneck {
                kernel,
                expansion,
                squeeze,
                ..
            } => {
                let squeeze = if squeeze { "True" } else { "False" };
                format!("({kernel}, {expansion}, {squeeze})")
            }
            _ => format!("\"{operation}\""),
        };
        let operations: Vec<String> = operations.iter().map(shape).collect();
        format!("[{}]", operations.join(", "))
    };
    let mut text =
        "\n# For each layer its channels, its stride, and for each of its operations kernel, expansion and whether it has squeeze-and-excitation, or its name.\n".to_owned();
    text += &layers(cell, size, of_layer);
    let (stem, after) = (size.channels, chain.after_stem(size.channels));
    let _ = writeln!(
        text,
        "# Channels and stride of the stem, and channels after it.\nSTEM = ({stem}, {}, {after})\n# Channels after the layers.\nHEAD = {}",
        chain.stem_stride,
        chain.scaled(chain.head_channels, size.channels)
    );
    let activation = match chain.activation {
        ActivationFunction::Relu => "nn.ReLU",
        ActivationFunction::Relu6 => "nn.ReLU6",
        ActivationFunction::HardSwish => "nn.Hardswish",
    };
    let _ = writeln!(
        text,
        "ACTIVATION = {activation}\nIMAGE_CHANNELS = {}\nCLASSES = {}",
        size.image_channels, size.classes
    );
    text
}

fn channels(size: &NetworkSize) -> String {
    format!(
        "CHANNELS = {}\nIMAGE_CHANNELS = {}\nCLASSES = {}\n",
        size.channels, size.image_channels, size.classes
    )
}

/// One node per line.
fn nodes(name: &str, cell: &CellGenotype, graph: CellGraph) -> String {
    let mut text = format!("{name} = [\n");
    for node in graph.all_nodes() {
        let edges = cell.edges.iter().filter(|edge| edge.to == node);
        let entries = edges.flat_map(|edge| {
            let entry = |operation| format!("(\"{operation}\", {})", edge.from);
            edge.operations.iter().map(entry)
        });
        let entries: Vec<String> = entries.collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "    [{}],", entries.join(", "));
    }
    text + "]\n"
}
