//! Networks in int8: against float32, at every level, over threads, in a file, and damaged.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use da2s_engine::{ActivationFunction, Block, CellPlan, CellPlanBuilder, NetworkPlan, PoolKind, StagePlan, WeightRole};
use da2s_infer::int8::{Int8Network, Int8Runner, RangeSetting, quantise, to_bytes};
use da2s_infer::{Deployed, Network, Precision};
use da2s_kernels::int8::Level;
use da2s_records::schema::{Preprocessing, PreprocessingRules};
use da2s_records::{Named, StoredTensor, WeightsFile, signed_file};
use safetensors::{Dtype, SafeTensors};

/// Pseudorandom numbers between −1 and 1: the finaliser of splitmix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn take(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.next()).collect()
    }
}

fn conv(kernel: usize, stride: usize, relu: bool, bias: bool, norm: bool) -> Block {
    Block::Conv {
        relu,
        kernel,
        stride,
        padding: kernel / 2,
        bias,
        norm,
    }
}

fn separable(kernel: usize, dilation: usize, stages: usize) -> Block {
    Block::Separable {
        kernel,
        stride: 1,
        dilation,
        stages,
    }
}

fn pool(kind: PoolKind, norm: bool) -> Block {
    Block::Pool {
        kind,
        kernel: 3,
        stride: 1,
        padding: 1,
        norm,
    }
}

fn bottleneck(relu: bool, stride: usize, expansion: usize) -> Block {
    Block::InvertedBottleneck {
        relu,
        kernel: 5,
        stride,
        expansion,
        activation: ActivationFunction::Relu,
        squeeze: false,
    }
}

