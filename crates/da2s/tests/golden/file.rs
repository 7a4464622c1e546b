//! Reads golden files and compares values with them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use da2s::backbone::{Backbone, Weights};
use da2s::device::EngineName;
use da2s::space::ActivationName;
use da2s_engine::{ActivationFunction, Engine};
use da2s_records::{Named, WeightsFile};

/// The file `name` of the golden folder: `$DA2S_GOLDEN_DIR`, or the repository's.
pub fn path(name: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::env::var_os("DA2S_GOLDEN_DIR").map_or_else(|| "fixtures/golden".into(), PathBuf::from);
    workspace.join(folder).join(name)
}

/// The device under test: `$DA2S_TEST_DEVICE`, the CPU by default.
pub fn device() -> Device {
    da2s::device::open(&device_name()).unwrap()
}

/// The fast engine on that device.
pub fn fast_engine() -> Engine {
    da2s::device::engine(EngineName::Auto, &device_name()).unwrap()
}

fn device_name() -> String {
    std::env::var("DA2S_TEST_DEVICE").unwrap_or_else(|_| "cpu".to_owned())
}

/// A golden safetensors file.
pub struct Golden {
    tensors: HashMap<String, Named>,
    meta: HashMap<String, String>,
}

impl Golden {
    /// Reads the file; see [`path`].
    pub fn read(name: &str) -> Self {
        let file = WeightsFile::read(&path(name)).unwrap();
        let tensors = file.tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor));
        Self {
            tensors: tensors.collect(),
            meta: file.metadata,
        }
    }

    /// A number of the metadata.
    pub fn number<T: std::str::FromStr>(&self, key: &str) -> T {
        self.meta[key]
            .parse()
            .unwrap_or_else(|_| panic!("{key} = {}", self.meta[key]))
    }

    /// A text of the metadata.
    pub fn text(&self, key: &str) -> &str {
        &self.meta[key]
    }

    /// The activation function of the metadata; ReLU if there is none.
    pub fn activation(&self) -> ActivationFunction {
        let named = |name: &String| ActivationName::from_name(name).unwrap();
        let function = self.meta.get("activation").map(named);
        function.map_or_else(ActivationFunction::default, ActivationName::function)
    }

    /// A tensor.
    pub fn get(&self, name: &str) -> &Named {
        self.tensors
            .get(name)
            .unwrap_or_else(|| panic!("the golden file has no {name}"))
    }

    /// Whether there is a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// All tensors whose name begins with `prefix`, in their full shapes. The returned names do not
    /// contain the prefix.
    pub fn under(&self, prefix: &str) -> Vec<Named> {
        let own = self.tensors.values().filter_map(|tensor| {
            let name = tensor.name.strip_prefix(prefix)?.to_owned();
            let (shape, data) = match self.full_shape(&tensor.name) {
                None => (tensor.shape.clone(), tensor.data.clone()),
                Some(shape) => {
                    let repeated = tensor.data.iter().copied().cycle();
                    let data = repeated.take(shape.iter().product()).collect();
                    (shape, data)
                }
            };
            Some(Named { name, shape, data })
        });
        own.collect()
    }

    /// The full shape of a tensor that is stored as a short vector, which is repeated to fill the
    /// shape; `None` for other tensors.
    fn full_shape(&self, name: &str) -> Option<Vec<usize>> {
        let sides = self.meta.get(&format!("shape.{name}"))?.split(',');
        Some(sides.map(|side| side.parse().unwrap()).collect())
    }

    /// The gradient of the parameter `name` in the form of the file: for a repeated vector, the sum
    /// over its repetitions.
    pub fn as_stored(&self, name: &str, gradient: Vec<f32>) -> Vec<f32> {
        let parameter = format!("init.{name}");
        if self.full_shape(&parameter).is_none() {
            return gradient;
        }
        let mut sums = vec![0.0f64; self.get(&parameter).data.len()];
        for part in gradient.chunks(sums.len()) {
            for (sum, &value) in sums.iter_mut().zip(part) {
                *sum += f64::from(value);
            }
        }
        sums.into_iter().map(|sum| sum as f32).collect()
    }

    /// A tensor on the device under test.
    pub fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let named = self.get(name);
        let shape: [usize; D] = named.shape.clone().try_into().unwrap();
        Tensor::from_data(TensorData::new(named.data.clone(), shape), &device())
    }

    /// Labels.
    pub fn labels(&self, name: &str) -> Tensor<1, Int> {
        let labels: Vec<i64> = self.get(name).data.iter().map(|&label| label as i64).collect();
        let count = labels.len();
        Tensor::from_data(TensorData::new(labels, [count]), &device())
    }
}

/// The weights of `backbone` with the values `init`, all of which must be weights of `backbone`.
pub fn load(backbone: &Backbone, init: &[Named]) -> Weights {
    let weights = Weights::from_named(backbone, init, &device()).unwrap();
    assert_eq!(
        weights.named(backbone).len(),
        init.len(),
        "every golden weight is a weight of the network"
    );
    weights
}

/// Asserts that `ours` is within `tolerance` of `golden`, relative to the golden norm.
pub fn close(what: &str, ours: &[f32], golden: &[f32], tolerance: f64) {
    assert_eq!(ours.len(), golden.len(), "{what}: number of elements");
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let norm = square(&mut golden.iter().map(|&value| f64::from(value)));
    let error = square(&mut ours.iter().zip(golden).map(|(&a, &b)| f64::from(a) - f64::from(b)));
    assert!(
        error <= tolerance * norm.max(1e-6),
        "{what}: off by {error:e} of a norm of {norm:e}"
    );
}

/// Like [`close`]; if the golden values are zero up to rounding, such as the gradient of a bias
/// before a batch norm, ours must be too.
pub fn close_or_nothing(name: &str, ours: &[f32], golden: &[f32], tolerance: f64) {
    let largest = |values: &[f32]| values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    if largest(golden) < 1e-8 {
        assert!(largest(ours) < 1e-6, "{name}: {ours:?}");
    } else {
        close(name, ours, golden, tolerance);
    }
}

/// The elements of a tensor.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
