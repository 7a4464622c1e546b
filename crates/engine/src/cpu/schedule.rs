//! The order of work: sweeps over the batch, each a list of steps that every image goes through.
//!
//! Images are independent within a sweep. Sums over the batch are computed between sweeps
//! (statistics of batch norms, their gradients, gradients of weights). Units are processed in
//! groups of limited size: the steps of a group share what they read of a node, and the memory that
//! groups use in turn stays small enough for the last-level cache.

use super::compiled::{ChainOperation, Compiled, Storage, Unit};
use super::memory::{Arena, Tensor};

/// One operation on an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Sets a node's state to zero (nothing flows into it).
    Clear(usize),
    /// Computes a shared pooling and its moments.
    Pool(usize),
    /// Computes a stage of a unit and its moments.
    Stage { unit: usize, stage: usize },
    /// Adds a unit to the state of its node; the first one writes it.
    Accumulate { unit: usize, first: bool },
    /// Copies a node's state into the output.
    Output(usize),
    /// Initialises the gradient of a node, from the output or with zero.
    Begin(usize),
    /// Completes the gradient of a node from those of its ReLU and its poolings.
    Complete(usize),
    /// Recomputes the only stage of a unit.
    Again(usize),
    /// Sums of the gradient that a unit's last batch norm and its mixture weight need.
    Sums(usize),
    /// Gradient of a unit's last stage (or an inner one), down to the preceding stage or to the
    /// node that the unit reads. `first`: nothing has been written yet to the target, the gradient
    /// of the node's ReLU or pooling.
    Backward { unit: usize, stage: usize, first: bool },
}

/// Steps between two sums over the batch.
pub(super) type Sweep = Vec<Step>;

/// Limit on the memory of a group's tensors, in bytes. Smaller groups read their sources more
/// often, which costs more than the cache gains.
const GROUP_BYTES: usize = 32 << 20;

/// Live units, ordered by target node, in groups that do not depend on each other's sums.
fn groups(compiled: &Compiled, live: &[bool]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..compiled.units.len()).filter(|&unit| live[unit]).collect();
    order.sort_by_key(|&unit| (compiled.units[unit].to, compiled.units[unit].from));
    let bytes = |unit: &Unit| -> usize {
        unit.stages
            .iter()
            .filter(|stage| stage.z != Storage::State)
            .map(|stage| stage.output.len() * compiled.batch * 4)
            .sum()
    };
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut used = 0;
    for index in order {
        let unit = &compiled.units[index];
        let fits = used + bytes(unit) <= GROUP_BYTES;
        match groups.last_mut() {
            Some(group) if fits && group.iter().all(|&other| compiled.units[other].to != unit.from) => {
                group.push(index);
                used += bytes(unit);
            }
            Some(_) | None => {
                groups.push(vec![index]);
                used = bytes(unit);
            }
        }
    }
    groups
}

/// Memory that groups of units use in turn. A group writes in one sweep what the next one or two
/// sweeps read, while the next group already writes. So there are two halves, for even and odd
/// groups.
#[derive(Debug, Default)]
pub(super) struct Moving {
    /// Indexed by [`Chain::index`](super::compiled::Stage::index): the input of a norm, and the
    /// gradient of an inner stage.
    pub z: Vec<Option<Tensor>>,
    pub inner: Vec<Option<Tensor>>,
    /// Total length in floats.
    pub len: usize,
}

impl Moving {
    /// Places the tensors of the given units, and those of inner gradients if `back`.
    pub fn new(compiled: &Compiled, units: &[bool], back: bool) -> Self {
        let mut moving = Self {
            z: vec![None; compiled.stages],
            inner: vec![None; compiled.stages],
            len: 0,
        };
        let groups = groups(compiled, units);
        // The first sweep only determines the length of the longest group.
        let half = groups
            .iter()
            .map(|group| moving.group(compiled, group, back, 0))
            .max()
            .unwrap_or(0);
        for (index, group) in groups.iter().enumerate() {
            moving.len = moving.len.max(moving.group(compiled, group, back, index % 2 * half));
        }
        moving
    }

    /// Places the tensors of a group from `start` on; returns their end.
    fn group(&mut self, compiled: &Compiled, group: &[usize], back: bool, start: usize) -> usize {
        let mut arena = Arena::starting_at(compiled.batch, start);
        for stage in group.iter().flat_map(|&unit| &compiled.units[unit].stages) {
            if stage.z == Storage::Moving {
                self.z[stage.index] = Some(arena.place(stage.output.len()));
            }
            if stage.inner && back {
                self.inner[stage.index] = Some(arena.place(stage.output.len()));
            }
        }
        arena.len()
    }
}

