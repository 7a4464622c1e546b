"""The runs of a sweep in the processes of a Ray cluster.

Contract: as in :mod:`da2s.sweep` for retries and existing runs. Stopping the runs waits until they have released their directories.
"""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from . import _native
from .asking import MACHINE, Asked, of_options, of_settings
from .data import images_of
from .errors import BusyError, ConfigError, DataError, GenotypeError, MissingPackage, NotFiniteError, RunDirectoryError
from .progress import Progress
from .results import Run
from .setups import Setup, Wanted, directory, flat

#: Errors for which a retry is useless: a run that diverged would diverge again with the same bits.
_FINAL = (ConfigError, DataError, GenotypeError, NotFiniteError, RunDirectoryError)
#: A callback that receives the name of a run and its events.
OnProgress = Callable[[str, Progress], object]
#: Seconds before a run tries again if another process works on its directory.
BUSY_DELAY_S = 5.0
#: Seconds that a stopped sweep waits for the current steps to finish.
STOP_WAIT_S = 60.0


@dataclass(frozen=True)
class SweepRun:
    """A run of a sweep."""

    path: Path
    method: str
    #: The settings that vary.
    settings: Dict[str, Any]
    seed: int
    #: Attempts in this call: 0 if it was finished before.
    attempts: int
    #: Why it failed; ``None`` if it finished.
    failure: Optional[str]

    @property
    def run(self) -> Run:
        """The run."""
        return Run(self.path)


class Cluster:
    """The runs of a sweep on Ray."""

    def __init__(
        self, out: Path, shared: Dict[str, Any], retries: int, cpus_per_run: int, on_progress: Optional[OnProgress]
    ) -> None:
        try:
            import ray
        except ImportError as error:
            raise MissingPackage("sweep needs Ray: pip install ray") from error
        self.ray = ray
        if not ray.is_initialized():
            ray.init(log_to_driver=False)
        most = max((node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]), default=0)
        if cpus_per_run > most:
            # Ray would wait for such a machine forever.
            raise ConfigError(f"cpus_per_run = {cpus_per_run}: expected at most {int(most)}, the largest number of any machine in the cluster")
        self.out = out
        self.retries = retries
        self.cpus_per_run = cpus_per_run
        # Images are sent to each machine once. Retries are counted here, because Ray cannot
        # distinguish crashes from invalid settings.
        self.shared = ray.put((shared, on_progress))
        self.task = ray.remote(max_retries=0, num_cpus=cpus_per_run)(_make)

    def side_by_side(self, runs: int) -> int:
        """How many setups with ``runs`` runs each the cluster can compute in parallel, at least one."""
        cpus = self.ray.cluster_resources().get("CPU", 1)
        return max(1, int(cpus // (runs * self.cpus_per_run)))

    def make(self, wanted: Sequence[Wanted]) -> List[SweepRun]:
        """Executes these runs and returns them in order; Ctrl-C stops them after their current steps."""
        attempts = [0] * len(wanted)
        failures: List[Optional[str]] = [None] * len(wanted)
        pending: Dict[Any, int] = {}

        def submit(at: int, delay: float = 0) -> None:
            setup, seed = wanted[at]
            path = str(self.out / directory(setup, seed))
            pending[self.task.remote(path, setup, seed, self.shared, delay)] = at

        try:
            for at in range(len(wanted)):
                submit(at)
            while pending:
                done, _ = self.ray.wait(list(pending), num_returns=1)
                for reference in done:
                    at = pending.pop(reference)
                    kind, failures[at] = self._outcome(reference)
                    attempts[at] += kind != "found"
                    if kind in ("again", "busy") and attempts[at] <= self.retries:
                        submit(at, BUSY_DELAY_S if kind == "busy" else 0)
        except BaseException:
            self._stop(list(pending))
            raise
        return [
            SweepRun(self.out / directory(setup, seed), setup[0], dict(setup[1]), seed, tried, failure)
            for (setup, seed), tried, failure in zip(wanted, attempts, failures)
        ]

    def _outcome(self, reference: Any) -> Tuple[str, Optional[str]]:
        """The outcome of an attempt, and the reason if it failed."""
        try:
            outcome: Tuple[str, Optional[str]] = self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            # The process or its machine has disappeared.
            return "again", f"{type(error).__name__}: {str(error).splitlines()[0]}"
        return outcome

    def _stop(self, references: List[Any]) -> None:
        """Stops the runs, and waits until they have released their directories, so that the same call can resume at once."""
        for reference in references:
            self.ray.cancel(reference)
        if references:
            self.ray.wait(references, num_returns=len(references), timeout=STOP_WAIT_S)


def _make(
    path: str, setup: Setup, seed: int, shared: Tuple[Dict[str, Any], Optional[OnProgress]], delay: float
) -> Tuple[str, Optional[str]]:
    """Creates or resumes a run in a Ray process; returns ``made``, ``found``, or ``again``, ``busy``, ``final`` with a reason."""
    from . import stages

    time.sleep(delay)
    plan, on_progress = shared
    method, varied = setup
    name = os.path.basename(path)
    options = plan["options"]
    data, arrays = plan["data"], {key: plan[key] for key in ("test", "class_names")}
    settings = {**plan["settings"], **flat(dict(varied))}
    if isinstance(settings.get("data.dir"), str):
        # Relative to the folder in which the sweep was called.
        settings["data.dir"] = os.path.join(plan["folder"], settings["data.dir"])
    # Last, so that they take precedence.
    settings.update({"search.method": method, "run.seed": seed, "run.threads": plan["threads"]})
    made = {"out": path, "resume": os.path.isdir(path), "recipe": plan["recipe"], "config": plan["config"], "settings": settings}
    listen = None if on_progress is None else lambda event: on_progress(name, event)
    try:
        # When a run resumes, settings that the call does not name come from its directory. In a
        # sweep, an existing run with other settings is an error.
        named, _ = images_of(data, **arrays)
        asked = Asked(plan["recipe"], plan["config"], [*named, *of_options(options), *of_settings(settings)])
        _native.check_settings(path, asked.native())
        if os.path.isfile(os.path.join(path, plan["last_file"])):
            with closing(stages.created("sweep", data, **arrays, **made, options=options)) as job:
                job.check_images()
            return "found", None
        if plan["search_only"]:
            run = stages.search(data, on_progress=listen, **arrays, **made, **options)
            held = {"data": data, **arrays} if isinstance(data, (tuple, list)) else {}
            machine = {name: value for name, value in options.items() if name in MACHINE}
            stages.discretize(run, on_progress=listen, **held, **machine, threads=plan["threads"])
        else:
            # Without a plan, which could choose different settings for each run: the runs of a
            # sweep must differ only in what varies.
            stages.completed(stages.created("run", data, **arrays, **made, options=options), None, listen)
    except BusyError as error:
        return "busy", str(error)
    except _FINAL as error:
        return "final", str(error)
    except Exception as error:
        return "again", str(error) or type(error).__name__
    return "made", None
