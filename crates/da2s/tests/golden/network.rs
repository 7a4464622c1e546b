//! Final networks of DARTS_V2: logits in training and evaluation mode, loss, gradients, running
//! statistics.

use burn::tensor::{Gradients, Tensor};
use da2s::backbone::{Backbone, NetworkSize, Pass, Statistics, Stem, Weights};
use da2s::network::network;
use da2s::objective::cross_entropy;
use da2s::space::{ChainShape, Genotype, Reductions};
use da2s_records::Named;

use super::file::{Golden, close, close_or_nothing, device, load, values};
use super::supernet::engines;

const DARTS_V2: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), \
    ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], \
    normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), \
    ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], \
    reduce_concat=range(2, 6))";

fn build(golden: &Golden, stem: Stem, engine: &da2s_engine::Engine) -> Backbone {
    let input = &golden.get("input").shape;
    let size = NetworkSize {
        stem,
        channels: golden.number("channels"),
        cells: golden.number("layers"),
        reductions: Reductions::THIRDS,
        image_channels: input[1],
        image_size: input[2],
        classes: golden.get("train.logits").shape[1],
        auxiliary: golden.has("train.aux_logits"),
        chain: ChainShape::default(),
    };
    network(&Genotype::parse(DARTS_V2).unwrap(), size, engine).unwrap()
}

/// Compares a final network with all its values in `golden`.
pub fn check(golden: &Golden, backbone: &Backbone) {
    let device = device();
    let init = golden.under("init.");
    let weights = load(backbone, &init);

    let leaves = weights.on_graph(true);
    let auxiliary = backbone.auxiliary().is_some();
    let pass = Pass {
        weights: &leaves,
        mixtures: None,
        shifts: None,
        statistics: None,
        drop_path: None,
        auxiliary,
    };
    let images = golden.tensor::<4>("input");
    let forward = backbone.forward(images.clone().autodiff(), pass);
    close(
        "training logits",
        &values(forward.logits.clone()),
        &golden.get("train.logits").data,
        1e-4,
    );
    if auxiliary {
        let logits = forward.auxiliary.clone().unwrap();
        close(
            "auxiliary logits",
            &values(logits),
            &golden.get("train.aux_logits").data,
            1e-4,
        );
    }

    // The running statistics after one training step, then evaluation mode.
    let mut statistics = Statistics::new(backbone, &device);
    statistics.update(&forward.statistics.unwrap());
    let mut buffers = golden.under("buffers.");
    buffers.retain(|buffer| !buffer.name.ends_with("num_batches_tracked"));
    let ours = statistics.named(backbone);
    for golden in buffers {
        let ours = ours.iter().find(|ours| ours.name == golden.name);
        let ours = ours.unwrap_or_else(|| panic!("we have no {}", golden.name));
        close_or_nothing(&golden.name, &ours.data, &golden.data, 1e-4);
    }
    let pass = Pass {
        weights: &weights,
        mixtures: None,
        shifts: None,
        statistics: Some(&statistics),
        drop_path: None,
        auxiliary: false,
    };
    let logits = backbone.forward(images, pass).logits;
    close(
        "evaluation logits",
        &values(logits),
        &golden.get("eval.logits").data,
        1e-4,
    );

    if !golden.has("target") {
        return;
    }
    let mut loss: Tensor<1> = cross_entropy(forward.logits, golden.labels("target"), 0.0);
    if let Some(logits) = forward.auxiliary {
        loss = loss + cross_entropy(logits, golden.labels("target"), 0.0) * 0.4;
    }
    close("loss", &values(loss.clone()), &golden.get("train.loss").data, 1e-4);
    check_gradients(golden, backbone, &leaves, loss.backward(), 0);
}

/// Compares the gradients of all weights. `others` is the number of golden gradients that are not
/// those of weights.
pub fn check_gradients(golden: &Golden, backbone: &Backbone, leaves: &Weights, gradients: Gradients, others: usize) {
    let parts = leaves.gradients(gradients).into_iter().map(Option::unwrap).collect();
    let mut compared = others;
    for Named { name, data, .. } in Weights::from_parts(parts).named(backbone) {
        let golden_name = format!("grad.{name}");
        if golden.has(&golden_name) {
            let data = golden.as_stored(&name, data);
            close_or_nothing(&golden_name, &data, &golden.get(&golden_name).data, 1e-3);
            compared += 1;
        }
    }
    assert_eq!(
        compared,
        golden.under("grad.").len(),
        "every golden gradient was compared"
    );
}

#[test]
fn network_cifar() {
    let golden = Golden::read("network-cifar.safetensors");
    for engine in engines() {
        check(&golden, &build(&golden, Stem::Cifar, &engine));
    }
}

#[test]
fn network_imagenet() {
    let golden = Golden::read("network-imagenet.safetensors");
    for engine in engines() {
        check(&golden, &build(&golden, Stem::Imagenet, &engine));
    }
}