/// Prefix, sources and cell.
type Stage = (&'static str, Vec<Option<usize>>, CellPlan);

/// Every block of a final network, in three stages.
fn stages() -> Vec<Stage> {
    let one = |block: Block, name: &str| [(block, name.to_owned(), 0)];
    let stem = CellPlanBuilder::new(true)
        .input(3)
        .node(11)
        .edge(0, 1, one(conv(3, 1, false, true, true), "stem"))
        .output([1]);
    let cell = CellPlanBuilder::new(true)
        .preprocessed_input(11, 11, conv(1, 1, true, false, true), "one", 0)
        .preprocessed_input(11, 11, Block::Norm, "two", 0)
        .node(11)
        .node(11)
        .node(11)
        .node(11)
        .edge(0, 2, one(separable(3, 1, 2), "a"))
        .edge(1, 2, one(separable(5, 2, 1), "b"))
        .edge(1, 3, one(pool(PoolKind::Max, true), "c"))
        .edge(2, 3, one(Block::Identity, "d"))
        .edge(2, 4, one(pool(PoolKind::Average, false), "e"))
        .edge(3, 4, one(Block::Zero { stride: 1 }, "f"))
        .edge(0, 5, one(Block::Zero { stride: 1 }, "g"))
        .output([2, 3, 4, 5]);
    let basic = Block::Basic { kernel: 3, stride: 1 };
    let residual = one(basic, "k").into_iter().chain(one(Block::Relu, "l"));
    let inverted = one(bottleneck(false, 1, 3), "n")
        .into_iter()
        .chain(one(Block::Identity, "o"));
    let last = CellPlanBuilder::new(true)
        .preprocessed_input(44, 9, Block::FactorizedReduce, "reduce", 0)
        .node(9)
        .node(9)
        .node(9)
        .node(20)
        .edge(0, 1, residual)
        .edge(1, 2, inverted)
        .edge(2, 3, one(bottleneck(true, 1, 1), "p"))
        .edge(
            2,
            3,
            one(bottleneck(false, 1, 2).with_activation(ActivationFunction::Relu6), "s"),
        )
        .edge(
            2,
            3,
            one(
                bottleneck(false, 1, 1).with_activation(ActivationFunction::HardSwish),
                "t",
            ),
        )
        .edge(1, 3, one(Block::Relu6, "u"))
        .edge(1, 3, one(Block::HardSwish, "v"))
        .edge(1, 3, one(conv(3, 1, false, false, true), "q"))
        .edge(3, 4, one(bottleneck(false, 2, 2), "r"))
        .output([4]);
    vec![
        ("stem.", vec![None], stem),
        ("cell.", vec![Some(0), Some(0)], cell),
        ("last.", vec![Some(1)], last),
    ]
}

/// A convolution, ReLU6, ReLU; and a convolution, ReLU, which the output and ReLU6 read.
fn functions_in_a_row() -> Vec<Stage> {
    let one = |block: Block, name: &str| [(block, name.to_owned(), 0)];
    let stem = stages().swap_remove(0);
    let cell = CellPlanBuilder::new(true)
        .input(11)
        .node(8)
        .node(8)
        .node(8)
        .node(8)
        .node(8)
        .node(8)
        .edge(0, 1, one(conv(1, 1, false, true, false), "a"))
        .edge(1, 2, one(Block::Relu6, "b"))
        .edge(2, 3, one(Block::Relu, "c"))
        .edge(0, 4, one(conv(1, 1, false, true, false), "d"))
        .edge(4, 5, one(Block::Relu, "e"))
        .edge(5, 6, one(Block::Relu6, "f"))
        .output([3, 5, 6]);
    vec![stem, ("cell.", vec![Some(0)], cell)]
}

/// Plan, preprocessing, weights and images.
type Parts = (NetworkPlan, Preprocessing, Vec<Named>, Vec<Vec<f32>>);

/// The network of [`stages`] with weights as after training, and images of that side.
fn network(side: usize) -> Parts {
    network_of(stages(), side)
}

fn network_of(stages: Vec<Stage>, side: usize) -> Parts {
    let mut numbers = Numbers(1);
    let mut tensors = Vec::new();
    let features = stages.last().unwrap().2.output_channels();
    let stages = stages.into_iter().map(|(prefix, sources, cell)| {
        for weight in &cell.weights {
            let len = weight.shape.iter().product();
            let data = numbers.take(len).into_iter();
            let data = match weight.role {
                WeightRole::Kernel { fan_in } => data.map(|one| one * (3.0 / fan_in as f32).sqrt()).collect(),
                WeightRole::Gamma => data.map(|one| 1.0 + 0.5 * one).collect(),
                WeightRole::Bias { .. } | WeightRole::Beta => data.map(|one| 0.3 * one).collect(),
            };
            tensors.push(Named {
                name: format!("{prefix}{}", weight.name),
                shape: weight.shape.clone(),
                data,
            });
        }
        for norm in &cell.norms {
            for (part, offset, factor) in [("running_mean", 0.0, 0.2), ("running_var", 0.6, 0.3)] {
                tensors.push(Named {
                    name: format!("{prefix}{}.{part}", norm.name),
                    shape: vec![norm.channels],
                    data: numbers
                        .take(norm.channels)
                        .into_iter()
                        .map(|one| offset + factor * one)
                        .collect(),
                });
            }
        }
        StagePlan::new(prefix, sources, &cell)
    });
    let plan = NetworkPlan {
        stages: stages.collect(),
        last_relu: true,
    };
    for (part, shape) in [("weight", vec![5, features]), ("bias", vec![5])] {
        tensors.push(Named {
            name: format!("classifier.{part}"),
            data: numbers.take(shape.iter().product()),
            shape,
        });
    }
    let preprocessing = Preprocessing {
        rules: PreprocessingRules::default(),
        channels: 3,
        centre_crop: 1.0,
        image_size: side,
        mean: vec![0.5; 3],
        std: vec![0.25; 3],
        classes: ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec(),
    };
    let images = (0..24).map(|_| numbers.take(3 * side * side).into_iter().map(|one| 2.0 * one).collect());
    let images = images.collect();
    (plan, preprocessing, tensors, images)
}

fn quantised(side: usize, range: RangeSetting) -> (Int8Network, Vec<Vec<f32>>) {
    let (plan, preprocessing, tensors, images) = network(side);
    let found = quantise(&plan, &preprocessing, &tensors, &images, range, &|| false).unwrap();
    (found, images)
}

/// The root of the mean squared difference, in units of the spread of the expected values.
fn error(found: &[Vec<f32>], expected: &[Vec<f32>]) -> f64 {
    let (found, expected) = (found.concat(), expected.concat());
    let mean = expected.iter().sum::<f32>() / expected.len() as f32;
    let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|one| f64::from(one * one)).sum::<f64>();
    let difference = squares(&mut found.iter().zip(&expected).map(|(one, other)| one - other));
    (difference / squares(&mut expected.iter().map(|one| one - mean))).sqrt()
}

