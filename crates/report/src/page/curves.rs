//! The curves of the search and of retraining: which value appears in which chart.

use maud::{Markup, html};

use crate::Run;
use crate::run::{SearchEpoch, Term, TrainEpoch, term_names};
use crate::svg::chart::{Chart, Scale, Series};

/// The charts of the search; `None` before its first epoch is finished.
pub(super) fn search(run: &Run) -> Option<Markup> {
    grid(&search_charts(run), true)
}

/// The charts of the search.
pub(crate) fn search_charts(run: &Run) -> Vec<Chart> {
    let line = |name, value: fn(&SearchEpoch) -> Option<f64>| Series::of(name, &run.search, |epoch| epoch.epoch, value);
    let terms = |value: fn(&Term) -> Option<f64>| -> Vec<Series> {
        let series = |name: &str| {
            let of_epoch = |epoch: &SearchEpoch| epoch.term(name).and_then(value);
            Series::of(name, &run.search, |epoch| epoch.epoch, of_epoch)
        };
        term_names(&run.search).into_iter().map(series).collect()
    };
    let mut charts = vec![
        Chart {
            id: "search-accuracy".into(),
            title: "Accuracy".into(),
            unit: "%",
            note: "Super-network and discretized network on held-out images; the distance between the curves is the gap.",
            scale: Scale::Fixed(0.0, 100.0),
            series: vec![
                line("super-network", |epoch| epoch.supernet_accuracy),
                line("discretized", |epoch| epoch.discretized_accuracy),
                line("training", |epoch| epoch.train_accuracy),
            ],
        },
        Chart {
            id: "search-decided".into(),
            title: "How decided".into(),
            unit: "share, 1 = decided",
            note: "p: weight of an edge’s best operation. q: n·q of a node’s weakest kept edge. The smallest value determines the gap. Path: the smallest p that the drive requires.",
            scale: Scale::Fixed(0.0, 1.0),
            series: vec![
                line("p mean", |epoch| epoch.p_mean),
                line("p least", |epoch| epoch.p_least),
                line("q mean", |epoch| epoch.q_mean),
                line("q least", |epoch| epoch.q_least),
                line("path", |epoch| epoch.path_p),
            ],
        },
        Chart {
            id: "search-cost".into(),
            title: "Expected cost".into(),
            unit: "of the limit",
            note: "Of the final network under the mixture; above 1, the loss includes a penalty.",
            scale: Scale::FromZero,
            series: vec![line("expected cost", |epoch| epoch.expected_cost)],
        },
        Chart {
            id: "search-losses".into(),
            title: "Losses".into(),
            unit: "nats",
            note: "Weight and architecture steps with the regulariser; cross-entropy without it.",
            scale: Scale::FromZero,
            series: vec![
                line("weights", |epoch| epoch.weight_loss),
                line("architecture", |epoch| epoch.arch_loss),
                line("cross-entropy", |epoch| epoch.cross_entropy),
            ],
        },
        Chart {
            id: "search-entropies".into(),
            title: "Entropies".into(),
            unit: "nats",
            note: "Of the operation weights (mean over edges) and of the edge weights (mean over nodes).",
            scale: Scale::FromZero,
            series: vec![
                line("operations", |epoch| epoch.entropy_operations),
                line("edges", |epoch| epoch.entropy_edges),
            ],
        },
        Chart {
            id: "search-schedules".into(),
            title: "Regulariser weights".into(),
            unit: "factor",
            note: "λ weighs the whole regulariser with schedule λ_c; λ_α is the schedule of its operation term.",
            scale: Scale::FromZero,
            series: vec![
                line("λ", |epoch| epoch.lambda),
                line("λ_c", |epoch| epoch.lambda_c),
                line("λ_α", |epoch| epoch.lambda_alpha),
            ],
        },
        Chart {
            id: "search-regulariser".into(),
            title: "Regulariser".into(),
            unit: "nats",
            note: "What the regulariser adds to the loss, and its cardinality term alone, as a mean over nodes.",
            scale: Scale::FromZero,
            series: vec![
                line("regulariser", |epoch| epoch.regulariser),
                line("cardinality", |epoch| epoch.cardinality),
            ],
        },
        Chart {
            id: "search-terms".into(),
            title: "Terms of the loss".into(),
            unit: "nats",
            note: "The terms that the method adds to the cross-entropy, each times its weight.",
            scale: Scale::FromZero,
            series: terms(Term::added),
        },
        Chart {
            id: "search-term-weights".into(),
            title: "Weights of the terms".into(),
            unit: "factor",
            note: "The weight that multiplies each term.",
            scale: Scale::FromZero,
            series: terms(|term| term.weight),
        },
        Chart {
            id: "search-learning-rate".into(),
            title: "Learning rate".into(),
            unit: "of the weights",
            note: "Learning rate of the weight steps.",
            scale: Scale::FromZero,
            series: vec![line("learning rate", |epoch| epoch.learning_rate)],
        },
        Chart {
            id: "search-gradient".into(),
            title: "Gradient norm".into(),
            unit: "norm",
            note: "Norm of the gradient of the weights, before clipping.",
            scale: Scale::FromZero,
            series: vec![line("gradient norm", |epoch| epoch.gradient_norm)],
        },
    ];
    // Without a regulariser, its charts would be constant at 0.
    let regularised = run
        .search
        .iter()
        .any(|epoch| epoch.lambda.is_some_and(|lambda| lambda > 0.0));
    charts.retain(|chart| regularised || !["search-schedules", "search-regulariser"].contains(&&*chart.id));
    charts
}

/// The charts of retraining; `None` before its first epoch is finished.
pub(super) fn retraining(run: &Run) -> Option<Markup> {
    grid(&retraining_charts(run), false)
}

/// The charts of retraining.
pub(crate) fn retraining_charts(run: &Run) -> Vec<Chart> {
    let line =
        |name, value: fn(&TrainEpoch) -> Option<f64>| Series::of(name, &run.training, |epoch| epoch.epoch, value);
    vec![
        Chart {
            id: "network-accuracy".into(),
            title: "Accuracy".into(),
            unit: "%",
            note: "Of the final network during training. Test images are not used here.",
            scale: Scale::Fixed(0.0, 100.0),
            series: vec![
                line("training", |epoch| epoch.train_accuracy),
                line("validation", |epoch| epoch.validation_accuracy),
            ],
        },
        Chart {
            id: "network-loss".into(),
            title: "Loss".into(),
            unit: "nats",
            note: "Mean training loss.",
            scale: Scale::FromZero,
            series: vec![line("training", |epoch| epoch.train_loss)],
        },
        Chart {
            id: "network-learning-rate".into(),
            title: "Learning rate".into(),
            unit: "of the weights",
            note: "Learning rate of the training steps.",
            scale: Scale::FromZero,
            series: vec![line("learning rate", |epoch| epoch.learning_rate)],
        },
        Chart {
            id: "network-drop-path".into(),
            title: "Drop-path".into(),
            unit: "probability",
            note: "Share of paths that a training step drops.",
            scale: Scale::FromZero,
            series: vec![line("drop-path", |epoch| epoch.drop_path)],
        },
    ]
}

/// The figures of the charts that have at least one value.
pub(crate) fn grid(charts: &[Chart], film: bool) -> Option<Markup> {
    let figures: Vec<Markup> = charts.iter().filter_map(|chart| chart.figure(film)).collect();
    (!figures.is_empty()).then(|| html! { div.grid { @for figure in &figures { (figure) } } })
}
