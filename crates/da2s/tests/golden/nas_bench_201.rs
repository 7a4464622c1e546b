//! NAS-Bench-201: logits, loss and every gradient of the super-network; logits in both modes, loss,
//! gradients and running statistics of a final network.

use da2s::arch::{Mixtures, Strengths};
use da2s::backbone::{NetworkSize, Pass, Stem};
use da2s::discretize::{KindStrengths, strongest};
use da2s::network::network;
use da2s::objective::cross_entropy;
use da2s::space::{ChainShape, Genotype, KindTarget, PerKind, Reductions, Space, TargetSpec};
use da2s::supernet::supernet;
use da2s_engine::Engine;

use super::file::{Golden, close, load, values};
use super::supernet::engines;

fn check_supernet(golden: &Golden, engine: &Engine) {
    let space = Space::nas_bench_201();
    let images = &golden.get("input").shape;
    let size = NetworkSize {
        stem: Stem::Cifar,
        channels: golden.number("channels"),
        cells: golden.number("cells_per_stage"),
        reductions: Reductions::THIRDS,
        image_channels: images[1],
        image_size: images[2],
        classes: golden.get("forward.logits").shape[1],
        auxiliary: false,
        chain: ChainShape::default(),
    };
    let backbone = supernet(&space, size, 1, engine);
    let mut init = golden.under("init.");
    init.retain(|tensor| tensor.name != "arch_parameters");
    let weights = load(&backbone, &init);

    let leaves = weights.on_graph(true);
    let alpha = golden.tensor::<2>("init.arch_parameters").autodiff().require_grad();
    let p = burn::tensor::activation::softmax(alpha.clone(), 1);
    let q = Strengths::uniform_edges(&space, &p.device());
    let mixture = Strengths::new(p.clone(), q.clone()).mixture(&space, &KindTarget::whole(space.graph, 1));
    let mixtures: Mixtures = PerKind {
        normal: mixture,
        reduction: None,
    };
    let pass = Pass {
        weights: &leaves,
        mixtures: Some(&mixtures),
        shifts: None,
        statistics: None,
        drop_path: None,
        auxiliary: false,
    };
    let forward = backbone.forward(golden.tensor::<4>("input").autodiff(), pass);
    close(
        "logits",
        &values(forward.logits.clone()),
        &golden.get("forward.logits").data,
        1e-4,
    );
    let loss = cross_entropy(forward.logits, golden.labels("target"), 0.0);
    close(
        "loss",
        &values(loss.clone()),
        &golden.get("forward.cross_entropy").data,
        1e-4,
    );
    let mut gradients = loss.backward();
    let of_alpha = alpha.grad_remove(&mut gradients).unwrap();
    close(
        "gradient of α",
        &values(of_alpha),
        &golden.get("grad.arch_parameters").data,
        1e-3,
    );
    super::network::check_gradients(golden, &backbone, &leaves, gradients, 1);

    // The architecture that the public code derives from these parameters.
    let target = toml::from_str::<TargetSpec>("edges = \"all\"")
        .unwrap()
        .resolve(&space)
        .unwrap();
    let p: Vec<Vec<f32>> = values(p).chunks(space.operations.len()).map(<[f32]>::to_vec).collect();
    let strengths = KindStrengths {
        operation_rank: p.clone(),
        p,
        q: values(q),
        edge_rank: vec![0.0; space.graph.edge_count()],
    };
    let genotype = strongest(&PerKind::new(space.kinds(), |_| strengths.clone()), &space, &target);
    assert_eq!(genotype.to_string(), golden.text("genotype"));
}

fn check_network(golden: &Golden, engine: &Engine) {
    let input = &golden.get("input").shape;
    let size = NetworkSize {
        stem: Stem::Cifar,
        channels: golden.number("channels"),
        cells: golden.number("cells_per_stage"),
        reductions: Reductions::THIRDS,
        image_channels: input[1],
        image_size: input[2],
        classes: golden.get("train.logits").shape[1],
        auxiliary: false,
        chain: ChainShape::default(),
    };
    let genotype = Genotype::parse(golden.text("genotype")).unwrap();
    super::network::check(golden, &network(&genotype, size, engine).unwrap());
}

#[test]
fn the_nas_bench_201_super_network_is_that_of_the_public_code() {
    let golden = Golden::read("nb201-supernet.safetensors");
    engines().iter().for_each(|engine| check_supernet(&golden, engine));
}

#[test]
fn the_nas_bench_201_network_is_that_of_the_public_code() {
    let golden = Golden::read("nb201-network.safetensors");
    engines().iter().for_each(|engine| check_network(&golden, engine));
}
