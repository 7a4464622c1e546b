"""The stages of a run as functions.

Contract: each works on a run directory and writes the same files as the command of the same name. The interpreter lock is released
during computation. Ctrl-C stops a stage after the current step, or after the current batch of a measurement, and raises
``KeyboardInterrupt``; ``resume=True`` then continues, with results that are bit-identical to those of an uninterrupted run.
"""

from __future__ import annotations

import dataclasses
import os
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Optional, Sequence, Union

from . import _native
from .asking import MACHINE, OPTIONS, Asked, PathLike, Setting, of_options, of_settings
from .data import images_of
from .errors import ConfigError, Da2sError, Stopped
from .plan import Time, plan_of, text_of, with_training
from .progress import Progress, listener
from .results import Run, RunResult

if TYPE_CHECKING:
    from .data import Data, Labelled

#: A callback that receives events.
OnProgress = Callable[[Progress], object]
#: A run: its directory, or its results.
AnyRun = Union[PathLike, Run, RunResult]


def run(
    data: Optional["Data"] = None,
    *,
    test: Optional["Labelled"] = None,
    class_names: Optional[Sequence[str]] = None,
    out: Optional[PathLike] = None,
    resume: bool = False,
    genotype: Union[str, "os.PathLike[str]", None] = None,
    network: Optional[str] = None,
    time: Optional[Time] = None,
    recipe: Optional[str] = None,
    config: Optional[PathLike] = None,
    settings: Optional[Mapping[str, Any]] = None,
    on_progress: Optional[OnProgress] = None,
    **options: Any,
) -> RunResult:
    """Searches, discretizes, trains, evaluates and reports.

    ``data`` is the name of a data set (by default the embedded digits), a folder, or ``(images, labels)``; see :mod:`da2s.data`.
    ``out`` is the run directory, by default ``runs/DATASET-METHOD-sSEED``; with ``resume`` an existing run continues; its
    directory must exist. With a ``genotype`` there is no search: a ``str`` is the text of a genotype, in any form; a
    ``pathlib.Path`` is a file with a genotype, or ``FILE:NAME`` if the file contains several. ``network`` is
    a network by name, such as ``"mobilenet-v2"``, trained without a search.

    ``time``, such as ``"30m"`` or a ``timedelta``, is the time in which the whole run ends. A few steps are measured first; from them
    da2s chooses sizes, batches, epochs and regularisation, except those that were requested. ``result.plan`` is what was chosen, and why. Without
    ``time``, a run with the recipe for folders of images is planned for at most two hours.

    ``options`` are the flags of the command line (``seed``, ``method``,
    ``search_epochs``, ``train_epochs``, ``edges``, …, see :data:`da2s.asking.OPTIONS`), ``settings`` the keys of a run's
    ``config.toml``, for example ``{"search.regulariser.lambda": 0.5}``, or ``{"network.seeds": 3}`` for three trainings of the final network.
    ``on_progress`` receives the events of :mod:`da2s.progress`.
    """
    # Invalid arguments are detected before anything is created.
    if network is not None and genotype is not None:
        raise ConfigError("network and genotype exclude each other")
    asked = _genotype(genotype) if network is None else _native.network(network)
    pace = {"network": network, "time": text_of(time), "planned": True}
    job = created("run", data, test, class_names, out, resume, recipe, config, settings, options, **pace)
    return completed(job, asked, on_progress)


def completed(job: _native.Job, asked: Optional[str], on_progress: Optional[OnProgress]) -> RunResult:
    """All stages of a run, on the genotype ``asked`` if there is one."""
    listen = listener(on_progress)
    with closing(job), _noted(job):
        given = job.given(asked)
        planned = job.plan(given, listen)
        plan = None if planned is None else plan_of(planned)
        if given is None:
            job.search(listen)
        job.discretize(given, listen)
        plan = with_training(plan, job.plan_training(listen))
        job.train(listen)
        job.evaluate(listen)
        job.seeds(listen)
        job.baselines(listen)
        made = Run(job.path)
        made.report()
    return dataclasses.replace(made.result, plan=plan)


def search(
    data: Optional["Data"] = None,
    *,
    test: Optional["Labelled"] = None,
    class_names: Optional[Sequence[str]] = None,
    out: Optional[PathLike] = None,
    resume: bool = False,
    recipe: Optional[str] = None,
    config: Optional[PathLike] = None,
    settings: Optional[Mapping[str, Any]] = None,
    on_progress: Optional[OnProgress] = None,
    **options: Any,
) -> Run:
    """Searches, and returns the run; arguments as for :func:`run`."""
    listen = listener(on_progress)
    job = created("search", data, test, class_names, out, resume, recipe, config, settings, options)
    with closing(job), _noted(job):
        job.search(listen)
        return Run(job.path)


