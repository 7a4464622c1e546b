//! What the final network takes on the device that runs it: part of `genotype.json` and of
//! `summary.json`.

use serde::{Deserialize, Serialize};

/// What the final network takes on a device. A key is `None` in runs of earlier versions; those of
/// int8 also if a block has no integer kernels (squeeze-and-excitation).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct DeviceCost {
    /// Bytes of its weights and running statistics in float32, as in every export.
    pub size_bytes: Option<u64>,
    /// Bytes of its weights in int8: one byte for each weight; and eight bytes, a scale and a bias,
    /// for each output of a convolution or of the classifier.
    pub size_int8_bytes: Option<u64>,
    /// Bytes of its activations for one image in float32, where tensors share memory.
    pub ram_bytes: Option<u64>,
    /// The same in int8.
    pub ram_int8_bytes: Option<u64>,
    /// Time for one image in milliseconds, by the run's table of latencies; `None` without one.
    pub latency_ms: Option<f64>,
}

impl DeviceCost {
    /// The numbers by their key.
    pub fn values(&self) -> [(&'static str, Option<f64>); 5] {
        let bytes = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
        [
            ("size_bytes", bytes(self.size_bytes)),
            ("size_int8_bytes", bytes(self.size_int8_bytes)),
            ("ram_bytes", bytes(self.ram_bytes)),
            ("ram_int8_bytes", bytes(self.ram_int8_bytes)),
            ("latency_ms", self.latency_ms),
        ]
    }
}
