//! The fused classifier against the plain one: logits and both gradients, if they are requested.

#![allow(clippy::unwrap_used)]

mod agreement;

use agreement::{close, tensor, values};
use burn::tensor::{Device, Tensor};
use da2s_engine::{Block, Call, Cell, CellPlanBuilder, Classifier, Engine};
use proptest::prelude::*;

/// Logits, the gradient of the images and that of the weights.
fn run(classifier: &Classifier, shape: [usize; 4], count: usize, wants: [bool; 2]) -> Vec<Option<Vec<f32>>> {
    let images = tensor(1, shape).autodiff().set_require_grad(wants[0]);
    let weights = tensor(2, [count]).autodiff().set_require_grad(wants[1]);

    let logits = classifier.forward(images.clone(), weights.clone());
    let factors = tensor::<2>(3, logits.dims()).autodiff();
    let mut gradients = (logits.clone() * factors).sum().backward();
    let [d_images, d_weights] = [
        images.grad_remove(&mut gradients).map(values),
        weights.grad_remove(&mut gradients).map(values),
    ];
    vec![Some(values(logits.without_autodiff())), d_images, d_weights]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_engines_agree(
        features in prop_oneof![Just(1usize), Just(3), Just(16), Just(17), Just(64), Just(100)],
        classes in prop_oneof![Just(1usize), Just(2), Just(10), Just(37)],
        height in 1usize..6,
        width in 1usize..6,
        batch in 1usize..20,
        relu in any::<bool>(),
        wants in prop_oneof![Just([true, true]), Just([true, false]), Just([false, true])],
    ) {
        let on = |engine: &Engine| {
            let classifier = Classifier::new(features, classes, engine);
            let classifier = if relu { classifier.with_relu() } else { classifier };
            run(&classifier, [batch, features, height, width], classes * (features + 1), wants)
        };
        let plain = on(&Engine::Plain);
        for level in Engine::levels() {
            for (plain, fused) in plain.iter().zip(on(&Engine::fused_at(level).unwrap())) {
                prop_assert_eq!(plain.is_some(), fused.is_some());
                if let (Some(plain), Some(fused)) = (plain, fused) {
                    close("classifier", &fused, plain, 1e-5);
                }
            }
        }
    }
}

/// An image with two readers receives the gradients of both, whichever comes first.
#[test]
fn an_image_may_have_other_readers() {
    let gradient = |engine: &Engine| {
        let plan = || {
            CellPlanBuilder::new(false)
                .input(4)
                .node(4)
                .edge(0, 1, [(Block::Identity, "identity".to_owned(), 0)])
                .output([1])
        };
        let call = |image: Tensor<4>| Call {
            inputs: vec![image],
            weights: Tensor::zeros([0], &Device::flex()),
            mixture: None,
            active: None,
            drop_path: None,
            statistics: None,
        };
        let (first, second) = (Cell::new(plan(), engine), Cell::new(plan(), engine));
        let image = tensor(1, [2, 4, 3, 3]).autodiff().require_grad();
        let shared = first.forward(call(image.clone())).output;
        let classifier = Classifier::new(4, 3, engine);
        let logits = classifier.forward(shared.clone(), tensor(2, [15]).autodiff());
        let again = classifier.forward(second.forward(call(shared)).output, tensor(3, [15]).autodiff());
        let mut gradients = (logits + again * 2.0).sum().backward();
        values(image.grad_remove(&mut gradients).unwrap())
    };
    close("image", &gradient(&Engine::fused()), &gradient(&Engine::Plain), 1e-5);
}
