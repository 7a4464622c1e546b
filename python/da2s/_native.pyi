"""The Rust part of da2s, used by the Python modules; the public interface is ``da2s``."""

import os
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, final

_Path = os.PathLike[str] | str
_Shape = Tuple[int, int, int]
_Images = Tuple[_Shape, bytes, Sequence[int]]
_Asked = Dict[str, Any]
_Classes = List[Tuple[str, float]]
_Listener = Optional[Callable[[str, str], None]]

__version__: str

# Names of the files of a run, relative to its directory.
CONFIG: str
SEARCH_METRICS: str
ARCH: str
GENOTYPE: str
GAP: str
NETWORK_METRICS: str
EVALUATION: str
MISTAKES_TABLE: str
SUMMARY: str
REPORT: str

def datasets() -> List[str]:
    """Names of the data sets that are read from files, or built in."""

def formats_in(folder: _Path) -> List[str]:
    """Names of the data sets whose files a folder seems to contain."""

def load(asked: _Asked) -> Tuple[List[str], _Shape, List[Tuple[bytes, List[int]]]]:
    """Class names, shape, and training, validation and test images that a run with these settings would use."""

def options() -> List[Tuple[str, str, bool]]:
    """Settings that are keyword arguments: the name, the key, and whether every stage of a run accepts it."""

def check_settings(path: _Path, asked: _Asked) -> None:
    """Checks that the run at a path, if it exists, has the settings of a new run with these arguments."""

def trainings(asked: _Asked) -> int:
    """How often a new run with these arguments trains its network (``network.seeds``)."""

def read(path: _Path, name: str) -> Optional[bytes]:
    """The content of a file of the run at a path; ``None`` if it does not exist."""

def report(paths: Sequence[_Path], out: _Path) -> None:
    """Writes the report of a run, or of several runs side by side."""

def draw(path: _Path, formats: Sequence[str], folder: Optional[_Path]) -> List[_Path]:
    """Draws a run, and returns the paths of the pictures."""

def genotype(text: str) -> str:
    """A genotype in any form, as standard text."""

def network(name: str) -> str:
    """The genotype of a network by name, as standard text."""

def genotype_file(path: _Path) -> str:
    """The genotype in a file, or FILE:NAME, as standard text."""

def compare(
    out: _Path,
    dataset: str,
    baseline: str,
    last_file: str,
    runs: Sequence[Tuple[str, List[Tuple[str, str]], int, str, Optional[str]]],
) -> Tuple[_Path, str]:
    """Compares the runs in ``out``, writes the comparison there, and returns the path of its page and its content as JSON."""

@final
class Arrays:
    """Labelled images in memory."""

    def __new__(cls, class_names: Sequence[str], train: _Images, test: Optional[_Images]) -> Arrays: ...
    @property
    def shape(self) -> _Shape:
        """Channels, rows and columns."""

@final
class Job:
    """An open run."""

    @staticmethod
    def create(asked: _Asked, out: Optional[_Path], resume: bool, arrays: Optional[Arrays], command: str) -> Job:
        """Creates a run, or with ``resume`` opens the existing one."""

    @staticmethod
    def open(path: _Path, asked: _Asked, resume: bool, arrays: Optional[Arrays], command: str) -> Job:
        """Opens a run for one of its stages."""

    @staticmethod
    def read(path: _Path, asked: _Asked) -> Job:
        """Opens a run to read its results, even if another process works on it."""

    def close(self) -> None:
        """Releases the run directory, so that others can work on it."""

    @property
    def path(self) -> _Path:
        """The run directory."""

    def settings(self) -> str:
        """All settings as JSON."""

    def check_images(self) -> None:
        """Checks, as each stage does, that the images are those with which the run began."""

    def given(self, genotype: Optional[str]) -> Optional[str]:
        """The genotype that replaces a search, if there is one."""

    def plan(self, genotype: Optional[str], listener: _Listener) -> Optional[str]:
        """Chooses the settings that are still to be chosen, and returns the plan as JSON; ``None`` if there is nothing to choose."""

    def plan_training(self, listener: _Listener) -> Optional[str]:
        """Chooses the number of training epochs for the network that the search has found; returns it as JSON, if there was a choice."""

    def search(self, listener: _Listener) -> None:
        """Runs the search."""

    def discretize(self, genotype: Optional[str], listener: _Listener) -> None:
        """Discretizes the super-network, or uses the given genotype."""

    def train(self, listener: _Listener) -> None:
        """Trains the final network."""

    def evaluate(self, listener: _Listener) -> None:
        """Evaluates the final network."""

    def seeds(self, listener: _Listener) -> None:
        """Trains the final network from its other seeds."""

    def baselines(self, listener: _Listener) -> None:
        """Trains the run's baselines."""

    def front(self, networks: Dict[str, Any], listener: _Listener) -> Tuple[str, _Path]:
        """Trains, times and writes the networks of a front; returns it as JSON, with the path of its page."""

    def quantise(self, images: int, range: str) -> Tuple[str, List[_Path]]:
        """Quantises the trained network; returns its results as JSON, and the paths of its files."""

    def note_failure(self, reason: str) -> None:
        """Records the reason of a failure in the run directory."""

    def predict_files(self, paths: Sequence[_Path], top: int) -> List[_Classes]:
        """The classes of images in files."""

    def predict_arrays(self, shape: _Shape, pixels: bytes, top: int) -> List[_Classes]:
        """The classes of images in memory."""

    def export(self, format: str, out: Optional[_Path], fold_batch_norms: bool, with_preprocessing: bool) -> _Path:
        """Writes the trained network in the format of another tool."""
