//! The super-network of the DARTS space: logits, losses, every gradient, a trajectory of
//! alternating steps, and the state at its end.

use burn::tensor::{Device, Tensor, TensorData};
use da2s::arch::{ArchParams, KindParams};
use da2s::backbone::{Backbone, NetworkSize, Pass, Statistics, Stem, Weights};
use da2s::evaluate::DeviceBatch;
use da2s::objective::{Regulariser, cross_entropy};
use da2s::search::{Bilevel, Draw, Moment, Rate, Rates, SearchSettings, SearchState, Trains, When};
use da2s::space::{CellKind, ChainShape, PerKind, Reductions, Space, Target, TargetSpec};
use da2s::supernet::supernet;
use da2s_engine::Engine;
use da2s_records::Named;

use super::file::{Golden, close, device, fast_engine, values};

/// The engines that must reproduce the golden values.
pub fn engines() -> Vec<Engine> {
    // On a GPU the plain path multiplies with less precision (TF32) than these tolerances require.
    let on_cpu = device() == Device::flex();
    on_cpu
        .then_some(Engine::Plain)
        .into_iter()
        .chain([fast_engine()])
        .collect()
}

struct Case {
    golden: Golden,
    space: Space,
    target: Target,
    backbone: Backbone,
    settings: SearchSettings,
    moment: Moment,
    device: Device,
}

impl Case {
    fn read(engine: &Engine) -> Self {
        let golden = Golden::read("supernet.safetensors");
        let space = Space::darts(false);
        let target = TargetSpec::default().resolve(&space).unwrap();
        let images = &golden.get("input.arch_batch").shape;
        let size = NetworkSize {
            stem: Stem::Cifar,
            channels: golden.number("channels"),
            cells: golden.number("layers"),
            reductions: Reductions::THIRDS,
            image_channels: images[1],
            image_size: images[2],
            classes: golden.get("forward.logits").shape[1],
            auxiliary: false,
            chain: ChainShape::default(),
        };
        let rate = Rate::Fixed(golden.number("arch_lr"));
        let betas: (f64, f64) = (0.5, 0.999);
        let settings = SearchSettings {
            learning_rate: golden.number("lr"),
            momentum: golden.number("momentum"),
            weight_decay: golden.number("weight_decay"),
            gradient_clip: golden.number("grad_clip"),
            alpha_rate: rate,
            beta_rate: rate,
            arch_beta_1: betas.0,
            arch_beta_2: betas.1,
            arch_weight_decay: golden.number("arch_weight_decay"),
            regulariser: Regulariser {
                lambda: golden.number("weight"),
                ..Regulariser::default()
            },
            ..SearchSettings::default()
        };
        let moment = Moment::of_epoch(golden.number("epoch"), 50, 8);
        let backbone = supernet(&space, size, 1, engine);
        Self {
            golden,
            space,
            target,
            backbone,
            settings,
            moment,
            device: device(),
        }
    }

    fn arch(&self, prefix: &str) -> ArchParams {
        let kind = |name: &str| {
            let alpha = self.golden.tensor::<2>(&format!("{prefix}.alpha_{name}"));
            let nodes = (0..3).map(|node| self.golden.tensor::<1>(&format!("{prefix}.beta_{name}.{node}")));
            let beta = std::iter::once(Tensor::zeros([2], &self.device)).chain(nodes).collect();
            KindParams::new(alpha, Tensor::cat(beta, 0))
        };
        ArchParams::from_kinds(PerKind {
            normal: kind("normal"),
            reduction: Some(kind("reduce")),
        })
    }

    fn state(&self) -> SearchState {
        let mut state = SearchState::new(
            &self.backbone,
            &self.space,
            &self.target,
            self.settings.driven().method(),
            &self.settings,
            1,
            &self.device,
        );
        let init = self.golden.under("init.");
        state.weights = Weights::from_named(&self.backbone, &init, &self.device).unwrap();
        // α and β of both kinds are the only golden tensors that are not weights: 2 + 2·3.
        assert_eq!(
            state.weights.named(&self.backbone).len() + 8,
            init.len(),
            "every golden weight is a weight of the network"
        );
        state.arch = self.arch("init");
        state
    }

    fn batch(&self, name: &str) -> DeviceBatch {
        let input = self.golden.get(&format!("input.{name}"));
        let labels: Vec<u32> = self
            .golden
            .get(&format!("target.{name}"))
            .data
            .iter()
            .map(|&label| label as u32)
            .collect();
        DeviceBatch {
            images: Tensor::from_data(TensorData::new(input.data.clone(), input.shape.clone()), &self.device),
            indices: (0..labels.len()).collect(),
            labels,
        }
    }
}

