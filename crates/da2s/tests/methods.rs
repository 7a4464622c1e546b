//! Every search method: its mixture compared with the formula of its paper, and the gradient of its
//! loss with finite differences.

#![allow(clippy::unwrap_used)]

use burn::tensor::{Device, Tensor, TensorData};
use da2s::arch::{ArchParams, KindParams};
use da2s::search::{Choices, Draw, Drive, DrivenMethod, Half, Method, Moment, SearchMethod, SearchSettings, When};
use da2s::space::{CellKind, Operation, PerKind, Space, Target, TargetSpec};

const MOMENT: Moment = Moment::of_epoch(20, 50, 8);

struct Fixture {
    space: Space,
    target: Target,
    settings: SearchSettings,
    alpha: Vec<f32>,
    beta: Vec<f32>,
}

impl Fixture {
    fn new() -> Self {
        let space = Space::darts(false);
        let target = TargetSpec::default().resolve(&space).unwrap();
        let wave = |index: usize, scale: f32| scale * ((index * 37 % 101) as f32 / 50.0 - 1.0);
        let alpha = (0..98).map(|index| wave(index, 0.45)).collect();
        let beta = (0..14).map(|index| wave(index + 7, 0.8)).collect();
        Self {
            space,
            target,
            settings: SearchSettings::default(),
            alpha,
            beta,
        }
    }

    fn method(&self, method: Method) -> Box<dyn SearchMethod> {
        method.build(&self.settings)
    }

    fn driven(&self, method: Method, drive: Drive) -> DrivenMethod {
        DrivenMethod::new(self.method(method), drive, self.settings.regulariser.clone())
    }

    fn kind(&self, alpha: &[f32], beta: &[f32], tracked: bool) -> KindParams {
        let device = if tracked {
            Device::flex().autodiff()
        } else {
            Device::flex()
        };
        let alpha = Tensor::from_data(TensorData::new(alpha.to_vec(), [14, 7]), &device);
        let beta = Tensor::from_data(TensorData::new(beta.to_vec(), [14]), &device);
        if tracked {
            KindParams::new(alpha.require_grad(), beta.require_grad())
        } else {
            KindParams::new(alpha, beta)
        }
    }

