//! Reading golden files, and comparing.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use da2s::backbone::{Named, WeightsFile};
use da2s::config::EngineName;
use da2s_engine::Engine;

/// The golden folder's file `name`, or `None` with a note that `test` is skipped.
pub fn path(name: &str, test: &str) -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::env::var_os("DA2S_GOLDEN_DIR").map_or_else(|| "../shared/golden".into(), PathBuf::from);
    let path = workspace.join(folder).join(name);
    if path.is_file() {
        return Some(path);
    }
    // Past the test runner, which keeps what a passing test prints to itself.
    let note = format!(
        "skipped: {test} needs {}, which is not there (set DA2S_GOLDEN_DIR)\n",
        path.display()
    );
    std::io::stderr().write_all(note.as_bytes()).unwrap();
    None
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
    pub fn read(name: &str, test: &str) -> Option<Self> {
        let file = WeightsFile::read(&path(name, test)?).unwrap();
        let tensors = file.tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor));
        Some(Self {
            tensors: tensors.collect(),
            meta: file.metadata,
        })
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

    /// All tensors whose name begins with `prefix`, without it.
    pub fn under(&self, prefix: &str) -> Vec<Named> {
        let own = self.tensors.values().filter_map(|tensor| {
            Some(Named {
                name: tensor.name.strip_prefix(prefix)?.to_owned(),
                ..tensor.clone()
            })
        });
        own.collect()
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

/// As [`close`], but where the golden values are rounding alone, as a bias's gradient in front of a batch norm, so are ours.
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
