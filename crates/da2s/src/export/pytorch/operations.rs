//! The operations in `model.py`: an expression for each, generated from its blocks, and the classes
//! that these use.
//!
//! Contract: modules have the layers of a [`Block`], named like its weights, so that
//! `weights.safetensors` fits.

use std::fmt::Write as _;

use da2s_engine::{Block, PoolKind};

use crate::space::{CellGenotype, HostNetwork, Operation};

/// Classes in order; each uses only those before it.
const LAYERS: &str = include_str!("layers.py");
/// The separator between two classes.
const GAP: &str = "\n\n\n";

/// One line for each operation of `cells`: a function from the number of channels and the stride to
/// a module.
pub(super) fn table<'a>(cells: impl IntoIterator<Item = &'a CellGenotype>) -> String {
    let edges = cells.into_iter().flat_map(|cell| &cell.edges);
    let used: Vec<Operation> = edges.flat_map(|edge| edge.operations.iter().copied()).collect();
    let mut text = "\n# What computes each operation.\nOPERATIONS = {\n".to_owned();
    for operation in Operation::ALL.into_iter().filter(|operation| used.contains(operation)) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "    \"{operation}\": lambda channels, stride: {},",
            function(operation)
        );
    }
    text + "}\n"
}

/// The classes that `text` names, and those that they use.
pub(super) fn classes(text: &str) -> String {
    let mut kept = String::new();
    for class in LAYERS.trim_matches('\n').rsplit(GAP) {
        let name = class.split(['(', ' ']).nth(1).unwrap_or_default();
        if text.contains(name) || kept.contains(name) {
            kept = [GAP, class, &kept].concat();
        }
    }
    kept
}

/// An expression of `channels` and `stride`.
fn function(operation: Operation) -> String {
    let [whole, halved] = [1, 2].map(|stride| module(operation.block(stride, HostNetwork::Network).0));
    if whole == halved {
        whole
    } else {
        format!("{whole} if stride == 1 else {halved}")
    }
}

/// The module for a block with as many input as output channels.
fn module(block: Block) -> String {
    match block {
        Block::Zero { .. } => "Zero(stride)".to_owned(),
        // All channels, starting at the first.
        Block::Identity | Block::Take { .. } => "nn.Identity()".to_owned(),
        Block::Norm => "nn.Sequential(nn.BatchNorm2d(channels))".to_owned(),
        Block::Shuffle { groups, .. } => format!("nn.ChannelShuffle({groups})"),
        Block::FactorizedReduce => "FactorizedReduce(channels, channels)".to_owned(),
        Block::Separable {
            kernel,
            dilation,
            stages,
            stride: _,
        } => format!("SeparableConv(channels, {kernel}, stride, dilation={dilation}, times={stages})"),
        Block::Relu => "nn.ReLU()".to_owned(),
        Block::Relu6 => "nn.ReLU6()".to_owned(),
        Block::HardSwish => "nn.Hardswish()".to_owned(),
        Block::Basic { kernel, .. } => format!("BasicBlock(channels, channels, {kernel}, stride)"),
        Block::InvertedBottleneck {
            relu,
            kernel,
            expansion,
            ..
        } => {
            // Only the space `mobile`, whose module is written by hand, has other functions.
            let bottleneck = format!("InvertedBottleneck(channels, channels, {kernel}, stride, {expansion})");
            if relu {
                format!("nn.Sequential(nn.ReLU(), *{bottleneck})")
            } else {
                bottleneck
            }
        }
        Block::Pool {
            kind,
            kernel,
            padding,
            norm,
            stride: _,
        } => {
            let pool = match kind {
                PoolKind::Max => format!("nn.MaxPool2d({kernel}, stride, padding={padding})"),
                PoolKind::Average => {
                    format!("nn.AvgPool2d({kernel}, stride, padding={padding}, count_include_pad=False)")
                }
            };
            if norm {
                format!("nn.Sequential({pool}, nn.BatchNorm2d(channels))")
            } else {
                pool
            }
        }
        Block::Conv {
            relu,
            kernel,
            padding,
            bias,
            norm,
            stride: _,
        } => {
            let bias = if bias { "True" } else { "False" };
            let before = if relu { "nn.ReLU(), " } else { "" };
            let after = if norm { ", nn.BatchNorm2d(channels)" } else { "" };
            let convolution = format!("nn.Conv2d(channels, channels, {kernel}, stride, {padding}, bias={bias})");
            format!("Wrapped({before}{convolution}{after})")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_written_from_their_blocks() {
        let modules = [
            (Operation::None, "Zero(stride)"),
            (
                Operation::SkipConnect,
                "nn.Identity() if stride == 1 else FactorizedReduce(channels, channels)",
            ),
            (
                Operation::AvgPool3x3,
                "nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)",
            ),
            (
                Operation::DilConv5x5,
                "SeparableConv(channels, 5, stride, dilation=2, times=1)",
            ),
            (
                Operation::MbConvK5E3,
                "InvertedBottleneck(channels, channels, 5, stride, 3)",
            ),
            (Operation::BasicBlock, "BasicBlock(channels, channels, 3, stride)"),
            (
                Operation::DsConv3x3,
                "nn.Sequential(nn.ReLU(), *InvertedBottleneck(channels, channels, 3, stride, 1))",
            ),
            (
                Operation::NorConv3x3,
                "Wrapped(nn.ReLU(), nn.Conv2d(channels, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels))",
            ),
        ];
        for (operation, expected) in modules {
            assert_eq!(function(operation), expected);
        }
    }

    #[test]
    fn classes_come_with_what_they_use() {
        let kept = classes("SeparableConv(channels, 3, stride)");
        assert!(kept.starts_with("\n\n\ndef convolution(") && kept.contains("class SeparableConv("));
        assert!(!kept.contains("class Zero") && !kept.contains("class FactorizedReduce"));
        assert!(classes("ready = FactorizedReduce if larger else ReLUConvBN ").contains("class FactorizedReduce("));
        assert_eq!(classes("nn.Identity()"), "");
    }
}
