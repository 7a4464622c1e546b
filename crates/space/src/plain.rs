//! The space `plain`: a chain of stages of fixed operations. It contains the networks that people
//! train without a search, as yardsticks.
//!
//! Reference: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2
//! (three stages of basic blocks on small images); Banbury et al., "MLPerf Tiny Benchmark", NeurIPS
//! 2021, section 4 (ResNet-8 and DS-CNN). Contract: a network is a stem (a 3×3 convolution), the
//! stages, the mean, a classifier. Every layer has one operation; a basic block has a shortcut in
//! parallel: ReLU, and a 1×1 convolution if size or channels change. All channels are in exact
//! proportion to those of the stem.

use crate::Operation;

/// The operations of a layer.
pub(crate) const PLAIN_OPERATIONS: [Operation; 2] = [Operation::BasicBlock, Operation::DsConv3x3];
