//! A single block as an ONNX file, to time it with the runtime of another device.
//!
//! Contract: the graph computes the block [`BLOCK_COPIES`] times, so that a call's own time hardly
//! counts. Each copy has its own image, `[1, channels, height, width]`, weights and output, because
//! a runtime may compute equal parts only once. Batch norms are folded, as runtimes do it.

use da2s_engine::{Cell, Engine};
use da2s_infer::profile::numbers;
use prost::Message;

use super::graph::Graph;
use super::layers::{Layers, Value};
use super::messages::{FLOAT, GraphProto};
use super::{IMAGES, LOGITS, classify, fixed, of_this_version, value_info};
use crate::backbone::{NetworkStage, PartLayout, Source};
use crate::export::ExportError;
use crate::network::TimedBlock;

/// How many times the file of a block computes it.
pub const BLOCK_COPIES: usize = 6;

/// The file of a block; without one, of a graph that computes nothing.
pub(in crate::export) fn bytes(timed: Option<&TimedBlock>) -> Result<Vec<u8>, ExportError> {
    let (image, output, names, graph) = match timed {
        Some(timed) => of_block(timed)?,
        None => of_nothing(),
    };
    let dimensions = |shape: &[usize]| shape.iter().copied().map(fixed).collect();
    let graph = GraphProto {
        name: "block".to_owned(),
        input: (0..BLOCK_COPIES)
            .map(|copy| value_info(&image_of(copy), FLOAT, dimensions(&image)))
            .collect(),
        output: names
            .iter()
            .map(|name| value_info(name, FLOAT, dimensions(&output)))
            .collect(),
        ..graph.into_proto()
    };
    Ok(of_this_version(graph).encode_to_vec())
}

/// The input of a copy.
fn image_of(copy: usize) -> String {
    format!("{IMAGES}{copy}")
}

/// The shapes of an image and of an output, the names of the outputs, and the graph.
type Copies = (Vec<usize>, Vec<usize>, Vec<String>, Graph);

fn of_block(timed: &TimedBlock) -> Result<Copies, ExportError> {
    let shape = &timed.shape;
    let plan = timed.block.map(|block| block.alone(shape.inputs, shape.outputs));
    let part = |copy: usize| match &plan {
        Some(plan) => PartLayout::of_plan(&format!("copy{copy}."), plan),
        None => PartLayout::classifier(&format!("copy{copy}"), shape.inputs, shape.outputs),
    };
    let tensors = (0..BLOCK_COPIES).flat_map(|copy| {
        let part = part(copy);
        let weights = &numbers(copy + part.weight_count)[copy..];
        let norms = part.name_norms(&vec![0.0; part.norm_channels], &vec![1.0; part.norm_channels]);
        [part.name_weights(weights), norms].concat()
    });
    let tensors: Vec<_> = tensors.collect();
    let mut layers = Layers::new(&tensors, true);
    let mut output = vec![1, shape.outputs];
    let mut names = Vec::with_capacity(BLOCK_COPIES);
    for copy in 0..BLOCK_COPIES {
        let name = image_of(copy);
        names.push(match &plan {
            Some(plan) => {
                let stage = NetworkStage {
                    prefix: format!("copy{copy}."),
                    cell: Cell::new(plan.clone(), &Engine::Plain),
                    sources: vec![Source::Image],
                    kind: None,
                };
                let size = (shape.height, shape.width);
                let Value { name, size } = layers.stage(&stage, &[Value { name, size }])?;
                output = vec![1, shape.outputs, size.0, size.1];
                name
            }
            None => {
                let logits = format!("{LOGITS}{copy}");
                let rectified = layers.graph.relu(&name);
                classify(&mut layers, &format!("copy{copy}"), &rectified, &logits)?;
                logits
            }
        });
    }
    let image = vec![1, shape.inputs, shape.height, shape.width];
    Ok((image, output, names, layers.graph))
}

/// As many inputs and outputs as a block has, of one number each.
fn of_nothing() -> Copies {
    let mut graph = Graph::default();
    let copied = |copy: usize| graph.node("copy", "Identity", &[&image_of(copy)], []);
    let names = (0..BLOCK_COPIES).map(copied).collect();
    (vec![1; 4], vec![1; 4], names, graph)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::onnx::messages::ModelProto;
    use da2s_engine::{ActivationFunction, Block, BlockShape, CLASSIFIER};

    /// Every copy has inputs, weights and outputs of its own: a runtime may compute shared parts
    /// only once.
    #[test]
    fn copies_share_nothing() {
        let block = Block::InvertedBottleneck {
            relu: true,
            kernel: 5,
            stride: 1,
            expansion: 3,
            activation: ActivationFunction::Relu,
            squeeze: false,
        };
        let classifier = BlockShape {
            block: CLASSIFIER.to_owned(),
            inputs: 8,
            outputs: 3,
            height: 4,
            width: 5,
            stride: 1,
        };
        let blocks = [
            TimedBlock {
                shape: block.shape(8, 8, (4, 5)),
                block: Some(block),
            },
            TimedBlock {
                shape: classifier,
                block: None,
            },
        ];
        for (timed, operators) in [(Some(&blocks[0]), 6), (Some(&blocks[1]), 4), (None, 1)] {
            let model = ModelProto::decode(bytes(timed).unwrap().as_slice()).unwrap();
            let graph = model.graph.unwrap();
            assert_eq!((graph.input.len(), graph.output.len()), (BLOCK_COPIES, BLOCK_COPIES));
            assert_eq!(graph.node.len(), operators * BLOCK_COPIES, "{:?}", graph.node);
            let mut read: Vec<&String> = graph.node.iter().flat_map(|node| &node.input).collect();
            let all = read.len();
            read.sort();
            read.dedup();
            assert_eq!(read.len(), all);
        }
    }
}