/// Asserts that a network computes in int8 what it computes in float32.
fn assert_close(what: &str, (plan, preprocessing, tensors, images): &Parts) {
    let deployed = Deployed {
        plan: plan.clone(),
        preprocessing: preprocessing.clone(),
        precision: Precision::Float32,
    };
    let description = serde_json::to_string(&deployed).unwrap();
    let bytes = WeightsFile::to_bytes(tensors, "da2s", description).unwrap();
    let expected = Network::from_bytes(&bytes).unwrap().logits(images);
    for range in RangeSetting::ALL {
        let network = quantise(plan, preprocessing, tensors, images, range, &|| false).unwrap();
        let found = Int8Runner::new(network).unwrap().logits(images);
        let error = error(&found, &expected);
        assert!(error < 0.1, "{what}, {range}: {error}");
    }
}

#[test]
fn an_int8_network_is_close_to_float32() {
    for side in [13, 8] {
        assert_close(&format!("{side} pixels"), &network(side));
    }
}

#[test]
fn activation_functions_in_a_row_are_close_to_float32() {
    let mut parts = network_of(functions_in_a_row(), 8);
    // Many values are above 6.
    let wide = parts.2.iter_mut().filter(|tensor| tensor.name.starts_with("cell."));
    wide.flat_map(|tensor| &mut tensor.data).for_each(|value| *value *= 8.0);
    assert_close("functions in a row", &parts);
}

#[test]
fn every_level_and_any_threads_compute_the_same_bits() {
    // Large enough that the stem of a single image is divided among threads.
    let (network, images) = quantised(121, RangeSetting::MinMax);
    let images = &images[..3];
    let expected = Int8Runner::at_level(network.clone(), Level::PORTABLE)
        .unwrap()
        .logits(images);
    for level in Level::available() {
        let runner = Int8Runner::at_level(network.clone(), level).unwrap();
        assert_eq!(runner.level(), level);
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (whole, single) = pool.install(|| {
                let single: Vec<Vec<f32>> = images.chunks(1).flat_map(|one| runner.logits(one)).collect();
                (runner.logits(images), single)
            });
            assert_eq!(whole, expected, "{}, {threads} threads", level.name());
            assert_eq!(single, expected, "{}, {threads} threads, one at a time", level.name());
        }
    }
}

#[test]
fn a_network_read_from_its_file_is_the_same() {
    let (network, images) = quantised(9, RangeSetting::Mse);
    let bytes = to_bytes(&network).unwrap();
    assert_eq!(bytes, to_bytes(&network).unwrap());
    let read = Network::from_bytes(&bytes).unwrap();
    assert_eq!(read.precision(), Precision::Int8);
    assert_eq!(read.int8(), Some(&network));
    assert_eq!(read.logits(&images), Int8Runner::new(network).unwrap().logits(&images));
    let changed = [&bytes[..bytes.len() - 1], &[bytes[bytes.len() - 1] ^ 1]].concat();
    let told = Network::from_bytes(&changed).unwrap_err().to_string();
    assert!(told.contains("checksum"), "{told}");
}

#[test]
fn a_network_without_images_or_with_nan_is_refused() {
    let (plan, preprocessing, tensors, images) = network(9);
    let refused = |tensors: &[Named], images: &[Vec<f32>], stop: bool| {
        let found = quantise(&plan, &preprocessing, tensors, images, RangeSetting::Mse, &|| stop);
        found.unwrap_err().to_string()
    };
    assert!(refused(&tensors, &[], false).contains("at least one image"));
    assert!(refused(&tensors, &images, true).contains("stopped"));
    assert!(refused(&tensors[1..], &images, false).contains("missing"));
    for at in 0..tensors.len() {
        let mut tensors = tensors.clone();
        tensors[at].data[0] = f32::NAN;
        let error = refused(&tensors, &images, false);
        assert!(error.contains("NaN"), "{}: {error}", tensors[at].name);
    }
}

