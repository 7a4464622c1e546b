"""Setups of a sweep chosen by Optuna, and the metrics that it can optimise."""

from __future__ import annotations

import json
from statistics import fmean
from typing import Any, Dict, List, Mapping, Optional, Sequence

from . import _native
from .errors import ConfigError, MissingPackage
from .runner import Cluster, SweepRun
from .setups import LAMBDA, Setup, Values, directory, is_range

#: Metrics of a search and its discretization.
SEARCHED = (
    "gap",
    "supernet_accuracy",
    "discretized_operations_accuracy",
    "discretized_edges_accuracy",
    "discretized_accuracy",
    "discretized_recalibrated_accuracy",
)
#: Metrics of a complete run.
MEASURED = (
    *SEARCHED,
    "network_accuracy",
    "parameters",
    "multiply_adds",
    "p_least",
    "q_least",
    "search_time_s",
    "train_time_s",
)


def check_metric(metric: str, search_only: bool) -> None:
    """Refuses metrics that the runs do not measure."""
    measures = SEARCHED if search_only else MEASURED
    if metric not in measures:
        raise ConfigError(f"metric = {metric}: expected one of {', '.join(measures)}")


def chosen_by_optuna(
    cluster: Cluster,
    methods: Sequence[str],
    varied: Mapping[str, Values],
    seeds: Sequence[int],
    trials: int,
    metric: str,
    mode: str,
) -> List[SweepRun]:
    """Runs the setups that Optuna asks for, and reports to it the mean over the seeds. Optuna's own seed is the first seed."""
    try:
        import optuna
    except ImportError as error:
        raise MissingPackage("sampler='optuna' needs Optuna: pip install optuna") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    better = optuna.study.StudyDirection
    direction = better.MAXIMIZE if mode == "max" else better.MINIMIZE
    study = optuna.create_study(direction=direction, sampler=optuna.samplers.TPESampler(seed=seeds[0]))
    made: Dict[str, SweepRun] = {}
    while len(study.trials) < trials:
        # As many at a time as the cluster computes in parallel, so that each choice uses all earlier
        # results.
        asked = [study.ask() for _ in range(min(cluster.side_by_side(len(seeds)), trials - len(study.trials)))]
        setups = [_suggested(trial, methods, varied) for trial in asked]
        wanted = [(setup, seed) for setup in setups for seed in seeds]
        # Two trials may have the same setup.
        missing = {directory(*each): each for each in wanted if directory(*each) not in made}
        for run in cluster.make(list(missing.values())):
            made[run.path.name] = run
        for trial, setup in zip(asked, setups):
            values = _values([made[directory(setup, seed)] for seed in seeds], metric)
            if values is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, fmean(values))
    return list(made.values())


def _suggested(trial: Any, methods: Sequence[str], varied: Mapping[str, Values]) -> Setup:
    method = trial.suggest_categorical("method", list(methods))
    settings = []
    for key, values in varied.items():
        if is_range(values):
            low, high, log = values[0], values[1], len(values) == 3
            # λ is never an integer, however the ends of its range are written.
            whole = key != LAMBDA and isinstance(low, int) and isinstance(high, int)
            suggest = trial.suggest_int if whole else trial.suggest_float
            settings.append((key, suggest(key, low, high, log=log)))
        else:
            # Optuna accepts strings and numbers, but a value may be a list.
            texts = [json.dumps(value) for value in values]
            settings.append((key, json.loads(trial.suggest_categorical(key, texts))))
    return method, tuple(settings)


def _values(runs: Sequence[SweepRun], metric: str) -> Optional[List[float]]:
    """The metric of all runs of a setup; ``None`` if one lacks it, because a mean over fewer seeds is not comparable."""
    found = [None if run.failure is not None else _value(run, metric) for run in runs]
    values = [value for value in found if value is not None]
    return values if len(values) == len(runs) else None


def _value(run: SweepRun, metric: str) -> Optional[float]:
    """The metric of a finished run."""
    if (run.path / _native.SUMMARY).is_file():
        fields: Dict[str, Any] = run.run.result.as_dict()
    else:
        gap = run.run.gap
        rows = gap.as_trained if gap else None
        fields = {} if gap is None or rows is None else {
            "gap": gap.points,
            "supernet_accuracy": rows.supernet,
            "discretized_operations_accuracy": rows.operations,
            "discretized_edges_accuracy": rows.edges,
            "discretized_accuracy": rows.both,
            "discretized_recalibrated_accuracy": gap.recalibrated.both,
        }
    value = fields.get(metric)
    return None if value is None else float(value)
