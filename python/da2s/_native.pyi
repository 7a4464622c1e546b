"""The half of da2s that is written in Rust. Used by the modules beside it; what a user calls is in ``da2s`` itself."""

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
SUMMARY: str
REPORT: str

def datasets() -> List[str]:
    """Names of the data sets that are read from files, or built in."""

def formats_in(folder: _Path) -> List[str]:
    """Names of the data sets whose files seem to be in a folder."""

def load(asked: _Asked) -> Tuple[List[str], _Shape, List[Tuple[bytes, List[int]]]]:
    """Class names, shape, and training, validation and test images that a run with these settings would see."""

def options() -> List[Tuple[str, str, bool]]:
    """Settings that are keyword arguments: the name, the key, and whether every stage of a run takes it."""

def check_settings(path: _Path, asked: _Asked) -> None:
    """Asks whether the run at a path, if there is one, has the settings that a new run of these would have."""

def read(path: _Path, name: str) -> Optional[bytes]:
    """The contents of a file of the run at a path; none if it is missing."""

def report(paths: Sequence[_Path], out: _Path) -> None:
    """Writes the report of a run, or of several side by side."""

def draw(path: _Path, formats: Sequence[str], folder: Optional[_Path]) -> List[_Path]:
    """Draws a run, and returns the paths of the pictures."""

def genotype(text: str) -> str:
    """A genotype that is given in any form, in its usual text."""

def genotype_file(path: _Path) -> str:
    """The genotype in a file, or FILE:NAME, in its usual text."""

def compare(
    out: _Path,
    dataset: str,
    baseline: str,
    last_file: str,
    runs: Sequence[Tuple[str, List[Tuple[str, str]], int, str, Optional[str]]],
) -> Tuple[_Path, str]:
    """Compares runs below ``out``, writes the comparison there and returns the path of its page and everything as JSON."""

@final
class Arrays:
    """Labelled images that the program holds."""

    def __new__(cls, class_names: Sequence[str], train: _Images, test: Optional[_Images]) -> Arrays: ...
    @property
    def shape(self) -> _Shape:
        """Channels, rows and columns."""

@final
class Job:
    """A run that is being worked on."""

    @staticmethod
    def create(asked: _Asked, out: Optional[_Path], resume: bool, arrays: Optional[Arrays], command: str) -> Job:
        """Makes a run, or with ``resume`` takes up the one that is there."""

    @staticmethod
    def open(path: _Path, asked: _Asked, resume: bool, arrays: Optional[Arrays], command: str) -> Job:
        """Takes up a run for one of its stages."""

    @staticmethod
    def read(path: _Path, asked: _Asked) -> Job:
        """Takes up a run to read what it came to, whoever works on it."""

    def close(self) -> None:
        """Lets go of the run directory, so that others can work on it."""

    @property
    def path(self) -> _Path:
        """The run directory."""

    def settings(self) -> str:
        """Every setting as JSON."""

    def check_images(self) -> None:
        """Asks, as each stage does, whether the images are those that the run began with."""

    def given(self, genotype: Optional[str]) -> Optional[str]:
        """The genotype that takes the place of a search, if one does."""

    def search(self, listener: _Listener) -> None:
        """Searches."""

    def discretize(self, genotype: Optional[str], listener: _Listener) -> None:
        """Discretizes, or takes the genotype."""

    def train(self, listener: _Listener) -> None:
        """Trains the final network."""

    def evaluate(self, listener: _Listener) -> None:
        """Evaluates it."""

    def note_failure(self, reason: str) -> None:
        """Leaves the reason of a failure in the run."""

    def predict_files(self, paths: Sequence[_Path], top: int) -> List[_Classes]:
        """The classes of images in files."""

    def predict_arrays(self, shape: _Shape, pixels: bytes, top: int) -> List[_Classes]:
        """The classes of images in memory."""

    def export(self, format: str, out: Optional[_Path], fold_batch_norms: bool) -> _Path:
        """Writes the trained network in the files of another tool."""