/// The description and the tensors of an int8 file.
fn parts() -> (String, Vec<StoredTensor>) {
    let (network, _) = quantised(9, RangeSetting::MinMax);
    let whole = to_bytes(&network).unwrap();
    let file = SafeTensors::deserialize(&whole).unwrap();
    let (_, header) = SafeTensors::read_metadata(&whole).unwrap();
    let description = header.metadata().as_ref().unwrap()["da2s"].clone();
    let stored = file.tensors().into_iter().map(|(name, view)| StoredTensor {
        name,
        kind: view.dtype(),
        shape: view.shape().to_vec(),
        bytes: view.data().to_vec(),
    });
    (description, stored.collect())
}

#[test]
fn no_number_in_a_plan_causes_a_panic() {
    let (description, tensors) = parts();
    let is_number = |&(at, c): &(usize, char)| {
        let before = description[..at].chars().next_back();
        c.is_ascii_digit() && !before.is_some_and(|c| c.is_alphanumeric() || "._".contains(c))
    };
    let mut computed = 0;
    for (start, _) in description.char_indices().filter(is_number) {
        let end = start + description[start..].find(|c: char| !c.is_ascii_digit()).unwrap();
        for number in ["0", "1", "2", "3", "12", "70000", "18446744073709551615"] {
            let changed = format!("{}{number}{}", &description[..start], &description[end..]);
            let bytes = signed_file(&tensors, "da2s", &changed).unwrap();
            let Ok(network) = Network::from_bytes(&bytes) else {
                continue;
            };
            let values = network.preprocessing().len();
            if values <= 64 * 64 {
                let logits = network.logits(&[vec![0.5; values]]);
                assert_eq!(logits[0].len(), network.preprocessing().classes.len());
                computed += 1;
            }
        }
    }
    assert!(computed >= 20, "{computed} networks computed something");
}

#[test]
fn a_long_prefix_is_refused_before_names_are_built_from_it() {
    let (description, tensors) = parts();
    let long = format!("\"prefix\":\"{}", "x".repeat(257));
    let changed = description.replacen("\"prefix\":\"", &long, 1);
    assert_ne!(changed, description);
    let bytes = signed_file(&tensors, "da2s", &changed).unwrap();
    let error = Network::from_bytes(&bytes).unwrap_err().to_string();
    assert!(error.contains("more than 256"), "{error}");
}

#[test]
fn a_damaged_file_is_a_typed_error() {
    let (description, whole) = parts();
    let told = |change: &dyn Fn(&mut Vec<StoredTensor>)| {
        let mut tensors = whole.clone();
        change(&mut tensors);
        // The description still has the old checksum, but only its first field is checked.
        let bytes = signed_file(&tensors, "da2s", &description).unwrap();
        Network::from_bytes(&bytes).unwrap_err().to_string()
    };
    let set = |name: &'static str, change: fn(&mut StoredTensor)| {
        told(&|tensors| change(tensors.iter_mut().find(|tensor| tensor.name == name).unwrap()))
    };
    for (told, says) in [
        (
            set("activations.scale", |one| {
                one.bytes[..4].copy_from_slice(&0f32.to_le_bytes())
            }),
            "a scale out of range",
        ),
        (
            set("activations.scale", |one| {
                one.bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes())
            }),
            "NaN",
        ),
        (
            set("activations.scale", |one| {
                one.bytes[4..8].copy_from_slice(&1e-44f32.to_le_bytes())
            }),
            "out of range",
        ),
        (set("activations.zero_point", |one| one.kind = Dtype::I8), "is I8"),
        (
            set("activations.zero_point", |one| one.name = "other".to_owned()),
            "is missing",
        ),
        (
            set("stem.stem.0.bias", |one| one.kind = Dtype::F32),
            "expected I32 [11]",
        ),
        (
            set("stem.stem.0.weight", |one| one.shape = vec![11, 27]),
            "expected I8 [11, 3, 3, 3]",
        ),
        (set("classifier.scale", |one| one.bytes[3] = 0x80), "out of range"),
    ] {
        assert!(told.contains(says), "{told} instead of {says}");
    }
}
