"""da2s: discretization-aware neural architecture search. The architecture that is searched is the one that is deployed.

>>> import da2s
>>> result = da2s.run("digits")        # search, discretize, train, evaluate, report
>>> result.gap, result.network_accuracy, result.path

Functions: :func:`run` and its stages :func:`search`, :func:`discretize`, :func:`train`, :func:`evaluate`; :func:`load_data`;
:func:`front` for networks of several sizes from one search, :func:`quantise` for int8; :func:`sweep` for many runs. :class:`Run`
opens a run directory. Reference: Tian, Liu, Xie, Jiao, Ye, "Discretization-Aware Architecture Search", Pattern Recognition 2021
(arXiv 2007.03154).
"""

from typing import TYPE_CHECKING, Any, List

from . import errors, progress
from ._native import __version__
from .bars import Bars
from .data import Dataset, load_data
from .errors import (
    BusyError,
    ConfigError,
    Da2sError,
    DataError,
    DeviceError,
    FileError,
    GenotypeError,
    InternalError,
    MissingPackage,
    NotEnoughMemoryError,
    NotFiniteError,
    RunDirectoryError,
    Stopped,
)
from .plan import Plan, TrainingPlan
from .progress import Baseline, FrontNetwork, Gap, NewLength, Removed, SearchEpoch, Seed, Started, Step, Term, TrainEpoch, TuningEpoch, Widened
from .results import ClassScores, Genotype, Prediction, Run, RunResult
from .runner import SweepRun
from .stages import discretize, evaluate, run, search, train
from .sweep import SweepResult, sweep
from .variants import Front, FrontPoint, Int8, front, quantise

if TYPE_CHECKING:
    from .classifier import Da2sClassifier as Da2sClassifier

__all__ = [
    "Bars",
    "Baseline",
    "BusyError",
    "ClassScores",
    "ConfigError",
    "Da2sError",
    "DataError",
    "Dataset",
    "DeviceError",
    "FileError",
    "Front",
    "FrontNetwork",
    "FrontPoint",
    "Gap",
    "Genotype",
    "GenotypeError",
    "Int8",
    "InternalError",
    "MissingPackage",
    "NewLength",
    "NotEnoughMemoryError",
    "NotFiniteError",
    "Plan",
    "Prediction",
    "Removed",
    "Run",
    "RunDirectoryError",
    "RunResult",
    "SearchEpoch",
    "Seed",
    "Started",
    "Step",
    "Stopped",
    "SweepResult",
    "SweepRun",
    "Term",
    "TrainEpoch",
    "TrainingPlan",
    "TuningEpoch",
    "Widened",
    "__version__",
    "discretize",
    "errors",
    "evaluate",
    "front",
    "load_data",
    "progress",
    "quantise",
    "run",
    "search",
    "sweep",
    "train",
]


def __getattr__(name: str) -> Any:
    # Imported when it is used, because it needs scikit-learn; so it is not in __all__.
    if name == "Da2sClassifier":
        from .classifier import Da2sClassifier

        return Da2sClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> List[str]:
    return [*__all__, "Da2sClassifier"]
