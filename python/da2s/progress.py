"""Events during a stage, as passed to ``on_progress``.

Contract: accuracies are in percent, the gap in points; epochs and steps count from 1. ``on_progress`` is called in order, in the thread
that called da2s. The run waits for it; an exception that it raises stops the run after the current step.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Type, TypeVar, Union

from .plan import Plan, TrainingPlan, plan_of, training_of

T = TypeVar("T")


@dataclass(frozen=True)
class Started:
    """A stage begins: ``search``, ``discretize``, ``train`` or ``evaluate``."""

    stage: str
    #: Planned epochs.
    epochs: int
    #: Finished epochs, if it resumes.
    resumed_at: int


@dataclass(frozen=True)
class Seed:
    """The training of the final network from another seed begins; the events that follow are its own."""

    #: The seed.
    seed: int
    #: Its position among the trainings, from 1, and their number; the first was that of the run's own network.
    place: int
    trainings: int


@dataclass(frozen=True)
class Baseline:
    """The training of a plain network begins; the events that follow are its own."""

    #: Its name.
    network: str
    #: The channels of its stem.
    channels: int


@dataclass(frozen=True)
class FrontNetwork:
    """The training of a network of a front begins; the events that follow are its own."""

    #: Its name.
    name: str
    #: Its position among the requested networks, from 1, and their number.
    place: int
    networks: int


@dataclass(frozen=True)
class Step:
    """A step has finished."""

    stage: str
    epoch: int
    step: int
    #: Steps per epoch.
    steps: int
    #: Mean cross-entropy in this epoch so far.
    loss: float
    #: Mean training accuracy in this epoch so far.
    accuracy: float


@dataclass(frozen=True)
class Term:
    """A term that a method adds to the loss."""

    name: str
    #: The factor that multiplies its value.
    weight: float
    value: float


@dataclass(frozen=True)
class SearchEpoch:
    """An epoch of the search has finished: a line of ``search/metrics.jsonl``."""

    epoch: int
    epochs: int
    steps: int
    learning_rate: float
    alpha_rate: float
    beta_rate: float
    weight_loss: float
    arch_loss: Optional[float]
    cross_entropy: float
    train_accuracy: float
    #: Accuracy of the super-network on held-out images.
    supernet_accuracy: float
    #: The same after pruning.
    discretized_accuracy: float
    gap: float
    #: λ, λ_c(t) and λ_α(t), the weights of the regulariser and its terms.
    lambda_: float
    lambda_c: float
    lambda_alpha: float
    #: The sum of all terms added to the loss.
    regulariser: float
    #: The method's own terms, without those that λ, λ_c and λ_α weight.
    terms: List[Term]
    path_position: Optional[float]
    path_p: Optional[float]
    expected_cost: Optional[float]
    entropy_operations: float
    entropy_edges: float
    cardinality: float
    p_mean: float
    p_least: float
    q_mean: float
    q_least: float
    #: Operations and edges removed for good at the end of the epoch, and the points of accuracy that this cost.
    removed_operations: Optional[int]
    removed_edges: Optional[int]
    removal_gap: Optional[float]
    gradient_norm: float


@dataclass(frozen=True)
class TuningEpoch:
    """An epoch of tuning after a decision of a rule has finished: a line of ``tuning/metrics.jsonl``."""

    epoch: int
    epochs: int
    #: Number of the last decision, from 1, and the number of all decisions.
    decision: int
    decisions: int
    #: The kind of cell of this decision.
    kind: str
    #: What it chose between: the operations of an edge, or edges.
    choice: str
    #: What it kept: operations, or edges.
    kept: List[str]
    learning_rate: float
    cross_entropy: float
    train_accuracy: float
    #: Accuracy on the held-out images of the rule, with all decisions until now.
    accuracy: float
    #: Edges whose skip connection is excluded after this epoch, because the genotype has too many: everything is decided again.
    excluded: List[str]


@dataclass(frozen=True)
class TrainEpoch:
    """An epoch of the training of the final network has finished: a line of ``network/metrics.jsonl``."""

    epoch: int
    epochs: int
    steps: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    validation_accuracy: Optional[float]
    drop_path: float
    gradient_norm: float


@dataclass(frozen=True)
class Accuracies:
    """Accuracies on held-out images: of the super-network, and after pruning operations, edges, or both."""

    supernet: float
    operations: float
    edges: float
    both: float


@dataclass(frozen=True)
class Removed:
    """What a search removed for good before its end."""

    operations: int
    edges: int
    #: Points of accuracy that this cost: the sum over the removals, each measured when it was made.
    points: Optional[float]


@dataclass(frozen=True)
class Gap:
    """The cost of pruning, with batch-norm statistics as trained and recalibrated."""

    #: Number of held-out images.
    images: int
    as_trained: Accuracies
    recalibrated: Accuracies
    #: ``None`` if the search removed nothing before its end.
    removed: Optional[Removed] = None

    @property
    def points(self) -> float:
        """Super-network minus discretized, statistics as trained."""
        return self.as_trained.supernet - self.as_trained.both


@dataclass(frozen=True)
class NewLength:
    """The training has another number of epochs from now on, so that its run ends in the time that it was given."""

    #: Completed epochs.
    done: int
    #: The number of epochs.
    epochs: int
    #: The number before.
    before: int


@dataclass(frozen=True)
class Widened:
    """The final network was widened after the search, since the limits of the target allow that."""

    #: Channels before and after.
    from_: int
    channels: int
    #: The limit of which the network uses the largest share: what it limits, and that share in percent.
    limit_on: str
    limit_percent: Optional[float]


#: The events that ``on_progress`` receives.
Progress = Union[Plan, TrainingPlan, Started, Seed, Baseline, FrontNetwork, Step, SearchEpoch, TuningEpoch, TrainEpoch, NewLength, Gap, Widened]

_CLASSES: Dict[str, Type[Any]] = {
    kind.__name__: kind
    for kind in (Started, Seed, Baseline, FrontNetwork, Step, SearchEpoch, TuningEpoch, TrainEpoch, NewLength, Widened)
}


def gap_of(fields: Dict[str, Any]) -> Gap:
    """The gap from the fields of ``gap.json``."""
    parts = {name: of_fields(Accuracies, fields[name]) for name in ("as_trained", "recalibrated")}
    removed = fields.get("removed")
    return Gap(images=fields["images"], removed=removed and of_fields(Removed, removed), **parts)


def of_fields(kind: Type[T], fields: Dict[str, Any]) -> T:
    """A ``kind`` with these fields; unknown fields are ignored."""
    fields = {f"{name}_" if name in ("lambda", "from") else name: value for name, value in fields.items()}
    if kind is SearchEpoch:
        fields["terms"] = [of_fields(Term, term) for term in fields.get("terms", [])]
    return kind(**{field.name: fields.get(field.name) for field in dataclasses.fields(kind)})  # type: ignore[arg-type]


def listener(on_progress: Optional[Callable[[Progress], object]]) -> Optional[Callable[[str, str], None]]:
    """The callback for the library: it receives the class of an event and its fields as JSON."""
    if on_progress is None:
        return None

    def listen(kind: str, text: str) -> None:
        on_progress(_event(kind, text))

    return listen


def _event(kind: str, text: str) -> Progress:
    """The event of this class with the fields in ``text``."""
    if kind == "Plan":
        return plan_of(text)
    if kind == "TrainingPlan":
        return training_of(text)
    fields = json.loads(text)
    event: Progress = gap_of(fields) if kind == "Gap" else of_fields(_CLASSES[kind], fields)
    return event