fn longest(compiled: &Compiled, group: &[usize]) -> usize {
    group
        .iter()
        .map(|&unit| compiled.units[unit].stages.len())
        .max()
        .unwrap_or(0)
}

fn push(sweeps: &mut Vec<Sweep>, at: usize, step: Step) {
    if sweeps.len() <= at {
        sweeps.resize_with(at + 1, Vec::new);
    }
    sweeps[at].push(step);
}

/// Distributes the steps that only stream memory among those that compute, so that data arrives
/// during computation. The order within each kind does not change.
fn interleave(sweep: &mut Sweep, streams: impl Fn(&Step) -> bool, computes: impl Fn(&Step) -> bool) {
    let (streaming, rest): (Vec<Step>, Vec<Step>) = sweep.iter().partition(|step| streams(step));
    let computing = rest.iter().filter(|step| computes(step)).count();
    if streaming.is_empty() || computing == 0 {
        return;
    }
    let count = streaming.len();
    let mut streaming = streaming.into_iter();
    let (mut seen, mut placed) = (0, 0);
    sweep.clear();
    for step in rest {
        sweep.push(step);
        if computes(&step) {
            seen += 1;
            let due = seen * count / computing;
            sweep.extend(streaming.by_ref().take(due - placed));
            placed = due;
        }
    }
}

/// The sweeps of a forward pass; a single one without `barriers` (statistics given).
pub(super) fn forward(compiled: &Compiled, live: &[bool], barriers: bool) -> Vec<Sweep> {
    let mut sweeps = vec![Vec::new()];
    let mut begun = vec![false; compiled.nodes.len()];
    let mut pooled = vec![false; compiled.pools.len()];
    let reached = |node: usize| {
        compiled
            .units
            .iter()
            .zip(live)
            .any(|(unit, &live)| live && unit.to == node)
    };
    for (index, node) in compiled.nodes.iter().enumerate() {
        if node.source.is_none() && !reached(index) {
            push(&mut sweeps, 0, Step::Clear(index));
        }
    }
    let mut base = 0;
    for group in groups(compiled, live) {
        for stage in 0..longest(compiled, &group) {
            let at = if barriers { base + stage } else { 0 };
            for &index in &group {
                let unit = &compiled.units[index];
                match unit.stages.get(stage).map(|stage| &stage.operation) {
                    Some(&ChainOperation::Pool(pool)) => {
                        if !pooled[pool] {
                            push(&mut sweeps, at, Step::Pool(pool));
                            pooled[pool] = true;
                        }
                        // Coefficients are still separate for each unit.
                        push(&mut sweeps, at, Step::Stage { unit: index, stage });
                    }
                    Some(
                        ChainOperation::Identity
                        | ChainOperation::Relu
                        | ChainOperation::Activation(_)
                        | ChainOperation::Move(_)
                        | ChainOperation::Reduce { .. }
                        | ChainOperation::Dense { .. }
                        | ChainOperation::Depthwise { .. }
                        | ChainOperation::Separable { .. },
                    ) => {
                        push(&mut sweeps, at, Step::Stage { unit: index, stage });
                    }
                    None => {}
                }
            }
        }
        base += longest(compiled, &group);
        // The shorter units of the group could be added earlier, but together they are added while
        // the state is in the cache.
        for &unit in &group {
            let to = compiled.units[unit].to;
            push(
                &mut sweeps,
                if barriers { base } else { 0 },
                Step::Accumulate {
                    unit,
                    first: !begun[to],
                },
            );
            begun[to] = true;
        }
    }
    if barriers {
        for sweep in &mut sweeps {
            let read: Vec<usize> = sweep.iter().filter_map(|step| reads_node(compiled, step)).collect();
            let streams = |step: &Step| matches!(step, Step::Accumulate { unit, .. } if !read.contains(&compiled.units[*unit].to));
            interleave(sweep, streams, |step| matches!(step, Step::Stage { .. }));
        }
    }
    let last = sweeps.len() - 1;
    for (index, node) in compiled.nodes.iter().enumerate() {
        if !node.outputs.is_empty() {
            push(&mut sweeps, last, Step::Output(index));
        }
    }
    sweeps
}

/// Whether the input of a unit's only norm is recomputed for the backward pass.
fn is_moving(compiled: &Compiled, unit: usize) -> bool {
    compiled.units[unit].stages[0].z == Storage::Moving
}

/// The node whose state a forward step reads.
fn reads_node(compiled: &Compiled, step: &Step) -> Option<usize> {
    match *step {
        Step::Pool(pool) => Some(compiled.pools[pool].node),
        Step::Stage { unit, stage: 0 } | Step::Accumulate { unit, .. } => Some(compiled.units[unit].from),
        _ => None,
    }
}

