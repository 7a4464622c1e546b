//! Networks of the space `mobile`: the super-network with its gates, gradients of α, β and all
//! weights; a final network with removed layers.

use da2s::arch::{KindParams, Mixtures};
use da2s::backbone::{NetworkSize, Pass, Stem};
use da2s::network::network;
use da2s::objective::cross_entropy;
use da2s::search::{Choices, Method, Moment, SearchSettings, When};
use da2s::space::{
    All, ChainShape, EdgeCount, Genotype, Operation, PerKind, Reductions, Space, StageShape, TargetSpec,
};
use da2s::supernet::supernet;
use da2s_engine::Engine;

use super::file::{Golden, close, load, values};
use super::supernet::engines;

fn numbers(golden: &Golden, key: &str) -> Vec<usize> {
    let all = golden.text(key).split(',');
    all.map(|number| number.parse().unwrap()).collect()
}

fn size(golden: &Golden, classes: usize) -> NetworkSize {
    let stages = numbers(golden, "stages");
    let stem = golden.number("stem");
    let images = &golden.get("input").shape;
    NetworkSize {
        stem: Stem::Cifar,
        channels: stem,
        cells: 1,
        reductions: Reductions::At(Vec::new()),
        image_channels: images[1],
        image_size: images[2],
        classes,
        auxiliary: false,
        chain: ChainShape {
            stem_channels: stem,
            stem_stride: golden.number("stem_stride"),
            stages: stages
                .chunks(3)
                .map(|row| StageShape::from([row[0], row[1], row[2]]))
                .collect(),
            head_channels: golden.number("head"),
            activation: golden.activation(),
            ..ChainShape::default()
        },
    }
}

fn check_supernet(golden: &Golden, engine: &Engine) {
    let size = size(golden, golden.get("forward.logits").shape[1]);
    let names = golden.text("operations").split(',');
    let operations = names.map(|name| Operation::from_name(name).unwrap()).collect();
    let space = Space::mobile(size.chain.stages.iter().map(|stage| stage.layers), operations);
    let spec = TargetSpec {
        edges: EdgeCount::All(All::All),
        depth: Some(EdgeCount::PerNode(numbers(golden, "depth"))),
        ..TargetSpec::default()
    };
    let target = spec.resolve(&space).unwrap();
    let backbone = supernet(&space, size, 1, engine);
    let init = golden.under("init.");
    let weights = load(&backbone, &init);

    let leaves = weights.on_graph(true);
    let alpha = golden.tensor::<2>("arch.alpha").autodiff().require_grad();
    let beta = golden.tensor::<1>("arch.beta").autodiff().require_grad();
    let settings = SearchSettings {
        method: Method::Da2s,
        ..SearchSettings::default()
    };
    let moment = Moment::of_epoch(2, 2, 1);
    let method = settings.method.build(&settings);
    let params = KindParams::new(alpha.clone(), beta.clone());
    let choices = Choices {
        space: &space,
        target: &target.normal,
    };
    let mixture = method
        .strengths(&params, choices, When::Reading(moment))
        .mixture(&space, &target.normal);
    close("gates", &values(mixture.edges.clone()), &golden.get("gates").data, 1e-5);
    let mixtures: Mixtures = PerKind {
        normal: mixture,
        reduction: None,
    };
    let pass = Pass {
        mixtures: Some(&mixtures),
        ..Pass::new(&leaves)
    };
    let forward = backbone.forward(golden.tensor::<4>("input").autodiff(), pass);
    let expected = |name: &str| &golden.get(name).data;
    close(
        "logits",
        &values(forward.logits.clone()),
        expected("forward.logits"),
        1e-4,
    );
    let loss = cross_entropy(forward.logits, golden.labels("target"), 0.0);
    close("loss", &values(loss.clone()), expected("forward.cross_entropy"), 1e-4);
    let mut gradients = loss.backward();
    let of_alpha = alpha.grad_remove(&mut gradients).unwrap();
    close("gradient of α", &values(of_alpha), expected("grad.alpha"), 1e-3);
    let of_beta = beta.grad_remove(&mut gradients).unwrap();
    close("gradient of β", &values(of_beta), expected("grad.beta"), 1e-3);
    super::network::check_gradients(golden, &backbone, &leaves, gradients, 2);
}

#[test]
fn the_mobile_super_network_is_that_of_pytorch() {
    for name in ["mobile-supernet", "mobile-supernet-se"] {
        let golden = Golden::read(&format!("{name}.safetensors"));
        engines().iter().for_each(|engine| check_supernet(&golden, engine));
    }
}

#[test]
fn the_mobile_network_is_that_of_pytorch() {
    let others = ["relu6", "hard_swish", "se"].map(|other| format!("mobile-network-{other}"));
    for name in ["mobile-network".to_owned()].into_iter().chain(others) {
        let golden = Golden::read(&format!("{name}.safetensors"));
        let genotype = Genotype::parse(golden.text("genotype")).unwrap();
        for engine in engines() {
            let size = size(&golden, golden.get("train.logits").shape[1]);
            super::network::check(&golden, &network(&genotype, size, &engine).unwrap());
        }
    }
}
