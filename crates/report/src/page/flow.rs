//! The three accuracies of a run, with the gap between the first two: the result of the search.

use da2s_records::counted;
use maud::{Markup, html};

use crate::Run;
use crate::number::{count, percent, points};
use crate::run::Evaluation;

/// Number of undecided choices shown at once, the least decided first; the rest is collapsed.
const MOST_UNDECIDED: usize = 5;

/// The numbers and the verdict; `None` if the network was trained without a search.
pub(super) fn section(run: &Run) -> Option<Markup> {
    (!run.is_given()).then(|| html! { (numbers(run)) (verdict(run)) })
}

/// Super-network → discretized → retrained.
fn numbers(run: &Run) -> Markup {
    let measured = run.gap.as_ref().map(|gap| &gap.as_trained);
    let summary = run.summary.as_ref();
    let last = run.search.last();
    let monitored = |value: Option<f64>| value.zip(last.map(|last| last.epoch));
    let supernet = measured
        .and_then(|m| m.supernet)
        .or_else(|| summary.and_then(|s| s.supernet_accuracy));
    let discretized = measured
        .and_then(|m| m.both)
        .or_else(|| summary.and_then(|s| s.discretized_accuracy));
    let retrained = run
        .evaluation
        .as_ref()
        .and_then(|e| e.accuracy)
        .or_else(|| summary.and_then(|s| s.network_accuracy));
    let held_out = match run.gap.as_ref().and_then(|gap| gap.images) {
        Some(images) => format!("{} held-out images", count(images)),
        None => "held-out images".to_owned(),
    };
    let test = match run.evaluation.as_ref().and_then(|evaluation| evaluation.images) {
        Some(images) => format!("{} test images", count(images)),
        None => "the test images".to_owned(),
    };
    let interval = run.evaluation.as_ref().and_then(Evaluation::interval);
    let interval = interval.map_or_else(String::new, |[from, to]| {
        format!("; 95 % interval {from:.1} to {to:.1} %")
    });
    let (supernet, at_supernet) = final_or_monitored(supernet, monitored(last.and_then(|l| l.supernet_accuracy)));
    let (discretized, at_discretized) =
        final_or_monitored(discretized, monitored(last.and_then(|l| l.discretized_accuracy)));
    let loss = supernet.zip(discretized).map(|(before, after)| before - after);
    html! {
        div.flow {
            (figure("Super-network", supernet, &format!("the whole mixture, on {held_out}{at_supernet}")))
            div.arrow {
                @if let Some(loss) = loss {
                    b { (gap(loss)) } " points"
                    span { "the gap" }
                } @else { span { "pruned" } }
            }
            (figure("Discretized", discretized, &format!("the same weights, pruned, not retrained{at_discretized}")))
            div.arrow {
                @match run.training.last() {
                    Some(last) => { span { "retrained for" } b { (counted(last.epoch, "epoch")) } }
                    None => span { "retrained" },
                }
            }
            (figure("Retrained", retrained, &format!("the final network, trained from scratch, on {test}{interval}")))
        }
    }
}

/// The final measurement, or the last one from the search, marked as such.
fn final_or_monitored(value: Option<f64>, monitored: Option<(f64, usize)>) -> (Option<f64>, String) {
    match (value, monitored) {
        (Some(value), _) => (Some(value), String::new()),
        (None, Some((value, epoch))) => (Some(value), format!("; measured in the search after epoch {epoch}")),
        (None, None) => (None, String::new()),
    }
}

fn figure(name: &str, value: Option<f64>, caption: &str) -> Markup {
    html! {
        div.number {
            h3 { (name) }
            @match value {
                Some(value) => p.big { (format!("{value:.2}")) span.unit { " %" } },
                None => p.big.none { "–" },
            }
            p.caption { (caption) }
        }
    }
}

/// One sentence, and the undecided edges if there are any.
fn verdict(run: &Run) -> Markup {
    let Some(genotype) = &run.genotype else { return html! {} };
    let measured = run.gap.as_ref().map(|gap| &gap.as_trained);
    let loss = measured.and_then(|m| Some((m.supernet?, m.both?)));
    let cost = match loss {
        Some((before, after)) if before - after > 0.004 => {
            format!(
                "Pruning took {} points from {}. ",
                points(before - after),
                percent(before)
            )
        }
        Some((before, after)) if before - after < -0.004 => {
            format!(
                "Pruning added {} points to {}. ",
                points(after - before),
                percent(before)
            )
        }
        Some((before, _)) => format!("Pruning changed nothing: {} before and after. ", percent(before)),
        None => String::new(),
    };
    let least = |name: &str, value: Option<f64>| value.map(|value| format!("{name}\u{a0}{value:.3}"));
    let least = [least("p", genotype.p_least), least("q", genotype.q_least)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
    let least = if least.is_empty() {
        String::new()
    } else {
        format!(" (least: {})", least.join(", "))
    };
    html! {
        div.verdict {
            p {
                @match genotype.decided {
                    Some(true) => {
                        span.pill.decided { "✓ decided" } (cost)
                        "Every kept edge and operation already had all the weight before pruning" (least) "."
                    },
                    Some(false) => {
                        span.pill.undecided { "! undecided" } (cost)
                        "The search ended before every edge was decided" (least) "."
                    },
                    None => (cost),
                }
            }
            @let (first, rest) = genotype.undecided.split_at(genotype.undecided.len().min(MOST_UNDECIDED));
            @if !first.is_empty() { ul { @for edge in first { li { (edge) } } } }
            @if !rest.is_empty() {
                details {
                    summary { "and " (rest.len()) " more undecided choices" }
                    ul { @for edge in rest { li { (edge) } } }
                }
            }
        }
    }
}

/// The gap, with a minus sign if pruning gained accuracy.
fn gap(loss: f64) -> String {
    match points(loss.abs()) {
        nothing if nothing == points(0.0) => nothing,
        size if loss < 0.0 => format!("−{size}"),
        size => size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_that_rounds_to_zero_has_no_sign() {
        assert_eq!([0.0, -0.001, 1.5, -0.1].map(gap), ["0.00", "0.00", "1.50", "−0.10"]);
    }
}
