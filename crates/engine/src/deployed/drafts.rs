//! Steps become drafts of operations: which tensor each reads, adds and writes, and in which phase.
//!
//! Contract: an operation is in a later phase than every operation whose result it reads. So the
//! operations of a phase are independent of each other.

use std::collections::HashMap;

use da2s_kernels::Squeeze;
use da2s_kernels::fixed::{Bounds, padded};
use da2s_plan::{ActivationFunction, ConvolutionStep, Operation as StepOperation, Step, Steps};

use super::layout::{Life, Part};

/// An operation before places are known: tensors by their numbers.
#[derive(Clone, Copy)]
pub(super) struct Draft<'a> {
    pub step: &'a Step,
    pub kind: DraftKind<'a>,
    /// The number of the step.
    pub index: usize,
    pub source: usize,
    pub added: Option<usize>,
    pub target: usize,
    pub bounds: Bounds,
}

#[derive(Clone, Copy)]
pub(super) enum DraftKind<'a> {
    Convolution(&'a ConvolutionStep),
    /// Copies the source into the target, starting at this channel of the target.
    Copy(usize),
    Pool,
    HardSwish,
    Squeeze(Squeeze),
    Zeros,
}

/// The drafts of all operations and the phase of each; for each tensor, the tensor that contains
/// it; for each containing tensor, the phases in which it is in use.
pub(super) struct Drafts<'a> {
    pub drafts: Vec<Draft<'a>>,
    pub phases: Vec<usize>,
    pub parts: Vec<Part>,
    pub lives: Vec<Life>,
}

impl<'a> Drafts<'a> {
    /// The drafts of `steps`, which must come from [`with_activated_parts`].
    pub(super) fn new(steps: &'a Steps) -> Self {
        let sums = sums(steps, &steps.readers());
        let mut parts: Vec<Part> = (0..steps.tensors()).map(|whole| Part { whole, channel: 0 }).collect();
        for (tensor, sum) in sums.iter().enumerate() {
            if let Some(sum) = *sum {
                parts[tensor].whole = sum;
            }
        }
        concatenations(steps, &mut parts);
        for at in 0..parts.len() {
            parts[at] = resolved(&parts, at);
        }
        let drafts = drafts(steps, &sums, &parts);
        let (phases, lives) = schedule(steps, &drafts, &parts);
        Self {
            drafts,
            phases,
            parts,
            lives,
        }
    }
}

/// For each tensor, the sum to which the convolution that computes it adds directly; `None` if the
/// tensor has an activation function or another reader, or is not the result of a convolution.
fn sums(steps: &Steps, readers: &[usize]) -> Vec<Option<usize>> {
    let mut into = vec![None; steps.tensors()];
    for (index, step) in steps.steps.iter().enumerate() {
        if step.operation != StepOperation::Sum {
            continue;
        }
        for &input in &step.inputs {
            let Some(before) = input.checked_sub(1).map(|at| &steps.steps[at]) else {
                continue;
            };
            let convolution = matches!(before.operation, StepOperation::Convolution(_));
            if convolution && before.activation.is_none() && readers[input] == 1 {
                into[input] = Some(index + 1);
            }
        }
    }
    into
}

/// The same steps, except that ReLU or ReLU6 is applied before a concatenation instead of after it
/// where possible: the concatenation reads an existing result of the function, or the step that
/// computes an input applies it. Such an input can be written directly to its place in the
/// concatenation.
pub(super) fn with_activated_parts(steps: &Steps) -> Steps {
    let readers = steps.readers();
    let mut changed = steps.clone();
    // For a tensor and an activation function, the tensor that is the result.
    let mut activated = HashMap::new();
    for (index, step) in steps.steps.iter().enumerate() {
        if let StepOperation::Activation(function) = step.operation {
            activated.insert((step.inputs[0], function), index + 1);
        }
        let (StepOperation::Concatenation, Some(function)) = (&step.operation, step.activation) else {
            continue;
        };
        for (at, &input) in step.inputs.iter().enumerate() {
            let Some(before) = input.checked_sub(1) else { continue };
            let takes = matches!(
                steps.steps[before].operation,
                StepOperation::Convolution(_) | StepOperation::Sum
            );
            if let Some(&limited) = activated.get(&(input, function)) {
                changed.steps[index].inputs[at] = limited;
            } else if takes && readers[input] == 1 && steps.steps[before].activation.is_none() {
                changed.steps[before].activation = Some(function);
            }
        }
    }
    changed
}

