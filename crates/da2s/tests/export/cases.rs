//! Networks of every space and stem with random weights and statistics, and one trained network,
//! each with its logits on 256 images.

use burn::tensor::{Device, Tensor, TensorData};
use da2s::backbone::{Backbone, NetworkSize, Pass, Statistics, Stem, Weights};
use da2s::data::{
    DataOptions, Dataset, Format, Loader, Part, Preprocessing, Stream, TrainingOrder, open, preprocessing,
};
use da2s::device::host;
use da2s::evaluate::DeviceBatch;
use da2s::network::{Cost, Trained, cost, network};
use da2s::observer::Silent;
use da2s::parallel::Group;
use da2s::probe::Probe;
use da2s::random::{Purpose, generator};
use da2s::resumable::{Resumable, StageError};
use da2s::retrain::{Retraining, TrainSettings};
use da2s::space::{ChainShape, Genotype, Reductions, SpaceName, StageShape};
use da2s_engine::{ActivationFunction, Engine};
use da2s_records::Named;
use rand::Rng;

/// Number of images of the embedded digits.
const IMAGES: usize = 256;

/// A network and its expected outputs.
pub struct Case {
    pub name: &'static str,
    pub trained: Trained,
    /// `images`, `logits`, `labels`.
    pub expected: Vec<Named>,
    /// In percent.
    pub accuracy: f64,
    /// The cost of the network.
    pub cost: Cost,
}

struct Size {
    stem: Stem,
    channels: usize,
    cells: usize,
    image_size: usize,
    activation: ActivationFunction,
}

const DARTS_V2: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
    ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=range(2, 6), \
    reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), \
    ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))";

/// A different number of edges at every node, two operations per edge, every operation, and only
/// some nodes as output.
const IMBALANCED: &str = "Genotype(normal=[('dil_conv_5x5', 0), ('avg_pool_3x3', 0), ('sep_conv_5x5', 1), ('skip_connect', 2), \
    ('max_pool_3x3', 0), ('dil_conv_3x3', 1)], normal_concat=[3, 4], normal_nodes=[2, 1, 3], \
    reduce=[('skip_connect', 0), ('avg_pool_3x3', 1), ('sep_conv_5x5', 0), ('dil_conv_5x5', 2)], reduce_concat=[2, 3], \
    reduce_nodes=[1, 3])";

/// Two stages, removed layers, two operations in a layer, and layers with a residual.
const CHAIN: &str =
    "Genotype(stages=[['mbconv_k3_e3', None, ('mbconv_k5_e6', 'mbconv_k7_e1')], ['mbconv_k7_e1', 'mbconv_k3_e6']])";
const WITH_SKIP: &str =
    "Genotype(stages=[['mbconv_k3_e3', 'skip', ('skip', 'mbconv_k7_e1')], ['mbconv_k7_e1', 'mbconv_k3_e6']])";
const WITH_SQUEEZE: &str = "Genotype(stages=[['mbconv_k3_e3_se', None, ('mbconv_k5_e6', 'mbconv_k7_e1_se')], \
    ['mbconv_k7_e1_se', 'mbconv_k3_e6_se']])";
/// The case without an int8 form.
pub const SQUEEZED: &str = "mobile, squeeze-and-excitation";
/// The cases in which a node has no inputs.
pub const WITHOUT_INPUTS: [&str; 2] = [
    "nas-bench-201, nothing arrives",
    "nas-bench-201, convolutions of nothing",
];
const WITH_RESIDUAL_BLOCKS: &str = "Genotype(stages=[['resblock_k3', 'mbconv_k5_e3', 'resblock_k3'], ['mbconv_k3_e6', 'resblock_k3'], ['resblock_k3']])";
const PLAIN: &str = "Genotype(stages=[['basic_block', 'basic_block'], ['basic_block', 'ds_conv_3x3']])";

