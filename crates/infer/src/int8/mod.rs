//! Networks in int8: quantised after training, read from a file, run with integers.
//!
//! References: Jacob et al., "Quantization and Training of Neural Networks for Efficient
//! Integer-Arithmetic-Only Inference", CVPR 2018; Krishnamoorthi, "Quantizing deep convolutional
//! networks for efficient inference: A whitepaper", 2018, sections 2 and 3.
//!
//! Batch norms are folded into convolutions. Weights are symmetric int8, one scale per output
//! channel: Krishnamoorthi's tables 2 and 3 show that networks with depthwise convolutions lose
//! nearly all accuracy with one scale per tensor. Activations are asymmetric uint8, one scale and
//! zero point per tensor: most tensors follow ReLU, and so use all 256 values, and the instruction
//! that sums four products of bytes needs unsigned bytes as one operand. Biases are int32. The
//! global mean is an integer sum that is scaled once; the classifier has int8 weights, but computes
//! in float32: it is a thousandth of the work, and its outputs are compared with one another.

mod calibrate;
mod file;
mod network;
mod quantise;
mod run;

pub use calibrate::RangeSetting;
pub use file::to_bytes;
pub use network::{Int8Classifier, Int8Convolution, Int8Network, Quantisation};
pub use quantise::{QuantiseError, quantise};
pub use run::Int8Runner;

pub(crate) use file::read;
