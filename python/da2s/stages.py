"""The stages of a run as functions.

Contract: each works on a run directory and leaves there what the command of the same name leaves. The interpreter's lock is free while
they compute. Ctrl-C stops a stage behind the step, or the batch of a measurement, under way and raises ``KeyboardInterrupt``; ``resume=True`` then goes on and
ends with the same bits as a run that was never stopped.
"""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Optional, Sequence, Union

from . import _native
from .asking import MACHINE, Asked, PathLike, of_options, of_settings
from .data import images_of
from .errors import ConfigError, Da2sError, Stopped
from .progress import Progress, listener
from .results import Run, RunResult

if TYPE_CHECKING:
    from .data import Data, Labelled

#: Who is told what happens.
OnProgress = Callable[[Progress], object]
#: A run: its directory, or what came of it.
AnyRun = Union[PathLike, Run, RunResult]


def run(
    data: Optional["Data"] = None,
    *,
    test: Optional["Labelled"] = None,
    class_names: Optional[Sequence[str]] = None,
    out: Optional[PathLike] = None,
    resume: bool = False,
    genotype: Union[str, "os.PathLike[str]", None] = None,
    recipe: Optional[str] = None,
    config: Optional[PathLike] = None,
    settings: Optional[Mapping[str, Any]] = None,
    on_progress: Optional[OnProgress] = None,
    **options: Any,
) -> RunResult:
    """Searches, discretizes, trains, evaluates and reports.

    ``data`` is the name of a data set (by default the embedded digits), a folder, or ``(images, labels)``; see :mod:`da2s.data`.
    ``out`` is the run directory, by default ``runs/DATASET-METHOD-sSEED``; with ``resume`` the run that is there goes on. With a
    ``genotype`` nothing is searched: a ``str`` is its text, in any form, a ``pathlib.Path`` the file that it is in, or ``FILE:NAME`` where there are several. ``options`` are
    the flags of the command line (``seed``, ``method``, ``search_epochs``, ``train_epochs``, ``edges``, … :
    :data:`da2s.asking.OPTIONS`), ``settings`` the keys of a run's ``config.toml``, as ``{"search.regulariser.lambda": 0.5}``.
    ``on_progress`` is told what happens: :mod:`da2s.progress`.
    """
    listen = listener(on_progress)
    # What cannot be is found before anything is made.
    asked = _genotype(genotype)
    job = created("run", data, test, class_names, out, resume, recipe, config, settings, options)
    with closing(job), _noted(job):
        given = job.given(asked)
        if given is None:
            job.search(listen)
        job.discretize(given, listen)
        job.train(listen)
        job.evaluate(listen)
        made = Run(job.path)
        made.report()
    return made.result


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

    A run of arrays needs them again, as ``data`` and ``test``; any other knows its images itself, but ``data_dir`` says where they are
    if they have moved, and they must be the same. ``machine`` is ``threads``,
    ``device``, ``engine`` and ``on_nan``.
    """
    given = _genotype(genotype)
    with closing(_opened("discretize", run, False, data, test, class_names, data_dir, machine)) as job:
        job.discretize(given, listener(on_progress))
        return Run(job.path)


def train(
    run: AnyRun,
    *,
    resume: bool = False,
    genotype: Union[str, "os.PathLike[str]", None] = None,
    data: Optional["Labelled"] = None,
    test: Optional["Labelled"] = None,
    class_names: Optional[Sequence[str]] = None,
    data_dir: Optional[PathLike] = None,
    on_progress: Optional[OnProgress] = None,
    **machine: Any,
) -> Run:
    """Trains the network of a run's genotype, or of ``genotype``; further arguments as for :func:`discretize`."""
    listen = listener(on_progress)
    given = _genotype(genotype)
    with closing(_opened("train", run, resume, data, test, class_names, data_dir, machine)) as job:
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
    with closing(_opened("evaluate", run, False, data, test, class_names, data_dir, machine)) as job:
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
) -> _native.Job:
    """The run that is asked for, made or taken up."""
    named, arrays = images_of(data, test, class_names)
    asked = Asked(recipe, config, [*named, *of_options(options), *of_settings(settings)])
    return _native.Job.create(asked.native(), out, resume, arrays, f"da2s.{name}")


def _opened(
    name: str,
    run: AnyRun,
    resume: bool,
    data: Optional["Labelled"],
    test: Optional["Labelled"],
    class_names: Optional[Sequence[str]],
    data_dir: Optional[PathLike],
    machine: Mapping[str, Any],
) -> _native.Job:
    """A run, taken up for one of its stages."""
    if data is not None and not isinstance(data, (tuple, list)):
        raise ConfigError("data: expected arrays, (images, labels): a run knows its data set or folder itself")
    _, arrays = images_of(data, test, class_names)
    path = run.path if isinstance(run, (Run, RunResult)) else Path(run)
    moved = {} if data_dir is None else {"data_dir": os.fspath(data_dir)}
    asked = Asked(settings=[*of_options(machine, MACHINE), *of_options(moved)])
    return _native.Job.open(path, asked.native(), resume, arrays, f"da2s.{name}")


def _genotype(genotype: Union[str, "os.PathLike[str]", None]) -> Optional[str]:
    """The usual text of a genotype that is given as one, or in a file."""
    if genotype is None:
        return None
    if not isinstance(genotype, str):
        return _native.genotype_file(Path(genotype))
    return _native.genotype(genotype)


@contextmanager
def _noted(job: _native.Job) -> Iterator[None]:
    """Leaves the reason in a run that fails."""
    try:
        yield
    except Stopped:
        raise
    except Da2sError as error:
        job.note_failure(str(error))
        raise
