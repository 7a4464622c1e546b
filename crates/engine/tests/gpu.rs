//! The GPU kernels against the plain path on the CPU, on plans with all blocks that have kernels,
//! like `engines.rs` for the CPU.
//!
//! `DA2S_TEST_DEVICE` (`cuda`, `rocm`, `metal`, `vulkan`) selects the device; without it the tests
//! report that they were skipped. The software renderer of Mesa works too (`--features vulkan`).

#![cfg(feature = "gpu")]
#![allow(clippy::unwrap_used)]

mod agreement;

use std::io::Write;

use agreement::{Case, compare};
use burn::tensor::{Device, DeviceType};
use da2s_engine::Engine;

/// The device under test.
fn device(test: &str) -> Option<Device> {
    let asked = std::env::var("DA2S_TEST_DEVICE").unwrap_or_default();
    let kind = match asked.as_str() {
        #[cfg(feature = "cuda")]
        "cuda" => DeviceType::Cuda,
        #[cfg(feature = "rocm")]
        "rocm" => DeviceType::Rocm,
        #[cfg(feature = "metal")]
        "metal" => DeviceType::Metal,
        #[cfg(feature = "vulkan")]
        "vulkan" => DeviceType::Vulkan,
        _ => {
            // Bypasses the test runner, which hides what passing tests print.
            let note = format!("skipped: {test} needs a GPU (set DA2S_TEST_DEVICE)\n");
            std::io::stderr().write_all(note.as_bytes()).unwrap();
            return None;
        }
    };
    let device = Device::enumerate(kind).into_vec().into_iter().next();
    Some(device.unwrap_or_else(|| panic!("there is no device {asked} here")))
}

/// Channels, height, width, batch and stride of cases that fit the kernels' tiles and of cases that
/// do not.
const SIZES: [[usize; 5]; 8] = [
    [2, 4, 5, 2, 1],
    [3, 7, 5, 3, 2],
    [8, 8, 8, 2, 1],
    [8, 9, 6, 2, 2],
    [16, 6, 6, 4, 1],
    [17, 5, 7, 2, 2],
    [36, 4, 4, 3, 1],
    [16, 17, 16, 2, 2],
];

#[test]
fn a_gpu_agrees_with_the_plain_path() {
    let Some(device) = device("a_gpu_agrees_with_the_plain_path") else {
        return;
    };
    for (at, [channels, height, width, batch, stride]) in SIZES.into_iter().enumerate() {
        for flags in [
            [false; 4],
            [true, false, false, false],
            [true, true, true, false],
            [true, false, false, true],
        ] {
            let [affine, drop, inactive, running] = flags;
            let wants = [
                [true; 4],
                [false, false, true, false],
                [true, false, false, true],
                [false, true, true, false],
            ];
            let case = Case {
                channels,
                sides: (height, width),
                batch,
                stride,
                affine,
                drop,
                inactive,
                running,
                wants: if flags == [false; 4] { [true; 4] } else { wants[at % 4] },
                seed: 100 * at as u64,
                moves: false,
                only: None,
            };
            compare(&case, &Engine::Gpu, &device);
        }
    }
}

/// Number of blocks of `agreement`, without those that keep the image size and without
/// `BOTTLENECKS`. Block 0 is zero and has no gradient.
const BLOCKS: usize = 14;

#[test]
fn a_gpu_agrees_block_by_block() {
    let Some(device) = device("a_gpu_agrees_block_by_block") else {
        return;
    };
    for (stride, block) in [1, 2]
        .into_iter()
        .flat_map(|stride| (1..BLOCKS).map(move |block| (stride, block)))
    {
        let case = Case {
            channels: 4,
            sides: (6, 5),
            batch: 2,
            stride,
            affine: true,
            drop: false,
            inactive: false,
            running: false,
            wants: [true; 4],
            seed: 7,
            moves: false,
            only: Some(block),
        };
        compare(&case, &Engine::Gpu, &device);
    }
}

/// Blocks without kernels take the plain path.
#[test]
fn blocks_without_kernels_take_the_plain_path() {
    let Some(device) = device("blocks_without_kernels_take_the_plain_path") else {
        return;
    };
    let case = Case {
        channels: 4,
        sides: (6, 5),
        batch: 2,
        stride: 1,
        affine: true,
        drop: false,
        inactive: false,
        running: false,
        wants: [true; 4],
        seed: 7,
        moves: true,
        only: None,
    };
    compare(&case, &Engine::Gpu, &device);
}