/// Whether the result of the step remains the same if `function` is applied to it.
fn is_limited(step: &Step, function: Option<ActivationFunction>) -> bool {
    let of_step = match step.operation {
        StepOperation::Activation(function) => Some(function),
        _ => step.activation,
    };
    function.is_none() || function == of_step
}

/// Makes tensors parts of the concatenation that reads them if they begin and end at the boundaries
/// of blocks of channels.
fn concatenations(steps: &Steps, parts: &mut [Part]) {
    let is_whole = |channels: usize| channels == padded(channels);
    for (index, step) in steps.steps.iter().enumerate() {
        if step.operation != StepOperation::Concatenation {
            continue;
        }
        let mut counts = HashMap::new();
        for &input in &step.inputs {
            *counts.entry(input).or_insert(0) += 1;
        }
        let mut channel = 0;
        for &input in &step.inputs {
            let channels = steps.shape(input).channels;
            let limited = input.checked_sub(1).map(|at| &steps.steps[at]);
            let limited = limited.filter(|part| is_limited(part, step.activation));
            // A concatenation does not become a part of another one: it has parts itself.
            let may = matches!(
                limited.map(|part| &part.operation),
                Some(
                    StepOperation::Convolution(_)
                        | StepOperation::Sum
                        | StepOperation::Pool { .. }
                        | StepOperation::Activation(_)
                )
            );
            if may
                && counts[&input] == 1
                && is_whole(channels)
                && channel == padded(channel)
                && parts[input].whole == input
            {
                parts[input] = Part {
                    whole: index + 1,
                    channel,
                };
            }
            channel += channels;
        }
    }
}

/// The outermost tensor that contains `at`.
fn resolved(parts: &[Part], at: usize) -> Part {
    let mut part = Part { whole: at, channel: 0 };
    while parts[part.whole].whole != part.whole {
        let next = parts[part.whole];
        part = Part {
            whole: next.whole,
            channel: part.channel + next.channel,
        };
    }
    part
}

fn bounds(function: Option<ActivationFunction>) -> Bounds {
    match function {
        Some(ActivationFunction::Relu) => Bounds::RELU,
        Some(ActivationFunction::Relu6) => Bounds::RELU6,
        Some(ActivationFunction::HardSwish) | None => Bounds::NONE,
    }
}

/// How the terms of a sum are added up in the sum's place.
#[derive(Debug, Default)]
struct Terms {
    /// Convolutions that write to this place, in their order. Each but the first adds the previous
    /// value of the place to its result.
    convolutions: Vec<usize>,
    /// The tensor that the first convolution adds.
    with_first: Option<usize>,
    /// Tensors that are added after the convolutions.
    left: Vec<usize>,
}

impl Terms {
    fn new(inputs: &[usize], sums: &[Option<usize>]) -> Self {
        let (mut convolutions, mut left): (Vec<usize>, Vec<usize>) =
            inputs.iter().partition(|&&input| sums[input].is_some());
        convolutions.sort_unstable();
        let first = convolutions.first().copied();
        // The first convolution can only add a tensor that is computed before it.
        let there = first.and_then(|first| left.iter().position(|&other| other < first));
        Self {
            with_first: there.map(|at| left.remove(at)),
            convolutions,
            left,
        }
    }
}

