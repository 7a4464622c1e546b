"""Other networks of a run: several sizes of what its search found (:func:`front`), and the trained network in int8 (:func:`quantise`).

Contract: both write the same files as the command of the same name. Accuracies are in percent, differences in points, latencies in
milliseconds.
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from numbers import Number
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, TypeVar, Union

from .asking import OPTIONS, PathLike
from .errors import ConfigError
from .progress import listener, of_fields
from .results import Run
from .stages import AnyRun, OnProgress, opened

if TYPE_CHECKING:
    from .data import Labelled

T = TypeVar("T")
#: One value, or several.
Several = Union[T, Sequence[T]]


@dataclass(frozen=True)
class FrontPoint:
    """A network of a front."""

    name: str
    #: The directory of its run.
    path: Path
    #: The requests that it was trained for; empty for networks of earlier requests.
    requested: List[str]
    #: Its channels, also as a multiple of those of the run's own network.
    width: float
    channels: int
    #: Cells; ``None`` for a chain, whose stages have the layers in ``depth``.
    cells: Optional[int]
    depth: List[int]
    #: On the test images, with Wilson's 95 % interval.
    accuracy: Optional[float]
    accuracy_interval: Optional[List[float]]
    #: Whether the accuracy is not significantly better than that of always choosing the most frequent class; such a network is on no front.
    at_chance: bool
    parameters: Optional[int]
    multiply_adds: Optional[int]
    size_bytes: Optional[int]
    size_int8_bytes: Optional[int]
    ram_bytes: Optional[int]
    ram_int8_bytes: Optional[int]
    #: Time for one image.
    latency_ms: Optional[float]
    train_time_s: Optional[float]
    #: Whether no other network beats it in accuracy and a cost, for each cost: ``multiply_adds``, ``size``, ``ram``, ``latency``; and for
    #: all costs together: ``overall``.
    on_front: Dict[str, bool]

    @property
    def run(self) -> Run:
        """Its run."""
        return Run(self.path)


@dataclass(frozen=True)
class Front:
    """Several networks of one search: the content of ``front/front.json``."""

    #: The page with the pictures.
    page: Path
    dataset: str
    seed: int
    #: Epochs of the training of each.
    epochs: int
    #: The number format for which size and memory are compared: ``float32`` or ``int8``.
    precision: str
    #: Where the latencies are from: ``measured``, ``threads``, ``engine``, ``machine``.
    latency: Dict[str, Any]
    #: Accuracy of always choosing the most frequent class of the test images.
    chance: Optional[float]
    #: The networks, the cheapest first.
    points: List[FrontPoint]


@dataclass(frozen=True)
class Int8:
    """The trained network in int8, on the test images: the content of ``network/int8.json``, and its files."""

    #: Number of training images from which the ranges of the activations were computed, and the rule: ``mse`` or ``minmax``.
    calibration_images: int
    range: str
    #: Test images.
    images: int
    float32_accuracy: float
    accuracy: float
    #: Wilson's 95 % interval.
    accuracy_interval: List[float]
    #: What int8 costs: ``float32_accuracy`` minus ``accuracy``.
    gap: float
    #: Test images that only one of the two classifies correctly.
    only_float32: Optional[int]
    only_int8: Optional[int]
    #: Bytes of weights, biases and scales.
    size_bytes: int
    #: The file for ``da2s-infer``, and the one for ONNX.
    safetensors: Path
    onnx: Path


def front(
    run: AnyRun,
    *,
    widths: Several[float] = (),
    cells: Several[int] = (),
    depths: Union[int, Sequence[Union[int, Sequence[int]]]] = (),
    max_multiply_adds: Several[int] = (),
    max_parameters: Several[int] = (),
    max_size: Several[Union[int, str]] = (),
    max_ram: Several[Union[int, str]] = (),
    max_latency: Several[Union[float, str]] = (),
    latency_table: Optional[PathLike] = None,
    epochs: Optional[int] = None,
    data: Optional["Labelled"] = None,
    test: Optional["Labelled"] = None,
    class_names: Optional[Sequence[str]] = None,
    data_dir: Optional[PathLike] = None,
    on_progress: Optional[OnProgress] = None,
    **machine: Any,
) -> Front:
    """Trains networks of a run's search at several sizes, and says which of them no other one beats.

    ``widths`` are multiples of the run's ``network.channels`` (by default 0.5, 0.75, 1 and 1.5, or none if there is a limit). For each
    limit (``max_size="200KB"``, ``max_multiply_adds=[5_000_000, 10_000_000]``, …) the widest network within it is trained. Each of
    these networks is trained with each number of ``cells``, or with each of the ``depths``: numbers of layers that the stages of a
    chain keep, such as ``2`` or ``(2, 3, 3, 2)``.
    ``epochs`` and ``latency_table`` replace those of the run; without a table, latencies are measured here. Networks that are
    trained already are not trained again. Further arguments as for :func:`da2s.discretize`.
    """
    limits = {
        "max_multiply_adds": max_multiply_adds,
        "max_parameters": max_parameters,
        "max_size": max_size,
        "max_ram": max_ram,
        "max_latency": max_latency,
    }
    networks = {
        "widths": _several(widths),
        "cells": _several(cells),
        "depths": _several(depths),
        "limits": [(name, OPTIONS[name], value) for name, values in limits.items() for value in _several(values)],
    }
    more = [
        (name, OPTIONS[key], value)
        for name, key, value in (("epochs", "train_epochs", epochs), ("latency_table", "latency_table", latency_table))
        if value is not None
    ]
    with closing(opened("front", run, False, data, test, class_names, data_dir, machine, more)) as job:
        text, page = job.front(networks, listener(on_progress))
        fields = json.loads(text)
        points = [of_fields(FrontPoint, {**each, "path": Path(job.path) / each["directory"]}) for each in fields["points"]]
        return of_fields(Front, {**fields, "page": Path(page), "points": points})


def quantise(
    run: AnyRun,
    *,
    images: int = 512,
    range: str = "mse",
    data: Optional["Labelled"] = None,
    test: Optional["Labelled"] = None,
    class_names: Optional[Sequence[str]] = None,
    data_dir: Optional[PathLike] = None,
    threads: Optional[int] = None,
) -> Int8:
    """Quantises the trained network of a run to int8, and measures it on the test images.

    ``images`` is the number of training images from which the ranges of the activations are computed. With ``"mse"``, a range is the one
    with the smallest mean squared error; with ``"minmax"``, it is from the smallest to the largest value. Further arguments as for
    :func:`da2s.discretize`.
    """
    if images < 1:
        raise ConfigError(f"images = {images}: expected at least 1")
    with closing(opened("quantise", run, False, data, test, class_names, data_dir, {"threads": threads})) as job:
        text, (safetensors, onnx) = job.quantise(images, range)
    return of_fields(Int8, {**json.loads(text), "safetensors": Path(safetensors), "onnx": Path(onnx)})


def _several(values: Any) -> List[Any]:
    """``values`` as a list: of one, if it is a number or a text."""
    return [values] if isinstance(values, (Number, str)) else list(values)