def discretize(
    run: AnyRun,
    *,
    genotype: Union[str, "os.PathLike[str]", None] = None,
    data: Optional["Labelled"] = None,
    test: Optional["Labelled"] = None,
    class_names: Optional[Sequence[str]] = None,
    data_dir: Optional[PathLike] = None,
    on_progress: Optional[OnProgress] = None,
    **machine: Any,
) -> Run:
    """Prunes the super-network of a run to its genotype, or takes ``genotype``, and measures the gap: ``run.genotype``, ``run.gap``.

    A run on arrays needs them again, as ``data`` and ``test``. Other runs find their images themselves; ``data_dir`` gives the new
    location if the images, which must be the same, have moved. ``machine`` accepts ``threads``, ``device``, ``engine`` and ``on_nan``.
    """
    given = _genotype(genotype)
    with closing(opened("discretize", run, False, data, test, class_names, data_dir, machine)) as job:
        job.discretize(given, listener(on_progress))
        return Run(job.path)


def train(
    run: AnyRun,
    *,
    resume: bool = False,
    genotype: Union[str, "os.PathLike[str]", None] = None,
    epochs: Optional[int] = None,
    data: Optional["Labelled"] = None,
    test: Optional["Labelled"] = None,
    class_names: Optional[Sequence[str]] = None,
    data_dir: Optional[PathLike] = None,
    on_progress: Optional[OnProgress] = None,
    **machine: Any,
) -> Run:
    """Trains the network of a run's genotype, or of ``genotype``; further arguments as for :func:`discretize`.

    ``epochs`` replaces the run's number of epochs. A training of another length starts from scratch, unless there are more epochs than
    before, ``network.decay`` is ``"exponential"``, and ``network.drop_path`` is 0 or rises over the depth; then it continues. A warning
    reports which.
    """
    listen = listener(on_progress)
    given = _genotype(genotype)
    length = [] if epochs is None else [("epochs", OPTIONS["train_epochs"], epochs)]
    with closing(opened("train", run, resume, data, test, class_names, data_dir, machine, length)) as job:
        if given is not None:
            job.discretize(given, listen)
        job.train(listen)
        return Run(job.path)


def evaluate(
    run: AnyRun,
    *,
    data: Optional["Labelled"] = None,
    test: Optional["Labelled"] = None,
    class_names: Optional[Sequence[str]] = None,
    data_dir: Optional[PathLike] = None,
    on_progress: Optional[OnProgress] = None,
    **machine: Any,
) -> RunResult:
    """Evaluates the trained network of a run on the test images; arguments as for :func:`discretize`."""
    with closing(opened("evaluate", run, False, data, test, class_names, data_dir, machine)) as job:
        job.evaluate(listener(on_progress))
        return Run(job.path).result


def created(
    name: str,
    data: Optional["Data"],
    test: Optional["Labelled"],
    class_names: Optional[Sequence[str]],
    out: Optional[PathLike],
    resume: bool,
    recipe: Optional[str],
    config: Optional[PathLike],
    settings: Optional[Mapping[str, Any]],
    options: Mapping[str, Any],
    **pace: Any,
) -> _native.Job:
    """The requested run, created or resumed; ``pace`` are the network and the time of :class:`da2s.asking.Asked`."""
    named, arrays = images_of(data, test, class_names)
    asked = Asked(recipe, config, [*named, *of_options(options), *of_settings(settings)], **pace)
    return _native.Job.create(asked.native(), out, resume, arrays, f"da2s.{name}")


def opened(
    name: str,
    run: AnyRun,
    resume: bool,
    data: Optional["Labelled"],
    test: Optional["Labelled"],
    class_names: Optional[Sequence[str]],
    data_dir: Optional[PathLike],
    machine: Mapping[str, Any],
    more: Sequence[Setting] = (),
) -> _native.Job:
    """A run, opened for one of its stages; ``more`` are settings in addition to those of every stage."""
    if data is not None and not isinstance(data, (tuple, list)):
        raise ConfigError("data: expected arrays, (images, labels): a run knows its data set or folder itself")
    _, arrays = images_of(data, test, class_names)
    path = run.path if isinstance(run, (Run, RunResult)) else Path(run)
    moved = {} if data_dir is None else {"data_dir": os.fspath(data_dir)}
    asked = Asked(settings=[*of_options(machine, MACHINE), *of_options(moved), *more])
    return _native.Job.open(path, asked.native(), resume, arrays, f"da2s.{name}")


def _genotype(genotype: Union[str, "os.PathLike[str]", None]) -> Optional[str]:
    """The standard text of a genotype that is given as text or in a file."""
    if genotype is None:
        return None
    if not isinstance(genotype, str):
        return _native.genotype_file(Path(genotype))
    return _native.genotype(genotype)


@contextmanager
def _noted(job: _native.Job) -> Iterator[None]:
    """Records the reason in the run directory if the run fails."""
    try:
        yield
    except Stopped:
        raise
    except Da2sError as error:
        job.note_failure(str(error))
        raise
