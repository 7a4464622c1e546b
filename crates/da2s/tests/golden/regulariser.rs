//! The regulariser's terms and gradients, for α and β from the start of a search to far beyond the
//! point at which it is decided.

use burn::tensor::{Tensor, TensorData};
use da2s::objective::{Link, Regulariser};
use da2s::space::{KindTarget, Space};
use serde::Deserialize;

use super::file::{close, device, path, values};

#[derive(Deserialize)]
struct File {
    weight: f64,
    lambda_beta: f64,
    cardinality_weight: f64,
    kept_edges: usize,
    cases: Vec<Case>,
}

/// Rows of numbers, or of null if the public code underflows and log-softmax does not.
type Rows = Vec<Vec<Option<f32>>>;

#[derive(Deserialize)]
struct Case {
    epoch: usize,
    alpha_normal: Vec<Vec<f32>>,
    alpha_reduce: Vec<Vec<f32>>,
    beta_normal: Vec<Vec<f32>>,
    beta_reduce: Vec<Vec<f32>>,
    lambda_c: f64,
    lambda_alpha: f64,
    alpha_term: Option<f64>,
    beta_term: Option<f64>,
    regulariser: Option<f64>,
    grad_alpha_normal: Rows,
    grad_alpha_reduce: Rows,
    grad_beta_normal: Rows,
    grad_beta_reduce: Rows,
}

#[test]
fn regulariser() {
    let text = std::fs::read_to_string(path("regulariser.json"))
        .unwrap()
        .replace("NaN", "null");
    let file: File = serde_json::from_str(&text).unwrap();
    let space = Space::darts(false);
    let target = KindTarget {
        edges: vec![file.kept_edges; space.graph.nodes],
        operations: 1,
        most_skips: None,
    };
    let regulariser = Regulariser {
        lambda: file.weight,
        lambda_beta: file.lambda_beta,
        cardinality_weight: file.cardinality_weight,
        ..Regulariser::default()
    };
    assert!(!file.cases.is_empty());
    for (index, case) in file.cases.iter().enumerate() {
        let (lambda_c, lambda_alpha) = (
            regulariser.lambda_c.at(case.epoch, 50, 8),
            regulariser.lambda_alpha.at(case.epoch, 50, 8),
        );
        assert!((lambda_c - case.lambda_c).abs() < 1e-9 && (lambda_alpha - case.lambda_alpha).abs() < 1e-9);

        let leaves = [
            (&case.alpha_normal, &case.beta_normal),
            (&case.alpha_reduce, &case.beta_reduce),
        ]
        .map(|(alpha, beta)| (alpha_leaf(alpha), beta_leaf(beta)));
        let link = Link::Strengthened {
            kept: target.operations,
        };
        let terms = leaves.clone().map(|(alpha, beta)| {
            let edges = regulariser.edges(beta, space.graph, &target);
            [regulariser.operations(alpha, link), edges]
        });
        let (on_operations, on_edges) = regulariser.strengths(case.epoch, 50, 8);
        let [normal, reduction] = terms;
        let ([operations, edges], [more, others]) = (normal, reduction);
        let (operations, edges) = (operations + more, edges + others);
        let scalar = |tensor: &Tensor<1>| f64::from(tensor.clone().into_scalar::<f32>());
        let near = |what: &str, ours: f64, golden: Option<f64>| {
            assert!(ours.is_finite(), "case {index}, {what}: {ours}");
            let Some(golden) = golden else { return };
            assert!(
                (ours - golden).abs() <= 1e-4 * golden.abs().max(1e-4),
                "case {index}, {what}: {ours} != {golden}"
            );
        };
        let total = operations.clone() * on_operations + edges.clone() * on_edges;
        near("operations", on_operations * scalar(&operations), case.alpha_term);
        near("edges", on_edges * scalar(&edges), case.beta_term);
        near("total", scalar(&total), case.regulariser);

        let gradients = total.backward();
        let golden = [
            (&case.grad_alpha_normal, &case.grad_beta_normal),
            (&case.grad_alpha_reduce, &case.grad_beta_reduce),
        ];
        for ((alpha, beta), (golden_alpha, golden_beta)) in leaves.iter().zip(golden) {
            let alpha = alpha.grad(&gradients).map(values).unwrap();
            compare(&format!("case {index}, gradient of α"), &alpha, golden_alpha);
            let beta = beta.grad(&gradients).map(values).unwrap();
            compare(&format!("case {index}, gradient of β"), &beta[2..], golden_beta);
        }
    }
}

/// Compares row by row; if a row contains null, our numbers only have to be finite.
fn compare(what: &str, ours: &[f32], golden: &Rows) {
    assert!(ours.iter().all(|value| value.is_finite()), "{what}: {ours:?}");
    let (mut at, mut kept, mut wanted) = (0, Vec::new(), Vec::new());
    for row in golden {
        if let Some(row_values) = row.iter().copied().collect::<Option<Vec<f32>>>() {
            kept.extend_from_slice(&ours[at..at + row.len()]);
            wanted.extend(row_values);
        }
        at += row.len();
    }
    close(what, &kept, &wanted, 1e-3);
}

fn alpha_leaf(rows: &[Vec<f32>]) -> Tensor<2> {
    let shape = [rows.len(), rows[0].len()];
    Tensor::from_data(TensorData::new(rows.concat(), shape), &device().autodiff()).require_grad()
}

/// β of nodes 3, 4, 5, after the two edges of node 2, which has none.
fn beta_leaf(nodes: &[Vec<f32>]) -> Tensor<1> {
    let flat = [vec![0.0; 2], nodes.concat()].concat();
    let count = flat.len();
    Tensor::from_data(TensorData::new(flat, [count]), &device().autodiff()).require_grad()
}