/// All cases.
pub fn all() -> Vec<Case> {
    let size = |stem, channels, cells, image_size| Size {
        stem,
        channels,
        cells,
        image_size,
        activation: ActivationFunction::Relu,
    };
    let with = |activation| Size {
        activation,
        ..size(Stem::Cifar, 8, 1, 15)
    };
    let (cifar, imagenet) = (Stem::Cifar, Stem::Imagenet);
    vec![
        case("darts", DARTS_V2, size(cifar, 8, 5, 16)),
        case("imbalanced, odd sides", IMBALANCED, size(cifar, 6, 4, 15)),
        case("imagenet stems", DARTS_V2, size(imagenet, 8, 4, 64)),
        case("imagenet stems, odd sides", IMBALANCED, size(imagenet, 6, 3, 39)),
        case("imagenet stems, sides of one", IMBALANCED, size(imagenet, 6, 3, 8)),
        case(
            "nas-bench-201",
            "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|",
            size(cifar, 8, 2, 16),
        ),
        case(
            WITHOUT_INPUTS[0],
            "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|avg_pool_3x3~2|",
            size(cifar, 4, 1, 12),
        ),
        case(
            WITHOUT_INPUTS[1],
            "|none~0|+|none~0|nor_conv_3x3~1|+|nor_conv_3x3~0|none~1|skip_connect~2|",
            size(cifar, 4, 1, 12),
        ),
        case("mobile, odd sides", CHAIN, size(cifar, 8, 1, 15)),
        case("mobile, ReLU6 and skip", WITH_SKIP, with(ActivationFunction::Relu6)),
        case("mobile, hard-swish", CHAIN, with(ActivationFunction::HardSwish)),
        case(SQUEEZED, WITH_SQUEEZE, with(ActivationFunction::Relu)),
        case("mobile, residual blocks", WITH_RESIDUAL_BLOCKS, size(cifar, 8, 1, 15)),
        case("plain, odd sides", PLAIN, size(cifar, 8, 1, 15)),
        case("trained", DARTS_V2, size(cifar, 4, 3, 8)),
    ]
}

/// A network with random weights for images with `preprocessing`; `values` are its inputs.
pub fn of_images(preprocessing: Preprocessing, values: &[f32]) -> Trained {
    let device = Device::flex();
    let genotype = Genotype::parse(DARTS_V2).unwrap();
    let Preprocessing {
        channels, image_size, ..
    } = preprocessing;
    let size = NetworkSize {
        stem: Stem::Cifar,
        channels: 8,
        cells: 3,
        reductions: Reductions::THIRDS,
        image_channels: channels,
        image_size,
        classes: preprocessing.classes.len(),
        auxiliary: false,
        chain: ChainShape::default(),
    };
    let backbone = network(&genotype, size.clone(), &Engine::fused()).unwrap();
    let shape = [values.len() / preprocessing.len(), channels, image_size, image_size];
    let images = Tensor::from_data(TensorData::new(values.to_vec(), shape), &device);
    let tensors = random(&backbone, 1.0, images, &device);
    Trained::new(genotype, size, preprocessing, &tensors, (&Engine::Plain, &device)).unwrap()
}

/// Weights and statistics after a short training.
fn trained(backbone: &Backbone, dataset: &Dataset, device: &Device) -> Vec<Named> {
    let settings = TrainSettings {
        epochs: 3,
        batch_size: 16,
        ..TrainSettings::default()
    };
    let order = TrainingOrder {
        seed: 1,
        stream: Stream::Network,
        augmentation: settings.augmentation.clone(),
    };
    let images = (0..dataset.train.len()).collect();
    let training = Retraining {
        network: backbone,
        settings: &settings,
        class_weights: None,
        seed: 1,
        initial: None,
        group: Group::alone(),
        loader: Loader::training(dataset, images, settings.batch_size, order).unwrap(),
        validation: None,
        device,
        probe: Probe::default(),
    };
    let mut state = training.start();
    training
        .run::<StageError>(&mut state, &mut Silent, &mut |_, _| Ok(()))
        .unwrap();
    backbone.named(&state.weights, &state.statistics)
}

/// Scales of batch norms with which values reach all pieces of an activation function.
fn scale_of(activation: ActivationFunction) -> f32 {
    match activation {
        ActivationFunction::Relu => 1.0,
        ActivationFunction::Relu6 => 4.0,
        ActivationFunction::HardSwish => 3.0,
    }
}