#[test]
fn supernet_forward_and_gradients() {
    for engine in engines() {
        let case = Case::read(&engine);
        let state = case.state();
        let method = case.settings.driven();
        let stepper = Bilevel::new(
            &case.backbone,
            &case.space,
            &case.target,
            &method,
            &case.settings,
            &case.device,
        );
        let (arch, weights) = (state.arch.tracked(), state.weights.on_graph(true));
        let mixtures = stepper.mixtures(&arch, When::Reading(case.moment));
        let pass = Pass {
            weights: &weights,
            mixtures: Some(&mixtures),
            shifts: None,
            statistics: None,
            drop_path: None,
            auxiliary: false,
        };
        // The forward pass and its gradients are those of the weight batch.
        let images = case.golden.tensor::<4>("input.weight_batch").autodiff();
        let logits = case.backbone.forward(images, pass).logits;
        close(
            "logits",
            &values(logits.clone()),
            &case.golden.get("forward.logits").data,
            1e-4,
        );
        let entropy = cross_entropy(logits, case.golden.labels("target.weight_batch"), 0.0);
        close(
            "cross-entropy",
            &values(entropy.clone()),
            &case.golden.get("forward.cross_entropy").data,
            1e-4,
        );
        let penalty = method.penalty(&arch, &case.space, &case.target, case.moment);
        let loss = entropy + penalty.loss().unwrap();
        close(
            "loss",
            &values(loss.clone()),
            &case.golden.get("forward.total_loss").data,
            1e-4,
        );

        let mut gradients = loss.backward();
        for (kind, name) in [(CellKind::Normal, "normal"), (CellKind::Reduction, "reduce")] {
            let alpha = arch.kind(kind).alpha.grad_remove(&mut gradients).unwrap();
            let golden = format!("grad.alpha_{name}");
            close(&golden, &values(alpha), &case.golden.get(&golden).data, 1e-3);
            let beta = values(arch.kind(kind).beta.grad_remove(&mut gradients).unwrap());
            let golden: Vec<f32> = (0..3)
                .flat_map(|node| case.golden.get(&format!("grad.beta_{name}.{node}")).data.clone())
                .collect();
            close(&format!("grad.beta_{name}"), &beta[2..], &golden, 1e-3);
        }
        let gradients = weights.gradients(gradients).into_iter().map(Option::unwrap).collect();
        let gradients = Weights::from_parts(gradients).named(&case.backbone);
        for Named { name, data, .. } in &gradients {
            close(
                &format!("gradient of {name}"),
                data,
                &case.golden.get(&format!("grad.{name}")).data,
                1e-3,
            );
        }
        assert_eq!(
            gradients.len() + 8,
            case.golden.under("grad.").len(),
            "every golden gradient was compared"
        );
    }
}

#[test]
fn supernet_trajectory() {
    for engine in engines() {
        let case = Case::read(&engine);
        let mut state = case.state();
        let method = case.settings.driven();
        let stepper = Bilevel::new(
            &case.backbone,
            &case.space,
            &case.target,
            &method,
            &case.settings,
            &case.device,
        );
        let rate = case.golden.number("arch_lr");
        let rates = Rates {
            weights: case.settings.learning_rate,
            alpha: rate,
            beta: rate,
        };
        let draw = Draw::new(1, case.moment);
        let (arch_batch, weight_batch) = (case.batch("arch_batch"), case.batch("weight_batch"));
        let golden = case.golden.get("trajectory.arch_loss__weight_loss__grad_norm");
        for (step, golden) in golden.data.chunks(golden.shape[1]).enumerate() {
            let mut half = |trains, batch| stepper.half_step(&mut state, trains, batch, draw, rates).unwrap();
            let (arch, weights) = (half(Trains::Arch, &arch_batch), half(Trains::Weights, &weight_batch));
            let ours = [arch.loss as f32, weights.loss as f32, weights.gradient_norm as f32];
            for (ours, golden) in ours.iter().zip(golden) {
                assert!(
                    (ours - golden).abs() <= 1e-3 * golden.abs(),
                    "step {step}: {ours} != {golden}"
                );
            }
        }

        let golden_arch = case.arch("after");
        for kind in CellKind::ALL {
            let (ours, golden) = (state.arch.kind(kind), golden_arch.kind(kind));
            close(
                "α after",
                &values(ours.alpha.clone()),
                &values(golden.alpha.clone()),
                1e-3,
            );
            close(
                "β after",
                &values(ours.beta.clone())[2..],
                &values(golden.beta.clone())[2..],
                1e-3,
            );
        }
        let mut compared = 0;
        for Named { name, data, .. } in state.weights.named(&case.backbone) {
            let golden = format!("after.{name}");
            if case.golden.has(&golden) {
                close(&golden, &data, &case.golden.get(&golden).data, 1e-3);
                compared += 1;
            }
        }
        // Two tensors of α, six of β, and the logits are the only golden values that are not
        // weights.
        assert_eq!(
            compared + 9,
            case.golden.under("after.").len(),
            "every golden weight was compared"
        );

        let mixtures = stepper.mixtures(&state.arch, When::Reading(case.moment));
        let pass = Pass {
            weights: &state.weights,
            mixtures: Some(&mixtures),
            shifts: None,
            statistics: Some(&state.statistics),
            drop_path: None,
            auxiliary: false,
        };
        let images = case.batch("weight_batch").images;
        let logits = case.backbone.forward(images, pass).logits;
        close(
            "evaluation logits after",
            &values(logits),
            &case.golden.get("after.eval_logits").data,
            1e-3,
        );
    }
}

#[test]
fn statistics_start_like_pytorch() {
    let size = NetworkSize {
        stem: Stem::Cifar,
        channels: 2,
        cells: 1,
        reductions: Reductions::THIRDS,
        image_channels: 1,
        image_size: 8,
        classes: 2,
        auxiliary: false,
        chain: ChainShape::default(),
    };
    let backbone = supernet(&Space::darts(true), size, 1, &Engine::Plain);
    for named in Statistics::new(&backbone, &device()).named(&backbone) {
        let expected = if named.name.ends_with("running_var") { 1.0 } else { 0.0 };
        assert!(named.data.iter().all(|&value| value == expected), "{}", named.name);
    }
}
