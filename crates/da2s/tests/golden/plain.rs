//! Networks of the space `plain`: a small ResNet and a small DS-CNN, and the published sizes of
//! ResNet-8.

use da2s::backbone::{NetworkSize, Stem};
use da2s::network::{Cost, cost, network};
use da2s::space::{ChainShape, Genotype, PlainNetwork, Reductions, StageShape};
use da2s_engine::Engine;

use super::file::Golden;
use super::supernet::engines;

/// Sizes of a network at width 1.
fn size(stem: [usize; 2], stages: &[[usize; 3]], image: [usize; 2], classes: usize) -> NetworkSize {
    NetworkSize {
        stem: Stem::Cifar,
        channels: stem[0],
        cells: 1,
        reductions: Reductions::At(Vec::new()),
        image_channels: image[0],
        image_size: image[1],
        classes,
        auxiliary: false,
        chain: ChainShape {
            stem_channels: stem[0],
            stem_stride: stem[1],
            stages: stages.iter().copied().map(StageShape::from).collect(),
            head_channels: 0,
            plain: true,
            ..ChainShape::default()
        },
    }
}

fn check(name: &str) {
    let golden = Golden::read(name);
    let numbers: Vec<usize> = golden
        .text("stages")
        .split(',')
        .map(|number| number.parse().unwrap())
        .collect();
    let (stages, _) = numbers.as_chunks::<3>();
    let images = &golden.get("input").shape;
    let classes = golden.get("train.logits").shape[1];
    let stem = [golden.number("stem"), golden.number("stem_stride")];
    let size = size(stem, stages, [images[1], images[2]], classes);
    let genotype = Genotype::parse(golden.text("genotype")).unwrap();
    for engine in engines() {
        super::network::check(&golden, &network(&genotype, size.clone(), &engine).unwrap());
    }
}

#[test]
fn a_plain_residual_network_is_that_of_pytorch() {
    check("plain-resnet.safetensors");
}

#[test]
fn a_plain_depthwise_separable_network_is_that_of_pytorch() {
    check("plain-ds-cnn.safetensors");
}

/// The cost of `plain` at width 1.
fn cost_of(plain: PlainNetwork, side: usize, classes: usize) -> Cost {
    let size = NetworkSize {
        chain: plain.settings(side).chain(),
        ..size([plain.stem_channels(), 1], &[], [3, side], classes)
    };
    cost(&network(&plain.genotype(), size, &Engine::Plain).unwrap(), side)
}

/// TensorFlow reports 78,666 parameters for ResNet-8 of MLPerf Tiny. They include the biases of
/// its nine convolutions, which batch norms make redundant, and the statistics of its batch norms.
#[test]
fn resnet_8_has_the_published_number_of_parameters() {
    let outputs = 3 * 16 + 3 * 32 + 3 * 64;
    let normalised = 3 * 16 + 2 * 32 + 2 * 64;
    let found = cost_of(PlainNetwork::Resnet8, 32, 10);
    assert_eq!(found.parameters, 78_666 - outputs - 2 * normalised);
    assert_eq!(found.multiply_adds, 12_501_632);
    // Both branches and the result of the first block: three images of 16 channels.
    assert_eq!(found.on_device.ram_int8_bytes, Some(3 * 16 * 32 * 32));
}

/// Sandler et al. report 3.4 M parameters and 300 M multiply-adds; 3,504,872 is the number of
/// torchvision's network.
#[test]
fn mobilenet_v2_has_the_published_number_of_parameters() {
    let found = cost_of(PlainNetwork::MobilenetV2, 224, 1000);
    assert_eq!((found.parameters, found.multiply_adds), (3_504_872, 300_774_272));
}
