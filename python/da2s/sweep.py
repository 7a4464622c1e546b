"""Many runs on the processes and machines of a Ray cluster: seeds × λ × targets × methods, or what Optuna chooses of them.

Contract: a run is a directory below ``out``, which every machine of the cluster must see; those directories are all the state there
is, so a sweep that was stopped goes on with the same call, and a finished run of the same settings and images is not made again. A run
whose process dies, that another process works on, or that fails in a way that may pass, is retried ``retries`` times and goes on where
it was; one that cannot be (a setting, its images) is not. What comes of it is gathered as ``da2s compare`` does: ``compare.csv``,
``.json``, ``.md`` and ``.html`` in ``out``.

Needs Ray, and Optuna where it chooses: ``pip install ray optuna``. Ray: Moritz et al., OSDI 2018; Optuna: Akiba et al., KDD 2019.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

from . import _native
from .asking import PathLike, of_options
from .data import images_of
from .errors import ConfigError, Da2sError
from .results import pandas_for
from .runner import Cluster, OnProgress, SweepRun
from .sampler import check_metric, chosen_by_optuna
from .setups import Values, check_directories, check_given, check_values, choices, flat, grid, plain, seeds_of, text, varied_of

if TYPE_CHECKING:
    import pandas as pd

    from .data import Data, Labelled


@dataclass(frozen=True)
class SweepResult:
    """What a sweep came to."""

    path: Path
    #: The page that compares the runs.
    page: Path
    runs: List[SweepRun]
    #: Means, spreads and paired tests: what ``compare.json`` says.
    comparison: Dict[str, Any] = field(repr=False)

    @property
    def failed(self) -> List[SweepRun]:
        """Runs that failed."""
        return [run for run in self.runs if run.failure is not None]

    def frame(self) -> "pd.DataFrame":
        """A row a run: ``compare.csv``."""
        frame: "pd.DataFrame" = pandas_for().read_csv(self.path / "compare.csv")
        return frame

    def best(self, metric: str = "network_accuracy", mode: str = "max") -> Dict[str, Any]:
        """The setup all of whose runs finished and whose mean over the seeds is best: ``{"method": …, "settings": {…}}``, with the
        settings as they were given, as :func:`da2s.run` takes them."""
        finished = [group for group in self.comparison["groups"] if group["finished"] == group["runs"]]
        groups = [group for group in finished if metric in group["spreads"]]
        if not groups:
            raise ConfigError(f"metric = {metric}: there is no setup whose runs all finished and measured it")
        best = _choose(mode)(groups, key=lambda group: group["spreads"][metric]["mean"])["setup"]
        # A comparison holds settings as texts, the runs hold them as they were given.
        given = next(run.settings for run in self.runs if (run.method, _texts(run)) == (best["method"], best["settings"]))
        return {"method": best["method"], "settings": dict(given)}


def sweep(
    data: Optional["Data"] = None,
    *,
    out: PathLike,
    seeds: Union[int, Sequence[int]] = 3,
    methods: Sequence[str] = ("da2s",),
    lambdas: Optional[Values] = None,
    targets: Optional[Sequence[Any]] = None,
    vary: Optional[Mapping[str, Values]] = None,
    baseline: Optional[str] = None,
    search_only: bool = False,
    sampler: Optional[str] = None,
    trials: int = 20,
    metric: Optional[str] = None,
    mode: Optional[str] = None,
    retries: int = 2,
    cpus_per_run: int = 1,
    test: Optional["Labelled"] = None,
    class_names: Optional[Sequence[str]] = None,
    recipe: Optional[str] = None,
    config: Optional[PathLike] = None,
    settings: Optional[Mapping[str, Any]] = None,
    on_progress: Optional[OnProgress] = None,
    **options: Any,
) -> SweepResult:
    """Makes a run for every method, λ, target and seed, on the Ray cluster that is there or on this machine.

    ``seeds`` are a number of seeds from 1, or the seeds; ``lambdas`` values of ``search.regulariser.lambda``, ``targets`` of
    ``target.edges``, and ``vary`` of any setting. With ``sampler="optuna"`` Optuna chooses ``trials`` setups among these values,
    or from ranges ``(low, high)`` and ``(low, high, "log")``, for the best mean of ``metric`` over the seeds: by default the highest
    ``network_accuracy``, or with ``search_only`` the highest ``discretized_accuracy``. What it chooses next hangs on how many setups
    are made side by side, so a sampled sweep that was stopped goes on with the same setups only on a cluster that makes as many runs at
    a time; elsewhere it chooses others from there on. Each run takes ``cpus_per_run`` threads. ``on_progress`` is called with the name of
    the run and what happens, in the process of the run. Further arguments are those of :func:`da2s.run`, but for ``genotype``, since
    a sweep is of searches, and ``resume``: it goes on by itself.
    """
    out = Path(out).absolute()
    last_file = _native.GAP if search_only else _native.SUMMARY
    metric = metric or ("discretized_accuracy" if search_only else "network_accuracy")
    mode = mode or "max"
    _choose(mode)
    for name, instead in {"seed": "seeds", "method": "methods", "threads": "cpus_per_run"}.items():
        if name in options:
            raise ConfigError(f"{name}: expected {instead}")
    of_options(options)
    methods = plain(methods)
    varied = plain(varied_of(lambdas, targets, vary))
    seed_list = seeds_of(seeds)
    check_values(methods, varied, seed_list)
    check_given("settings", settings or {})
    check_metric(metric, search_only)
    if retries < 0 or cpus_per_run < 1 or trials < 1:
        raise ConfigError("retries must be at least 0, cpus_per_run and trials at least 1")
    if baseline is not None and baseline not in methods:
        raise ConfigError(f"baseline = {baseline}: expected one of {', '.join(methods)}")
    if sampler not in (None, "optuna"):
        raise ConfigError(f"sampler = {sampler}: expected optuna, or None for every combination")
    setups = grid(methods, varied) if sampler is None else []
    for each in [setups] if sampler is None else choices(methods, varied):
        check_directories((setup, seed) for setup in each for seed in seed_list)
    # What cannot be is found here, not in some process; arrays are looked at once.
    images_of(data, test, class_names)

    shared = {
        "data": _anchored(data),
        "test": test,
        "class_names": class_names,
        "recipe": recipe,
        "config": None if config is None else os.path.abspath(config),
        "settings": _with_absolute("data.dir", flat(settings or {})),
        "options": _with_absolute("data_dir", options),
        "threads": cpus_per_run,
        "folder": os.getcwd(),
        "search_only": search_only,
        "last_file": last_file,
    }
    cluster = Cluster(out, shared, retries, cpus_per_run, on_progress)
    out.mkdir(parents=True, exist_ok=True)
    if sampler is None:
        runs = cluster.make([(setup, seed) for setup in setups for seed in seed_list])
    else:
        runs = chosen_by_optuna(cluster, methods, varied, seed_list, trials, metric, mode)
    return _gathered(out, runs, baseline or methods[0], last_file)


def _anchored(data: Optional["Data"]) -> Optional["Data"]:
    """The same data, a folder in full: processes of other machines see it from elsewhere."""
    is_folder = isinstance(data, (str, os.PathLike)) and data not in _native.datasets()
    return os.path.abspath(data) if is_folder else data  # type: ignore[arg-type]


def _with_absolute(key: str, values: Mapping[str, Any]) -> Dict[str, Any]:
    """The same values, that of ``key`` as a path in full."""
    value = values.get(key)
    return {**values, key: os.path.abspath(value)} if isinstance(value, (str, os.PathLike)) else dict(values)


def _choose(mode: str) -> Callable[..., Any]:
    if mode not in ("max", "min"):
        raise ConfigError(f"mode = {mode}: expected max or min")
    return max if mode == "max" else min


def _gathered(out: Path, runs: Sequence[SweepRun], baseline: str, last_file: str) -> SweepResult:
    """The comparison of the runs, written and read."""
    rows = []
    for run in runs:
        rows.append((run.method, list(_texts(run).items()), run.seed, run.path.name, run.failure))
    page, comparison = _native.compare(out, _dataset(runs), baseline, last_file, rows)
    return SweepResult(out, Path(page), list(runs), json.loads(comparison))


def _texts(run: SweepRun) -> Dict[str, str]:
    """The settings that are varied, as a comparison says them."""
    return {key: text(value) for key, value in run.settings.items()}


def _dataset(runs: Sequence[SweepRun]) -> str:
    """The data set that the runs share, as far as one of them was begun."""
    for run in runs:
        try:
            return str(run.run.settings["data"]["dataset"])
        except Da2sError:
            # Not begun, or damaged.
            continue
    return "no run was begun"
