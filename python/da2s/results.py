"""A run directory and the results of each stage.

Contract: everything is read from the files of the run, so it does not matter which process made the run, or when. Accuracies are in
percent, the gap in points, times in seconds.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Sequence, Tuple, Union

from . import _native, html
from .asking import Asked, PathLike, of_options, MACHINE
from .data import planes
from .errors import ConfigError, MissingPackage, RunDirectoryError
from .plan import Plan
from .progress import Gap, SearchEpoch, TrainEpoch, gap_of, of_fields

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

#: The stages that have metrics, and their files.
_METRICS = {"search": _native.SEARCH_METRICS, "train": _native.NETWORK_METRICS}


@dataclass(frozen=True)
class Genotype:
    """The discretized architecture, and the size of its network."""

    #: The genotype as text: a DARTS genotype or a NAS-Bench-201 architecture.
    text: str
    space: str
    #: Whether the search decided on every edge.
    decided: bool
    #: The undecided choices, with the cost of pruning them.
    undecided: List[str]
    #: Smallest weight of a kept operation and of a kept edge; ``None`` if the genotype was given.
    p_least: Optional[float]
    q_least: Optional[float]
    parameters: int
    multiply_adds: int
    #: Bytes of the weights, and of the activations for one image where tensors share memory; in
    #: float32 and in int8. ``None`` in a run of an earlier version.
    size_bytes: Optional[int]
    size_int8_bytes: Optional[int]
    ram_bytes: Optional[int]
    ram_int8_bytes: Optional[int]
    #: Predicted time for one image; ``None`` without a table of latencies.
    latency_ms: Optional[float]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class ClassScores:
    """Scores of the final network on one class, in percent; ``None`` if the denominator is zero."""

    #: Name of the class: ``class`` in ``summary.json``.
    class_: str
    #: Number of test images of the class, and of test images predicted as it.
    images: int
    predicted: int
    precision: Optional[float]
    recall: Optional[float]
    f1: Optional[float]


@dataclass(frozen=True)
class Prediction:
    """The classes of an image, the most probable first, with their probabilities."""

    classes: List[Tuple[str, float]]

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.classes[0][0]

    @property
    def probability(self) -> float:
        """Its probability."""
        return self.classes[0][1]


@dataclass(frozen=True, init=False)
class Run:
    """A run directory."""

    path: Path

    def __init__(self, path: PathLike) -> None:
        object.__setattr__(self, "path", Path(path))
        if not (self.path / _native.CONFIG).is_file():
            raise RunDirectoryError(f"{self.path} is not a run directory: it has no config.toml; create one with da2s.run() or da2s.search()")

    @property
    def settings(self) -> Dict[str, Any]:
        """All settings, as nested dictionaries."""
        settings: Dict[str, Any] = json.loads(self._job().settings())
        return settings

    @property
    def result(self) -> "RunResult":
        """The results of the run; available after evaluation."""
        fields = self._json(_native.SUMMARY, "da2s.evaluate", ("dataset", "method", "seed", "genotype"))
        # Runs of earlier versions have no class scores.
        scores = [of_fields(ClassScores, {**each, "class_": each.get("class")}) for each in fields.get("class_scores", [])]
        return of_fields(RunResult, {"path": self.path, **fields, "class_scores": scores})

    @property
    def genotype(self) -> Genotype:
        """The genotype; available after discretization."""
        fields = self._json(_native.GENOTYPE, "da2s.discretize", ("genotype",))
        return of_fields(Genotype, {**fields, "text": fields["genotype"]})

    @property
    def gap(self) -> Optional[Gap]:
        """The cost of discretizing; ``None`` if the genotype was given."""
        self._json(_native.GENOTYPE, "da2s.discretize", ("genotype",))
        if self._text(_native.GAP) is None:
            return None
        return gap_of(self._json(_native.GAP, "da2s.discretize", ("images", "as_trained", "recalibrated")))

    def search_epochs(self) -> List[SearchEpoch]:
        """The epochs of the search."""
        return [of_fields(SearchEpoch, line) for line in self._lines(_native.SEARCH_METRICS)]

    def train_epochs(self) -> List[TrainEpoch]:
        """The epochs of the training of the final network."""
        return [of_fields(TrainEpoch, line) for line in self._lines(_native.NETWORK_METRICS)]

    def metrics(self, stage: str = "search") -> "pd.DataFrame":
        """The metrics of a stage, ``search`` or ``train``, one row per epoch."""
        if stage not in _METRICS:
            raise ConfigError(f"stage = {stage}: expected one of {', '.join(_METRICS)}")
        frame: "pd.DataFrame" = pandas_for().DataFrame(self._lines(_METRICS[stage]))
        return frame.set_index("epoch") if len(frame) else frame

    def arch(self) -> "pd.DataFrame":
        """α, β, p and q, one row per epoch, kind of cell, edge and candidate; epoch 0 is the state before the first step."""
        frame: "pd.DataFrame" = pandas_for().DataFrame(list(self._arch_rows()))
        return frame

    def classes(self) -> "pd.DataFrame":
        """Precision, recall and F1 of the final network, one row per class, with the numbers of test images."""
        frame: "pd.DataFrame" = pandas_for().DataFrame(self.result.as_dict()["class_scores"])
        return frame.set_index("class") if len(frame) else frame

    def mistakes(self) -> "pd.DataFrame":
        """All misclassified test images, the worst first: index, file, class, prediction and probabilities."""
        text = self._text(_native.MISTAKES_TABLE)
        if text is None:
            raise RunDirectoryError(f"{self.path / _native.MISTAKES_TABLE} is missing; call da2s.evaluate() on this directory first")
        # Classes and files are words, even if they look like numbers or like missing values.
        words = {name: str for name in ("path", "truth", "prediction")}
        frame: "pd.DataFrame" = pandas_for().read_csv(io.StringIO(text), dtype=words, keep_default_na=False)
        indexed: "pd.DataFrame" = frame.set_index("image")
        return indexed

    def calibration(self) -> "pd.DataFrame":
        """How often the final network is right, one row per bin of the probability of its predictions; in percent."""
        fields = self._json(_native.EVALUATION, "da2s.evaluate", ("images",))
        if "calibration" not in fields:
            raise RunDirectoryError(f"{self.path / _native.EVALUATION} is of an earlier version; call da2s.evaluate() on this directory again")
        frame: "pd.DataFrame" = pandas_for().DataFrame(fields["calibration"]["bins"])
        return frame

    def report(self, out: Optional[PathLike] = None) -> Path:
        """Writes the report, by default as ``report.html`` in the run directory, and returns its path."""
        path = self.path / _native.REPORT if out is None else Path(out)
        _native.report([self.path], path)
        return path

    def draw(self, formats: Sequence[str] = ("svg",), folder: Optional[PathLike] = None) -> List[Path]:
        """Draws cells and curves as ``svg``, ``png`` or ``dot``, by default into ``drawings`` in the run directory; returns the paths."""
        return [Path(path) for path in _native.draw(self.path, list(formats), folder)]

    def predict(
        self, images: "Union[PathLike, Iterable[PathLike], np.ndarray[Any, Any]]", *, top: int = 3, **machine: Any
    ) -> List[Prediction]:
        """Classifies images with the trained network: an array as in :mod:`da2s.data`, a path, or several paths."""
        if top < 1:
            raise ConfigError(f"top = {top}: expected at least 1")
        job = self._job(**machine)
        if isinstance(images, (str, os.PathLike)):
            images = [images]
        if hasattr(images, "dtype"):
            found = job.predict_arrays(*planes("predicted", images), top)
        else:
            found = job.predict_files([Path(path) for path in images], top)
        return [Prediction(classes) for classes in found]

    def export(
        self,
        format: str = "onnx",
        out: Optional[PathLike] = None,
        *,
        fold_batch_norms: bool = False,
        with_preprocessing: bool = False,
    ) -> Path:
        """Writes the trained network as ``onnx``, ``pytorch`` or ``safetensors``, by default into ``export`` in the run directory,
        and ``preprocessing.json`` beside it. ``with_preprocessing`` (onnx): the graph takes uint8 images N×H×W×3 of any size."""
        job = self._job(device="cpu", engine="auto")
        return Path(job.export(format, out, fold_batch_norms, with_preprocessing))

    def _repr_html_(self) -> str:
        return html.of_run(self)

    def _job(self, **machine: Any) -> _native.Job:
        asked = Asked(settings=of_options(machine, MACHINE))
        return _native.Job.read(self.path, asked.native())

    def _json(self, name: str, maker: str, keys: Sequence[str]) -> Dict[str, Any]:
        """The content of a file, which ``maker`` writes with these keys."""
        path = self.path / name
        try:
            text = self._text(name)
            if text is not None:
                return _fields(text, keys)
        except ValueError as error:
            raise RunDirectoryError(f"{path} is damaged: {error}") from error
        raise RunDirectoryError(f"{path} is missing; call {maker}() on this directory first")

    def _lines(self, name: str, keys: Sequence[str] = ("epoch",)) -> List[Dict[str, Any]]:
        try:
            text = self._text(name) or ""
            # A run in progress may be writing the last line.
            return [_fields(line, keys) for line in text.splitlines(keepends=True) if line.endswith("\n")]
        except ValueError as error:
            raise RunDirectoryError(f"{self.path / name} is damaged: {error}") from error

    def _text(self, name: str) -> Optional[str]:
        """The text of a file of the run; ``None`` if it does not exist."""
        contents = _native.read(self.path, name)
        return None if contents is None else contents.decode("utf-8")

    def _arch_rows(self) -> Iterable[Dict[str, Any]]:
        for line in self._lines(_native.ARCH, ("epoch", "cells")):
            for cell, record in line["cells"].items():
                edges = zip(record["edges"], record["alpha"], record["beta"], record["p"], record["q"])
                for (begin, end), alphas, beta, ps, q in edges:
                    for operation, alpha, p in zip(record["operations"], alphas, ps):
                        yield {
                            "epoch": line["epoch"],
                            "cell": cell,
                            "from": begin,
                            "to": end,
                            "operation": operation,
                            "alpha": alpha,
                            "beta": beta,
                            "p": p,
                            "q": q,
                        }


@dataclass(frozen=True)
class RunResult:
    """The results of a run: its directory and the keys of its ``summary.json``."""

    path: Path
    dataset: str
    method: str
    #: Name of the final network, if it was given and has one.
    network: Optional[str]
    #: What drove the mixture to the target; ``None`` in a run of an earlier version.
    drive: Optional[str]
    seed: int
    device: str
    #: Accuracies of the super-network on held-out training images, before and after pruning.
    supernet_accuracy: Optional[float]
    discretized_operations_accuracy: Optional[float]
    discretized_edges_accuracy: Optional[float]
    discretized_accuracy: Optional[float]
    discretized_recalibrated_accuracy: Optional[float]
    #: Super-network minus discretized; ``None`` if the genotype was given.
    gap: Optional[float]
    #: What the search removed before its end, and the points that this cost; ``None`` if nothing.
    removed_operations: Optional[int]
    removed_edges: Optional[int]
    removal_gap: Optional[float]
    genotype: str
    decided: bool
    p_least: Optional[float]
    q_least: Optional[float]
    #: Accuracy of the final network on the test images, and its 95 % interval.
    network_accuracy: Optional[float]
    network_accuracy_interval: Optional[List[float]]
    #: The same in int8, and the points that this costs; ``None`` if the network was not quantised.
    int8_accuracy: Optional[float]
    int8_accuracy_interval: Optional[List[float]]
    int8_gap: Optional[float]
    #: Its accuracy on images that it was trained on; ``None`` for imported weights.
    network_train_accuracy: Optional[float]
    #: Its expected calibration error, in points.
    network_calibration_error: Optional[float]
    #: Its mean recall over the classes.
    network_balanced_accuracy: Optional[float]
    #: Scores per class.
    class_scores: List[ClassScores]
    #: How the network became wider after its search, with the keys of ``summary.json``; ``None`` if it did not.
    widened: Optional[Dict[str, Any]]
    parameters: int
    multiply_adds: int
    #: Bytes of the weights, and of the activations for one image where tensors share memory; in
    #: float32 and in int8. ``None`` in a run of an earlier version.
    size_bytes: Optional[int]
    size_int8_bytes: Optional[int]
    ram_bytes: Optional[int]
    ram_int8_bytes: Optional[int]
    #: Predicted time for one image; ``None`` without a table of latencies.
    latency_ms: Optional[float]
    #: Time for one image on one thread, measured on the machine that trained the network, and its processor.
    measured_latency_ms: Optional[float]
    measured_latency_machine: Optional[str]
    #: Mean and deviation of the accuracy over trainings from several seeds, with the keys of ``summary.json``; ``None`` for one.
    seeds: Optional[Dict[str, Any]]
    #: Plain networks that were trained by the same recipe, with the keys of ``summary.json``.
    baselines: List[Dict[str, Any]]
    search_time_s: Optional[float]
    train_time_s: Optional[float]
    #: The plan that :func:`da2s.run` made; ``None`` if it had nothing to choose, or if the results were read from a run directory.
    plan: Optional[Plan] = field(default=None, compare=False, repr=False)

    @property
    def run(self) -> Run:
        """The run."""
        return Run(self.path)

    def metrics(self, stage: str = "search") -> "pd.DataFrame":
        """See :meth:`Run.metrics`."""
        return self.run.metrics(stage)

    def arch(self) -> "pd.DataFrame":
        """See :meth:`Run.arch`."""
        return self.run.arch()

    def _repr_html_(self) -> str:
        return html.of_result(self)

    def as_dict(self) -> Dict[str, Any]:
        """The keys of ``summary.json`` and their values."""
        fields = dataclasses.asdict(self)
        del fields["path"], fields["plan"]
        for each in fields["class_scores"]:
            each["class"] = each.pop("class_")
        return fields


def _fields(text: str, keys: Sequence[str]) -> Dict[str, Any]:
    """Parses a JSON object; ``ValueError`` if the text is not one, or lacks one of these keys."""
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise ValueError("expected a JSON object")
    missing = [key for key in keys if key not in fields]
    if missing:
        raise ValueError(f"{', '.join(missing)} is missing")
    return fields


def pandas_for() -> Any:
    """pandas, or an error that says how to install it."""
    try:
        import pandas
    except ImportError as error:
        raise MissingPackage("frames need pandas: pip install pandas") from error
    return pandas