    fn choices(&self) -> Choices<'_> {
        Choices {
            space: &self.space,
            target: &self.target.normal,
        }
    }

    /// α, if a method uses other values than the fixture's.
    fn alpha_of(&self, method: Method) -> Vec<f32> {
        let positive = if method == Method::Gaea { 0.5 } else { 0.0 };
        self.alpha.iter().map(|x| x + positive).collect()
    }

    fn p(&self, method: Method, when: When) -> Vec<f32> {
        let arch = self.kind(&self.alpha_of(method), &self.beta, false);
        values(self.method(method).strengths(&arch, self.choices(), when).p)
    }

    fn penalty(&self, driven: &DrivenMethod, alpha: &[f32], beta: &[f32]) -> Option<f64> {
        let kind = || self.kind(alpha, beta, false);
        let arch = ArchParams::from_kinds(PerKind {
            normal: kind(),
            reduction: Some(kind()),
        });
        let penalty = driven.penalty(&arch, &self.space, &self.target, MOMENT);
        Some(f64::from(penalty.loss()?.into_scalar::<f32>()))
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn softmax(row: &[f32], strengthen: impl Fn(f64) -> f64) -> Vec<f64> {
    let exp: Vec<f64> = row.iter().map(|&x| strengthen(f64::from(x)).exp()).collect();
    let sum: f64 = exp.iter().sum();
    exp.iter().map(|value| value / sum).collect()
}

#[test]
fn operation_weights_are_those_of_the_papers() {
    let fixture = Fixture::new();
    let skip = Operation::SkipConnect;
    let skip = fixture
        .space
        .operations
        .iter()
        .position(|&operation| operation == skip)
        .unwrap();
    let strengthen = |x: f64| {
        let y = 2.0 * x;
        if y < -1.0 { y * y * y } else { y }
    };
    for method in Method::ALL {
        let ours = fixture.p(method, When::Reading(MOMENT));
        for (row, ours) in fixture.alpha_of(method).chunks(7).zip(ours.chunks(7)) {
            let expected: Vec<f64> = match method {
                Method::Da2s | Method::Da2sOperations | Method::Da2sEdges => softmax(row, strengthen),
                Method::BetaDarts
                | Method::Darts
                | Method::Entropy
                | Method::Gdas
                | Method::LambdaDarts
                | Method::Oles
                | Method::PDarts
                | Method::PcDarts
                | Method::SdartsAdv
                | Method::SdartsRs => softmax(row, |x| x),
                Method::DartsMinus => {
                    let mut p = softmax(row, |x| x);
                    p[skip] += 1.0 - MOMENT.share();
                    p
                }
                Method::DrNas => {
                    let concentration = |&x: &f32| f64::from(if x > 0.0 { x + 1.0 } else { x.exp() });
                    let sum: f64 = row.iter().map(concentration).sum();
                    row.iter().map(|x| concentration(x) / sum).collect()
                }
                Method::Gaea => {
                    let sum: f64 = row.iter().map(|&x| f64::from(x)).sum();
                    row.iter().map(|&x| f64::from(x) / sum).collect()
                }
                Method::FairDarts => row.iter().map(|&x| 1.0 / (1.0 + (-f64::from(x)).exp())).collect(),
                Method::Random => {
                    let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / 7.0;
                    row.iter().map(|&x| f64::from(x) - mean + 1.0 / 7.0).collect()
                }
            };
            for (ours, expected) in ours.iter().zip(expected) {
                assert!(
                    (f64::from(*ours) - expected).abs() < 1e-5,
                    "{}: {ours} != {expected}",
                    method.name()
                );
            }
        }
    }
}

#[test]
fn edge_weights_sum_to_one_at_every_node() {
    let fixture = Fixture::new();
    let arch = fixture.kind(&fixture.alpha, &fixture.beta, false);
    for method in Method::ALL {
        let q = values(
            fixture
                .method(method)
                .strengths(&arch, fixture.choices(), When::Reading(MOMENT))
                .q,
        );
        let even = (0..14).all(|edge| {
            q[edge]
                == q[fixture
                    .space
                    .graph
                    .edges_of([0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3][edge])
                    .start]
        });
        assert_eq!(
            even,
            !matches!(method, Method::Da2s | Method::Da2sEdges | Method::PcDarts),
            "{}: list it here if and only if it weighs edges",
            method.name()
        );
        for group in fixture.space.graph.groups() {
            let sum: f32 = q[fixture.space.graph.edges_of(group)].iter().sum();
            assert!((sum - 1.0).abs() < 1e-5, "{}", method.name());
        }
    }
}

#[test]
fn losses_have_the_gradients_of_finite_differences() {
    let fixture = Fixture::new();
    for (method, drive) in combinations(&fixture) {
        let built = fixture.driven(method, drive);
        let start = fixture.alpha_of(method);
        let Some(_) = fixture.penalty(&built, &start, &fixture.beta) else {
            assert!(drive != Drive::Regulariser);
            assert!(
                matches!(
                    method,
                    Method::Da2s
                        | Method::Da2sOperations
                        | Method::Da2sEdges
                        | Method::Darts
                        | Method::DartsMinus
                        | Method::DrNas
                        | Method::Entropy
                        | Method::Gaea
                        | Method::Gdas
                        | Method::LambdaDarts
                        | Method::Oles
                        | Method::PDarts
                        | Method::PcDarts
                        | Method::Random
                        | Method::SdartsAdv
                        | Method::SdartsRs
                ),
                "{}: list it here if and only if it adds nothing to the loss",
                method.name()
            );
            continue;
        };
        let normal = fixture.kind(&start, &fixture.beta, true);
        let reduction = fixture.kind(&start, &fixture.beta, true);
        let arch = ArchParams::from_kinds(PerKind {
            normal,
            reduction: Some(reduction),
        });
        let loss = built
            .penalty(&arch, &fixture.space, &fixture.target, MOMENT)
            .loss()
            .unwrap();
        let gradients = loss.backward();
        let of = |kind: CellKind| {
            let arch = arch.kind(kind);
            [
                arch.alpha.grad(&gradients).map(values),
                arch.beta.grad(&gradients).map(values),
            ]
        };
        let ([normal_alpha, normal_beta], [other_alpha, other_beta]) = (of(CellKind::Normal), of(CellKind::Reduction));
        let both = |a: Option<Vec<f32>>, b: Option<Vec<f32>>, at: usize| {
            a.as_ref().map_or(0.0, |a| f64::from(a[at])) + b.as_ref().map_or(0.0, |b| f64::from(b[at]))
        };
        let step = 1e-2f32;
        for at in 0..14 {
            let moved = |by: f32, of_alpha: bool| {
                let (mut alpha, mut beta) = (start.clone(), fixture.beta.clone());
                if of_alpha {
                    alpha[7 * at] += by
                } else {
                    beta[at] += by
                }
                fixture.penalty(&built, &alpha, &beta).unwrap()
            };
            for of_alpha in [true, false] {
                let slope = (moved(step, of_alpha) - moved(-step, of_alpha)) / f64::from(2.0 * step);
                let ours = if of_alpha {
                    both(normal_alpha.clone(), other_alpha.clone(), 7 * at)
                } else {
                    both(normal_beta.clone(), other_beta.clone(), at)
                };
                // Within a step of a kink (−1/2 for α, 0 and 1 for β) the difference does not equal
                // the derivative.
                let value = if of_alpha { start[7 * at] } else { fixture.beta[at] };
                if [-0.5f32, 0.0, 1.0].iter().any(|kink| (value - kink).abs() < 2.0 * step) {
                    continue;
                }
                assert!(
                    (ours - slope).abs() < 2e-2 * slope.abs().max(0.1),
                    "{method} {drive}: {ours} != {slope}"
                );
            }
        }
    }
}

/// Every method with every drive that it accepts.
fn combinations(fixture: &Fixture) -> Vec<(Method, Drive)> {
    let pairs = Method::ALL
        .into_iter()
        .flat_map(|method| Drive::ALL.map(|drive| (method, drive)));
    pairs
        .filter(|&(method, drive)| fixture.method(method).refuses(drive).is_none())
        .collect()
}

/// A drive does not change how operations are weighted, and gives edges the weights of DA²S.
#[test]
fn a_drive_weighs_edges_and_leaves_operations_to_the_method() {
    let fixture = Fixture::new();
    let when = When::Reading(MOMENT);
    let arch = fixture.kind(&fixture.alpha, &fixture.beta, false);
    let of = |driven: &DrivenMethod| {
        let strengths = driven.strengths(&arch, fixture.choices(), when);
        (values(strengths.p), values(strengths.q))
    };
    let (_, of_da2s) = of(&fixture.driven(Method::Da2s, Drive::Regulariser));
    for (method, drive) in combinations(&fixture) {
        let (driven, own) = (fixture.driven(method, drive), fixture.driven(method, Drive::None));
        let ((p, q), (own_p, own_q)) = (of(&driven), of(&own));
        assert_eq!(p, own_p, "{method} {drive}");
        let drives_edges = drive != Drive::None && driven.method().halves().edges;
        assert_eq!(
            q,
            if drives_edges { of_da2s.clone() } else { own_q },
            "{method} {drive}"
        );
        assert_eq!(
            driven.trains(MOMENT).beta > 0.0,
            drives_edges || own.trains(MOMENT).beta > 0.0
        );
    }
}

#[test]
fn gdas_draws_one_operation_per_edge_and_has_the_gradient_of_a_softmax() {
    let fixture = Fixture::new();
    let draw = |step| Draw::new(3, MOMENT.at_step(step));
    let method = fixture.method(Method::Gdas);
    let arch = fixture.kind(&fixture.alpha, &fixture.beta, true);
    let strengths = method.strengths(&arch, fixture.choices(), When::Training(draw(0)));
    let p = values(strengths.p.clone().detach());
    for row in p.chunks(7) {
        assert!(row.iter().filter(|&&weight| (weight - 1.0).abs() < 1e-5).count() == 1);
        assert!(row.iter().filter(|&&weight| weight.abs() < 1e-5).count() == 6);
    }
    let active = strengths.active.unwrap();
    assert!(active.iter().zip(&p).all(|(&active, &weight)| active == (weight > 0.5)));
    assert_eq!(
        fixture.p(Method::Gdas, When::Training(draw(0))),
        fixture.p(Method::Gdas, When::Training(draw(0)))
    );
    assert_ne!(
        fixture.p(Method::Gdas, When::Training(draw(0))),
        fixture.p(Method::Gdas, When::Training(draw(1)))
    );
    // As in the paper's algorithm 1, the weight step and the architecture step draw separately, as
    // do the kinds of cell.
    let mut drawn = Vec::new();
    for half in [Half::Weights, Half::Arch] {
        for kind in CellKind::ALL {
            drawn.push(fixture.p(Method::Gdas, When::Training(Draw { half, kind, ..draw(0) })));
        }
    }
    for (at, one) in drawn.iter().enumerate() {
        assert!(!drawn[..at].contains(one), "draw {at} equals an earlier one");
    }

    // The gradient is that of a softmax: its rows sum to 0, and it is not 0.
    let pull = Tensor::<2>::from_data(
        TensorData::new((0..98).map(|i| (i % 5) as f32).collect::<Vec<_>>(), [14, 7]),
        &Device::flex(),
    );
    let gradients = (strengths.p * pull.autodiff()).sum().backward();
    let gradient = values(arch.alpha.grad(&gradients).unwrap());
    assert!(gradient.iter().any(|value| value.abs() > 1e-4));
    for row in gradient.chunks(7) {
        assert!(row.iter().sum::<f32>().abs() < 1e-5);
    }
}

#[test]
fn the_auxiliary_connection_of_darts_minus_fades_and_never_competes() {
    let fixture = Fixture::new();
    let arch = fixture.kind(&fixture.alpha, &fixture.beta, false);
    let (minus, darts) = (fixture.method(Method::DartsMinus), fixture.method(Method::Darts));
    let competes =
        |method: &dyn SearchMethod, when| values(method.operations(arch.alpha.clone(), fixture.choices(), when));
    for moment in [Moment::of_epoch(1, 50, 8), MOMENT, Moment::of_epoch(51, 50, 8)] {
        let when = When::Reading(moment);
        assert_eq!(competes(&*minus, when), competes(&*darts, when));
        let sums = values(minus.strengths(&arch, fixture.choices(), when).p.sum_dim(1));
        let expected = 2.0 - moment.share() as f32;
        assert!(
            sums.iter().all(|sum| (sum - expected).abs() < 1e-5),
            "{sums:?}, not {expected}"
        );
    }
    let end = When::Reading(Moment::of_epoch(51, 50, 8));
    assert_eq!(fixture.p(Method::DartsMinus, end), fixture.p(Method::Darts, end));
}

/// Over many draws, the mean of p is that of its Dirichlet distribution, and the mean of p's
/// gradient is the gradient of that mean.
#[test]
fn drnas_draws_from_its_distribution_and_has_the_gradient_of_its_mean() {
    const DRAWS: usize = 3000;
    let fixture = Fixture::new();
    // An edge with equal operations, one that is nearly decided, and the edges of the fixture.
    let mut alpha = fixture.alpha.clone();
    alpha[..7].fill(0.0);
    alpha[7..14].copy_from_slice(&[4.0, -3.0, -3.0, -2.0, -3.0, -1.0, -3.0]);
    let arch = fixture.kind(&alpha, &fixture.beta, true);
    let method = fixture.method(Method::DrNas);
    let p = |when| method.operations(arch.alpha.clone(), fixture.choices(), when);
    // The slopes of the first and the second to last operation's weight, on every edge.
    let slopes = |when| {
        let pulled = [0, 5].map(|at| {
            let gradients = p(when).narrow(1, at, 1).sum().backward();
            values(arch.alpha.grad(&gradients).unwrap())
        });
        pulled.concat()
    };
    let reading = When::Reading(MOMENT);
    let (mean, slope) = (values(p(reading).detach()), slopes(reading));
    let (mut of_draws, mut of_slopes) = (vec![0.0f64; mean.len()], vec![0.0f64; slope.len()]);
    for step in 0..DRAWS {
        let drawn = When::Training(Draw::new(1, MOMENT.at_step(step)));
        let add = |sums: &mut [f64], values: Vec<f32>| {
            assert!(values.iter().all(|value| value.is_finite()));
            sums.iter_mut()
                .zip(values)
                .for_each(|(sum, value)| *sum += f64::from(value) / DRAWS as f64);
        };
        let row = values(p(drawn).detach());
        assert!(row.chunks(7).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-5));
        add(&mut of_draws, row);
        add(&mut of_slopes, slopes(drawn));
    }
    for (what, found, expected) in [("mean", &of_draws, &mean), ("slope", &of_slopes, &slope)] {
        for (found, expected) in found.iter().zip(expected) {
            // The standard deviation of a draw is below 0.4: four standard errors.
            let error = (found - f64::from(*expected)).abs();
            assert!(error < 0.03, "{what}: {found} != {expected}");
        }
    }
}