/// Random weights, with shifts as after training and scales about `scale`, and statistics close to
/// those of `images`.
fn random(backbone: &Backbone, scale: f32, images: Tensor<4>, device: &Device) -> Vec<Named> {
    // Batch norms get scales other than 1 and shifts other than 0.
    let mut random = generator(1, Purpose::Weights, 0, 0);
    let mut tensors = Weights::new(backbone, 1, Purpose::Weights, device).named(backbone);
    for tensor in tensors.iter_mut().filter(|tensor| tensor.shape.len() == 1) {
        let scales = tensor.name.ends_with(".weight");
        let (centre, factor) = if scales { (1.0, scale) } else { (0.0, 1.0) };
        tensor
            .data
            .iter_mut()
            .for_each(|value| *value = factor * (centre + random.random_range(-0.3f32..0.3)));
    }
    let weights = Weights::from_named(backbone, &tensors, device).unwrap();
    let seen = backbone.forward(
        images,
        Pass {
            weights: &weights,
            mixtures: None,
            shifts: None,
            statistics: None,
            drop_path: None,
            auxiliary: false,
        },
    );
    let mut statistics = Statistics::new(backbone, device);
    statistics.blend(&seen.statistics.unwrap(), 0.9);
    tensors.extend(statistics.named(backbone));
    tensors
}

fn case(name: &'static str, genotype: &str, size: Size) -> Case {
    let device = Device::flex();
    let options = DataOptions {
        image_size: Some(size.image_size),
        ..DataOptions::default()
    };
    let dataset = open(Format::Digits, None, &options).unwrap();
    let loader = Loader::evaluation(&dataset, Part::Test, (0..IMAGES).collect(), IMAGES).unwrap();
    let batch = loader.batch(0, 0).unwrap();
    let images = DeviceBatch::new(batch.clone(), &device).images;

    let genotype = Genotype::parse(genotype).unwrap();
    let sizes = NetworkSize {
        stem: size.stem,
        channels: size.channels,
        cells: size.cells,
        reductions: Reductions::THIRDS,
        image_channels: 1,
        image_size: size.image_size,
        classes: dataset.classes(),
        auxiliary: false,
        chain: match genotype.space() {
            SpaceName::Plain => ChainShape {
                stem_channels: 8,
                stem_stride: 2,
                stages: [[8, 2, 1], [24, 2, 2]].map(StageShape::from).to_vec(),
                head_channels: 0,
                plain: true,
                ..ChainShape::default()
            },
            SpaceName::Mobile => ChainShape {
                stem_channels: 8,
                stem_stride: 2,
                stages: [[8, 3, 1], [24, 2, 2]].map(StageShape::from).to_vec(),
                head_channels: 32,
                activation: size.activation,
                ..ChainShape::default()
            },
            SpaceName::Darts | SpaceName::NasBench201 => ChainShape::default(),
        },
    };
    let backbone = network(&genotype, sizes.clone(), &Engine::fused()).unwrap();
    let tensors = match name {
        "trained" => trained(&backbone, &dataset, &device),
        _ => random(&backbone, scale_of(size.activation), images, &device),
    };
    let of = |sizes: NetworkSize| {
        let preprocessing = preprocessing(&dataset, 1.0);
        let built = Trained::new(
            genotype.clone(),
            sizes,
            preprocessing,
            &tensors,
            (&Engine::Plain, &device),
        );
        let built = built.unwrap();
        let logits = host(&built.logits(batch.planar().flatten().collect(), IMAGES, &device));
        (built, logits)
    };
    let classes = dataset.classes();
    let best = |row: &[f32]| (0..classes).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    let mut with_relu = sizes.clone();
    with_relu.chain.activation = ActivationFunction::Relu;
    let (trained, logits) = of(sizes);
    if size.activation != ActivationFunction::Relu {
        // A tool that computes ReLU instead must fail every comparison. In int8, the classes of
        // 20 % of the images may differ, so here more of them must.
        let (_, other) = of(with_relu);
        let rows = logits.chunks(classes).zip(other.chunks(classes));
        let same = rows.filter(|(row, other)| best(row) == best(other)).count();
        assert!(same < 4 * IMAGES / 5, "{name}: ReLU gives {same} images the same class");
    }
    let right = logits
        .chunks(classes)
        .zip(&batch.labels)
        .filter(|(row, label)| best(row) == **label as usize);
    let accuracy = 100.0 * right.count() as f64 / IMAGES as f64;
    assert!(name != "trained" || accuracy > 80.0, "{accuracy}");
    let named = |name: &str, shape: &[usize], data: Vec<f32>| Named {
        name: name.to_owned(),
        shape: shape.to_vec(),
        data,
    };
    let labels = batch.labels.iter().map(|&label| label as f32).collect();
    let expected = vec![
        named("images", &batch.shape, batch.planar().flatten().collect()),
        named("logits", &[IMAGES, classes], logits),
        named("labels", &[IMAGES], labels),
    ];
    Case {
        name,
        trained,
        expected,
        accuracy,
        cost: cost(&backbone, size.image_size),
    }
}