/// The operations of all steps, in their order.
fn drafts<'a>(steps: &'a Steps, sums: &[Option<usize>], parts: &[Part]) -> Vec<Draft<'a>> {
    let terms = steps.steps.iter().map(|step| match step.operation {
        StepOperation::Sum => Terms::new(&step.inputs, sums),
        _ => Terms::default(),
    });
    let terms: Vec<Terms> = terms.collect();
    let mut drafts: Vec<Draft<'a>> = Vec::new();
    for (index, step) in steps.steps.iter().enumerate() {
        let tensor = index + 1;
        let source = step.inputs.first().copied().unwrap_or(0);
        let whole = Draft {
            step,
            kind: DraftKind::Zeros,
            index,
            source,
            added: None,
            target: tensor,
            bounds: bounds(step.activation),
        };
        match &step.operation {
            StepOperation::Convolution(one) => {
                let kind = DraftKind::Convolution(one);
                let Some(sum) = sums[tensor] else {
                    drafts.push(Draft { kind, ..whole });
                    continue;
                };
                let terms = &terms[sum - 1];
                let is_first = terms.convolutions.first() == Some(&tensor);
                let is_last = terms.convolutions.last() == Some(&tensor) && terms.left.is_empty();
                drafts.push(Draft {
                    kind,
                    added: if is_first { terms.with_first } else { Some(sum) },
                    target: sum,
                    bounds: if is_last {
                        bounds(steps.steps[sum - 1].activation)
                    } else {
                        Bounds::NONE
                    },
                    ..whole
                });
            }
            StepOperation::Sum => {
                let terms = &terms[index];
                let mut is_begun = !terms.convolutions.is_empty();
                let mut left = terms.left.iter().copied().peekable();
                while let Some(source) = left.next() {
                    let added = if is_begun { Some(tensor) } else { left.next() };
                    is_begun = true;
                    let is_last = left.peek().is_none();
                    drafts.push(Draft {
                        kind: DraftKind::Copy(0),
                        source,
                        added,
                        bounds: if is_last { whole.bounds } else { Bounds::NONE },
                        ..whole
                    });
                }
            }
            StepOperation::Concatenation => {
                let mut channel = 0;
                for &source in &step.inputs {
                    if parts[source].whole != parts[tensor].whole {
                        let kind = DraftKind::Copy(channel);
                        drafts.push(Draft { kind, source, ..whole });
                    }
                    channel += steps.shape(source).channels;
                }
            }
            StepOperation::Activation(ActivationFunction::HardSwish) => {
                let kind = DraftKind::HardSwish;
                drafts.push(Draft { kind, ..whole });
            }
            StepOperation::Activation(function) => drafts.push(Draft {
                kind: DraftKind::Copy(0),
                bounds: bounds(Some(*function)),
                ..whole
            }),
            StepOperation::Pool { .. } => {
                let kind = DraftKind::Pool;
                drafts.push(Draft { kind, ..whole });
            }
            StepOperation::Squeeze(one) => {
                let kind = DraftKind::Squeeze(Squeeze {
                    channels: one.channels,
                    squeezed: one.squeezed,
                });
                drafts.push(Draft { kind, ..whole });
            }
            StepOperation::Zeros => drafts.push(whole),
        }
    }
    drafts
}

/// The phase of each operation, and the phases in which each whole tensor is in use.
fn schedule(steps: &Steps, drafts: &[Draft<'_>], parts: &[Part]) -> (Vec<usize>, Vec<Life>) {
    // The last phase that writes to each tensor, so far; the image is there from phase 0 on.
    let mut written = vec![0; steps.tensors()];
    let mut lives: Vec<Life> = vec![(usize::MAX, 0); steps.tensors()];
    lives[parts[0].whole].0 = 0;
    let mut levels = Vec::with_capacity(drafts.len());
    // A concatenation is complete when its parts are.
    let complete = |written: &[usize], tensor: usize| {
        let of_parts = match tensor.checked_sub(1).map(|at| &steps.steps[at]) {
            Some(step) if step.operation == StepOperation::Concatenation => {
                step.inputs.iter().map(|&input| written[input]).max().unwrap_or(0)
            }
            _ => 0,
        };
        of_parts.max(written[tensor])
    };
    for draft in drafts {
        let reads = [Some(draft.source), draft.added].into_iter().flatten();
        let zeros = matches!(draft.kind, DraftKind::Zeros);
        let before = reads
            .clone()
            .filter(|_| !zeros)
            .map(|tensor| complete(&written, tensor));
        let level = 1 + before.max().unwrap_or(0);
        written[draft.target] = written[draft.target].max(level);
        let target = &mut lives[parts[draft.target].whole];
        *target = (target.0.min(level), target.1.max(level));
        for tensor in reads.filter(|_| !zeros) {
            let source = &mut lives[parts[tensor].whole];
            source.1 = source.1.max(level);
        }
        levels.push(level);
    }
    lives[parts[steps.output].whole].1 = usize::MAX;
    (levels, lives)
}
