"""The runs of a sweep: setups and seeds, and the directory of each run.

Contract: two runs never share a directory; arguments that would cause this are refused before anything is created.
"""

from __future__ import annotations

import json
import math
import operator
import re
from itertools import product
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

from .errors import ConfigError

#: The keys of the settings that have their own argument in a sweep.
LAMBDA = "search.regulariser.lambda"
EDGES = "target.edges"
#: Settings that the sweep sets for each run, and the arguments that control them.
GIVEN = {"search.method": "methods", "run.seed": "seeds", "run.threads": "cpus_per_run"}

#: A method, and the settings that vary.
Setup = Tuple[str, Tuple[Tuple[str, Any], ...]]
#: A planned run: its setup and its seed.
Wanted = Tuple[Setup, int]
#: Values to choose among, or a range to choose from: ``(low, high)`` or ``(low, high, "log")``.
Values = Union[Sequence[Any], Tuple[float, float], Tuple[float, float, str]]


def varied_of(
    lambdas: Optional[Values], targets: Optional[Sequence[Any]], vary: Optional[Mapping[str, Values]]
) -> Dict[str, Values]:
    """The values of every setting that varies, by its key."""
    varied = dict(vary or {})
    for name, key, values in (("targets", EDGES, targets), ("lambdas", LAMBDA, lambdas)):
        if values is None:
            continue
        if key in varied:
            raise ConfigError(f"vary: {key} is also set by {name}: use only one of the two")
        varied = {key: values, **varied}
    return varied


def plain(value: Any) -> Any:
    """The same value in built-in types: a NumPy number becomes a number, an array a list."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, tuple):
        # A tuple may be a range.
        return tuple(plain(each) for each in value)
    return [plain(each) for each in value] if isinstance(value, list) else value


def seeds_of(seeds: Any) -> List[int]:
    """The given seeds, or the given number of seeds from 1."""
    seeds = plain(seeds)
    try:
        return list(range(1, seeds + 1)) if isinstance(seeds, int) else [operator.index(seed) for seed in seeds]
    except TypeError as error:
        raise ConfigError(f"seeds: expected integers, or the number of seeds from 1, found {seeds!r}") from error


def flat(settings: Mapping[str, Any], above: str = "") -> Dict[str, Any]:
    """Settings with keys such as ``search.epochs``, from nested dictionaries."""
    found: Dict[str, Any] = {}
    for key, value in settings.items():
        found.update(flat(value, f"{above}{key}.") if isinstance(value, Mapping) else {f"{above}{key}": value})
    return found


def check_given(name: str, settings: Mapping[str, Any]) -> None:
    """Refuses settings that the sweep sets itself."""
    for key in flat(settings):
        if key in GIVEN:
            raise ConfigError(f"{name}: {key}: expected {GIVEN[key]}")


def check_values(methods: Sequence[str], varied: Mapping[str, Values], seeds: Sequence[int]) -> None:
    """Refuses arguments that are not lists of values, repeated values, and settings that the sweep sets itself."""
    listed: Dict[str, Values] = {"methods": methods, **varied}
    for name, values in listed.items():
        if isinstance(values, (str, Mapping)) or not len(values):
            raise ConfigError(f"{name}: expected a list of at least one value")
    if not len(seeds):
        raise ConfigError("seeds: expected at least one")
    for name, values in {**listed, "seeds": seeds}.items():
        if name in varied and is_range(values):
            check_given("vary", {name: None})
            _check_range(name, values)
            continue
        said = set()
        for value in values:
            if name in varied:
                check_given("vary", {name: value})
            if text(value) in said:
                raise ConfigError(f"{name}: {text(value)} occurs twice: expected each value once")
            said.add(text(value))


def _check_range(name: str, ends: Values) -> None:
    """Refuses an empty or invalid range."""
    low, high = ends[0], ends[1]
    numbers = all(isinstance(end, (int, float)) and not isinstance(end, bool) and math.isfinite(end) for end in (low, high))
    if not numbers or not low < high:
        raise ConfigError(f"{name} = {ends}: expected a range of two numbers, low < high; use a list for values to choose from")
    if len(ends) == 3 and low <= 0:
        raise ConfigError(f'{name} = {ends}: expected low above 0 for "log"')


def grid(methods: Sequence[str], varied: Mapping[str, Values]) -> List[Setup]:
    """All combinations."""
    for key, values in varied.items():
        if is_range(values):
            raise ConfigError(f"{key}: a range is for a sampler; expected a list of values")
    combinations = list(product(*([(key, value) for value in values] for key, values in varied.items())))
    return [(method, settings) for method in methods for settings in combinations]


def choices(methods: Sequence[str], varied: Mapping[str, Values]) -> List[List[Setup]]:
    """The values that a sampler chooses from, one list per setting, each value as a setup."""
    listed = {key: values for key, values in varied.items() if not is_range(values)}
    found: List[List[Setup]] = [[(method, ()) for method in methods]]
    for key, values in listed.items():
        found.append([(methods[0], ((key, value),)) for value in values])
    return found


def check_directories(wanted: Iterable[Wanted]) -> None:
    """Refuses two runs in the same directory."""
    names = set()
    for setup, seed in wanted:
        name = directory(setup, seed)
        if name in names:
            raise ConfigError(f"{name}: two of the runs would have this directory: expected values that differ in letters or digits")
        names.add(name)


def is_range(values: Values) -> bool:
    """Whether values are the ends of a range: a range is a tuple, values are a list."""
    return isinstance(values, tuple) and len(values) in (2, 3) and (len(values) == 2 or values[2] == "log")


def text(value: Any) -> str:
    """A string as it is, any other value as in TOML."""
    return value if isinstance(value, str) else json.dumps(value)


def directory(setup: Setup, seed: int) -> str:
    """The name of the directory of a run."""
    method, settings = setup
    parts = [method, *(f"{key}={text(value)}" for key, value in settings), f"s{seed}"]
    return re.sub(r"[^A-Za-z0-9._=+-]+", "_", "-".join(parts)).replace("_-", "-")