/// Which gradients of nodes' ReLUs and of poolings have been written. They are written by the units
/// that read the tensor in the forward pass; the first one overwrites, the others add.
#[derive(Debug)]
pub(super) struct Written {
    pub relus: Vec<bool>,
    pub pools: Vec<bool>,
}

impl Written {
    pub fn new(compiled: &Compiled) -> Self {
        Self {
            relus: vec![false; compiled.nodes.len()],
            pools: vec![false; compiled.pools.len()],
        }
    }

    /// Records what `unit` writes; returns whether it is the first to do so.
    pub fn mark(&mut self, unit: &Unit) -> bool {
        let written = match &unit.stages[0].operation {
            ChainOperation::Pool(pool) => &mut self.pools[*pool],
            operation if operation.reads_relu() => &mut self.relus[unit.from],
            ChainOperation::Identity
            | ChainOperation::Relu
            | ChainOperation::Activation(_)
            | ChainOperation::Move(_)
            | ChainOperation::Reduce { .. }
            | ChainOperation::Dense { .. }
            | ChainOperation::Depthwise { .. }
            | ChainOperation::Separable { .. } => {
                return false;
            }
        };
        !std::mem::replace(written, true)
    }
}

/// The sweeps of a backward pass: for units whose sums are wanted, units that a gradient flows
/// through, and nodes whose gradient is wanted.
pub(super) fn backward(
    compiled: &Compiled,
    wanted_units: &[bool],
    flows: &[bool],
    wanted_nodes: &[bool],
) -> Vec<Sweep> {
    let mut sweeps = vec![Vec::new()];
    let mut begun: Vec<bool> = wanted_nodes.iter().map(|wanted| !wanted).collect();
    let mut completed = begun.clone();
    let mut written = Written::new(compiled);
    // `overwritten`: the next step writes all of the gradient.
    let mut begin = |sweeps: &mut Vec<Sweep>, at: usize, node: usize, overwritten: bool| {
        if !std::mem::replace(&mut begun[node], true) && !overwritten {
            push(sweeps, at, Step::Begin(node));
        }
    };
    let mut base = 0;
    for group in groups(compiled, wanted_units).into_iter().rev() {
        for &unit in &group {
            let to = compiled.units[unit].to;
            if !completed[to] {
                completed[to] = true;
                begin(&mut sweeps, base, to, false);
                push(&mut sweeps, base, Step::Complete(to));
            }
        }
        for &unit in &group {
            if is_moving(compiled, unit) {
                push(&mut sweeps, base, Step::Again(unit));
            }
            push(&mut sweeps, base, Step::Sums(unit));
        }
        let longest = longest(compiled, &group);
        for back in 0..longest {
            let at = base + 1 + back;
            for &unit in group.iter().filter(|&&unit| flows[unit]) {
                if let Some(stage) = compiled.units[unit].stages.len().checked_sub(back + 1) {
                    let (mut first, mut read) = (false, None);
                    if stage == 0 {
                        let unit = &compiled.units[unit];
                        first = written.mark(unit);
                        // A source has one gradient, written by its only reader.
                        let source = compiled.nodes[unit.from].source;
                        begin(&mut sweeps, at, unit.from, first && source.is_some());
                        read = source.map(|_| unit.from);
                    }
                    push(&mut sweeps, at, Step::Backward { unit, stage, first });
                    // At once, while the image and its gradient are in the cache.
                    if let Some(source) = read.filter(|&source| !completed[source]) {
                        completed[source] = true;
                        push(&mut sweeps, at, Step::Complete(source));
                    }
                }
            }
        }
        base += longest;
    }
    for sweep in &mut sweeps {
        // If this sweep completes the gradient of a node, the gradient does not exist before that,
        // so its sums are not moved.
        let complete: Vec<usize> = sweep
            .iter()
            .filter_map(|step| {
                if let Step::Complete(node) = step {
                    Some(*node)
                } else {
                    None
                }
            })
            .collect();
        let streams = |step: &Step| {
            matches!(step, Step::Sums(unit)
            if !complete.contains(&compiled.units[*unit].to) && !is_moving(compiled, *unit))
        };
        interleave(sweep, streams, |step| matches!(step, Step::Backward { .. }));
    }
    let last = sweeps.len() - 1;
    for (index, node) in compiled.nodes.iter().enumerate() {
        if node.source.is_some() && !completed[index] {
            begin(&mut sweeps, last, index, false);
            push(&mut sweeps, last, Step::Complete(index));
        }
    }
    sweeps
}
