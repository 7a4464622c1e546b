//! Devices: their names and availability, and values on the host.

use burn::tensor::{Device, Tensor};
use da2s_engine::Engine;
use da2s_settings::words;

/// A device or kernels that are unavailable here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// A device that is not available.
    #[error("the device {asked} is not available; available here: {}", .available.join(", "))]
    Missing {
        /// The requested device.
        asked: String,
        /// The available devices.
        available: Vec<String>,
    },
    /// Kernels that cannot run on the device.
    #[error("the engine {asked} cannot run on {device} here; available: {}", .available.join(", "))]
    Engine {
        /// The requested kernels.
        asked: &'static str,
        /// The device.
        device: String,
        /// The available kernels.
        available: Vec<String>,
    },
}

words! {
    /// Implementation of the cells.
    #[strum(serialize_all = "lowercase")]
    pub enum EngineName {
        /// The fused kernels on the CPU and on GPUs, or the plain path if there are none.
        Auto,
        /// Burn's own operations: the reference path.
        Plain,
        /// The fused kernels with 512-bit vectors.
        Avx512,
        /// The fused kernels with 256-bit vectors and fused multiply-add.
        Avx2,
        /// The fused kernels with the vectors of AArch64.
        Neon,
        /// The fused kernels as plain loops, which the compiler vectorises.
        Portable,
    }
}

/// Opens the device called `name`: `cpu`, or a GPU runtime that is compiled in, `cuda` or `cuda:1`.
///
/// # Errors
/// If the device does not exist here; the error lists the available ones.
pub fn open(name: &str) -> Result<Device, DeviceError> {
    open_for(name, 0)
}

/// Like [`open`], for process `rank` of a group: if the name has no number, the GPUs of the machine
/// are assigned to the processes in turn.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_for(name: &str, rank: usize) -> Result<Device, DeviceError> {
    let missing = || DeviceError::Missing {
        asked: name.to_owned(),
        available: available(),
    };
    let (runtime, index) = match name.split_once(':') {
        None => (name, None),
        Some((runtime, index)) => (runtime, Some(index.parse::<usize>().map_err(|_| missing())?)),
    };
    let found = found(runtime);
    let index = index.unwrap_or_else(|| rank % found.len().max(1));
    found.into_iter().nth(index).ok_or_else(missing)
}

/// Names of all available devices.
pub fn available() -> Vec<String> {
    let mut names = Vec::new();
    for runtime in RUNTIMES {
        for index in 0..found(runtime).len() {
            names.push(if index == 0 {
                runtime.to_owned()
            } else {
                format!("{runtime}:{index}")
            });
        }
    }
    names
}

/// The implementation of the cells on the device called `device`: kernels for the CPU, or for GPUs.
///
/// # Errors
/// If the requested kernels cannot run on this CPU or the device; the error lists those that can.
pub fn engine(name: EngineName, device: &str) -> Result<Engine, DeviceError> {
    let on_cpu = device.split(':').next() == Some("cpu");
    let level = match name {
        EngineName::Auto if on_cpu => return Ok(Engine::fused()),
        EngineName::Auto => return Ok(Engine::gpu().unwrap_or(Engine::Plain)),
        EngineName::Plain => return Ok(Engine::Plain),
        EngineName::Avx512 | EngineName::Avx2 | EngineName::Neon | EngineName::Portable => name.name(),
    };
    let found = if on_cpu { Engine::fused_at(level) } else { None };
    found.ok_or_else(|| {
        let levels = if on_cpu { Engine::levels() } else { Vec::new() };
        let available = [EngineName::Auto, EngineName::Plain]
            .map(EngineName::name)
            .into_iter()
            .chain(levels);
        DeviceError::Engine {
            asked: level,
            device: device.to_owned(),
            available: available.map(str::to_owned).collect(),
        }
    })
}

/// The elements of a tensor on the host.
pub fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}

const RUNTIMES: [&str; 5] = ["cpu", "cuda", "rocm", "metal", "vulkan"];

/// The devices of one runtime; empty if it is not compiled in.
fn found(runtime: &str) -> Vec<Device> {
    match runtime {
        "cpu" => vec![Device::flex()],
        #[cfg(feature = "cuda")]
        "cuda" => Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec(),
        #[cfg(feature = "rocm")]
        "rocm" => Device::enumerate(burn::tensor::DeviceType::Rocm).into_vec(),
        #[cfg(feature = "metal")]
        "metal" => Device::enumerate(burn::tensor::DeviceType::Metal).into_vec(),
        #[cfg(feature = "vulkan")]
        "vulkan" => Device::enumerate(burn::tensor::DeviceType::Vulkan).into_vec(),
        _ => Vec::new(),
    }
}