#[test]
fn pc_darts_normalises_edges_and_ranks_them_by_both_weights() {
    let fixture = Fixture::new();
    let arch = fixture.kind(&fixture.alpha, &fixture.beta, false);
    let method = fixture.method(Method::PcDarts);
    let strengths = method.strengths(&arch, fixture.choices(), When::Reading(MOMENT));
    let (p, q) = (values(strengths.p), values(strengths.q));
    let rows: Vec<Vec<f32>> = p.chunks(7).map(<[f32]>::to_vec).collect();
    let rank = method.edge_rank(&fixture.beta, &rows, &fixture.space);
    for group in 1..4 {
        let range = fixture.space.graph.edges_of(group);
        let expected = softmax(&fixture.beta[range.clone()], |x| x);
        for (edge, expected) in range.clone().zip(expected) {
            assert!((f64::from(q[edge]) - expected).abs() < 1e-6);
        }
        // The same order as the paper's q·max p.
        let order = |of: &dyn Fn(usize) -> f32| {
            let mut edges: Vec<usize> = range.clone().collect();
            edges.sort_by(|&a, &b| of(b).total_cmp(&of(a)));
            edges
        };
        let strongest = |edge: usize| rows[edge].iter().copied().fold(0.0, f32::max);
        assert_eq!(order(&|edge| rank[edge]), order(&|edge| q[edge] * strongest(edge)));
    }
}
