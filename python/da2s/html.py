"""Runs and results as tables in notebooks.

Contract: everything that comes from a file is escaped; pictures are images of their own, so nothing in them is part of the notebook.
"""

from __future__ import annotations

import base64
import html
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

from . import _native

if TYPE_CHECKING:
    from .results import Run, RunResult

#: A name and its value.
Row = Tuple[str, str]
#: The pictures of a run that are shown, if it has them.
_SHOWN = ("normal-cell", "reduction-cell", "cell", "search-accuracy")


def of_run(run: "Run") -> str:
    """A run: its results or its progress, and its cells."""
    if (run.path / _native.SUMMARY).is_file():
        rows = _results(run.result)
    else:
        rows = [("search", _epochs(len(run.search_epochs()))), ("training", _epochs(len(run.train_epochs())))]
        gap = run.gap if (run.path / _native.GENOTYPE).is_file() else None
        rows += [] if gap is None else [("gap", f"{gap.points:.2f} points")]
    return _table(str(run.path), rows) + _pictures(run)


def of_result(result: "RunResult") -> str:
    """The results of a run."""
    return _table(str(result.path), _results(result))


def _results(result: "RunResult") -> List[Row]:
    interval = result.network_accuracy_interval
    accuracy = _percent(result.network_accuracy)
    if interval:
        accuracy += f" (95 % interval {interval[0]:.2f} to {interval[1]:.2f})"
    latency = result.measured_latency_ms
    rows = [
        ("data set", result.dataset),
        ("method", result.network or result.method),
        ("test accuracy", accuracy),
        ("training accuracy", _percent(result.network_train_accuracy)),
        ("super-network", _percent(result.supernet_accuracy)),
        ("discretized", _percent(result.discretized_accuracy)),
        ("gap", "" if result.gap is None else f"{result.gap:.2f} points"),
        ("int8", _percent(result.int8_accuracy)),
        ("parameters", f"{result.parameters:,}"),
        ("multiply-adds", f"{result.multiply_adds:,}"),
        ("latency here", "" if latency is None else f"{latency:.3g} ms"),
        ("genotype", result.genotype),
    ]
    for baseline in result.baselines:
        rows.append((str(baseline["network"]), _percent(baseline.get("accuracy"))))
    return [row for row in rows if row[1]]


def _pictures(run: "Run") -> str:
    """The cells that were found, and the accuracy of the search."""
    if not (run.path / _native.GENOTYPE).is_file():
        return ""
    with tempfile.TemporaryDirectory() as folder:
        drawn = {Path(path).stem: Path(path) for path in _native.draw(run.path, ["svg"], folder)}
        shown = [(name, drawn[name].read_bytes()) for name in _SHOWN if name in drawn]
    return "".join(
        f'<img alt="{name}" style="max-width: 32%" src="data:image/svg+xml;base64,{base64.b64encode(svg).decode()}">' for name, svg in shown
    )


def _table(caption: str, rows: Sequence[Row]) -> str:
    cells = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in rows)
    return f"<table><caption>{html.escape(caption)}</caption>{cells}</table>"


def _percent(value: Optional[float]) -> str:
    return "" if value is None else f"{value:.2f} %"


def _epochs(count: int) -> str:
    return f"{count} epoch" if count == 1 else f"{count} epochs"
