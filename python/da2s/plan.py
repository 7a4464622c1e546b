"""The plan of a run: what was found, what was chosen for its time, and how long each stage will take.

Contract: times are in seconds, of the machine that measured them. A setting that was requested is never chosen.
"""

from __future__ import annotations

import dataclasses
import html
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Dict, List, Optional, Union

from .errors import ConfigError

#: A time: a text with its unit, such as ``"30m"``, ``"8h"`` or ``"1h30m"``, or a ``timedelta``.
Time = Union[str, timedelta]


@dataclass(frozen=True)
class Lesson:
    """The size and the length of a search or a training."""

    channels: int
    #: Cells; a chain of blocks counts as one.
    cells: int
    #: The most blocks that each stage of a chain can have; empty for cells.
    depth: List[int]
    epochs: int
    #: Steps per epoch.
    steps: int
    #: Images per step.
    batch: int
    #: Measured time of a step.
    step_s: float
    #: Memory of a step.
    memory_bytes: int


@dataclass(frozen=True)
class StageTime:
    """How long a stage will take."""

    #: ``search``, ``discretize``, ``train``, ``evaluate`` or ``report``.
    stage: str
    #: Whose stage it is: ``run``, ``seed`` (the same network from another seed) or ``baseline``.
    network: str
    time_s: float


@dataclass(frozen=True)
class TrainingPlan:
    """The number of training epochs that was chosen for the network that the search has found."""

    epochs: int
    #: The number that was planned before the search.
    planned: int
    #: Whether the run ends in its time with this number.
    fits: bool
    #: The remaining stages.
    times: List[StageTime]


@dataclass(frozen=True)
class Plan:
    """The plan of a run, made before its search."""

    #: All of it in words.
    text: str = field(repr=False)
    #: The classes, each with its number of images.
    classes: Dict[str, int]
    #: Numbers of images: ``train``, ``validation`` and ``test``.
    images: Dict[str, int]
    #: The settings that were chosen.
    chosen: Dict[str, Any]
    #: Why, one sentence each.
    reasons: List[str]
    #: The search; ``None`` if a genotype or a network takes its place.
    search: Optional[Lesson]
    #: The training of the final network.
    network: Lesson
    #: The stages in their order.
    times: List[StageTime]
    #: The time in which the run must end.
    limit_s: Optional[float]
    #: Whether that is only a limit of the recipe, and not a time that was requested.
    at_most: bool
    #: What was chosen after the search; ``None`` if nothing was.
    training: Optional[TrainingPlan] = None

    @property
    def total_s(self) -> float:
        """The time of all stages."""
        return sum(stage.time_s for stage in self.times)

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text)}</pre>"


def plan_of(text: str) -> Plan:
    """The plan from its JSON."""
    fields = json.loads(text)
    search = fields["search"]
    fields.update(
        classes=dict(fields["classes"]),
        search=None if search is None else Lesson(**search),
        network=Lesson(**fields["network"]),
        times=[StageTime(**each) for each in fields["times"]],
    )
    return Plan(**fields)


def training_of(text: str) -> TrainingPlan:
    """The plan after the search, from its JSON."""
    fields = json.loads(text)
    return TrainingPlan(**{**fields, "times": [StageTime(**each) for each in fields["times"]]})


def with_training(plan: Optional[Plan], text: Optional[str]) -> Optional[Plan]:
    """The plan with what was chosen after the search, if anything was."""
    return plan if plan is None or text is None else dataclasses.replace(plan, training=training_of(text))


def text_of(time: Optional[Time]) -> Optional[str]:
    """A time as text with its unit; the library checks it."""
    if isinstance(time, timedelta):
        return f"{time.total_seconds():f}s"
    if time is not None and not isinstance(time, str):
        raise ConfigError(f'time = {time!r}: expected a text with its unit, such as "30m", "8h" or "90s", or a timedelta')
    return time
