"""Progress bars for notebooks and terminals: ``da2s.run(..., on_progress=da2s.Bars())``.

Contract: with tqdm installed there is a bar for each search and each training, on the standard error; without it, a line after each epoch.
Lines, the plan and the gap are on the standard output.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, Optional

from .plan import Plan, TrainingPlan
from .progress import Baseline, FrontNetwork, Gap, NewLength, Progress, SearchEpoch, Seed, Started, Step, TrainEpoch, TuningEpoch, Widened

#: Stages that have epochs.
_WITH_EPOCHS = ("search", "discretize", "train")


class Bars:
    """A listener that shows the progress of a run."""

    def __init__(self) -> None:
        self._tqdm = _tqdm()
        self._bar: Optional[Any] = None
        #: The suffix of a bar's title that names a seed, a baseline or a network of a front; empty for the run's own network.
        self._whose = ""
        self._started: Optional[Started] = None

    def __call__(self, event: Progress) -> None:
        """Shows an event."""
        if isinstance(event, Plan):
            self._whose = ""
            print(event)
        elif isinstance(event, TrainingPlan):
            print(f"train: {event.epochs} epochs fit into the remaining time; {event.planned} were planned")
        elif isinstance(event, Seed):
            self._whose = f", seed {event.seed}"
        elif isinstance(event, Baseline):
            self._whose = f", {event.network}"
        elif isinstance(event, FrontNetwork):
            self._whose = f", {event.name}"
        elif isinstance(event, Started):
            self.close()
            self._started = event
            if event.stage in ("search", "evaluate"):
                self._whose = ""
        elif isinstance(event, Step):
            self._step(event)
        elif isinstance(event, NewLength):
            self.close()
            self._started = replace(self._started, epochs=event.epochs, resumed_at=event.done) if self._started else None
            print(f"train: {event.epochs} epochs instead of {event.before}, to end in the given time")
        elif isinstance(event, Gap):
            self.close()
            print(f"gap {event.points:.2f} points")
        elif isinstance(event, Widened):
            print(f"the final network is widened from {event.from_} to {event.channels} channels")
        else:
            self._epoch(event)

    def close(self) -> None:
        """Ends the current bar; the next stage begins its own."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _step(self, event: Step) -> None:
        if self._tqdm is None or event.stage not in _WITH_EPOCHS or self._started is None:
            return
        if self._bar is None:
            total = self._started.epochs * event.steps
            done = self._started.resumed_at * event.steps
            # An undecided search may get more epochs; its bar then has more steps.
            self._bar = self._tqdm(total=total, initial=done, desc=event.stage + self._whose, unit="step")
        at = (event.epoch - 1) * event.steps + event.step
        self._bar.total = max(self._bar.total, at)
        self._bar.update(at - self._bar.n)

    def _epoch(self, event: "SearchEpoch | TuningEpoch | TrainEpoch") -> None:
        if isinstance(event, SearchEpoch):
            stage, text = "search", f"super-network {event.supernet_accuracy:.1f} %, gap {event.gap:.1f}"
        elif isinstance(event, TuningEpoch):
            decision = f"decision {event.decision} of {event.decisions}"
            stage, text = "discretize", f"{decision}, held-out images {event.accuracy:.1f} %"
        else:
            stage, text = "train", f"training images {event.train_accuracy:.1f} %"
            if event.validation_accuracy is not None:
                text += f", validation {event.validation_accuracy:.1f} %"
        if self._bar is not None:
            self._bar.set_postfix_str(text)
            if isinstance(event, TrainEpoch) and event.epoch == event.epochs:
                self.close()
        elif self._tqdm is None:
            print(f"{stage}{self._whose}: epoch {event.epoch} of {event.epochs}: {text}", flush=True)


def _tqdm() -> Optional[Any]:
    """tqdm's bar for notebooks or terminals; ``None`` if it is not installed."""
    try:
        with warnings.catch_warnings():
            # In a notebook without widgets it warns, and draws with text.
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm
