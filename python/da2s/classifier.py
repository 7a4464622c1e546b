"""A run in scikit-learn's shape: ``Da2sClassifier().fit(X, y).predict(X)``, in pipelines and searches over parameters.

Contract: ``X`` is N×H×W, N×H×W×C with 1 or 3 channels, or N×features, a row for each image. Images are converted to bytes: ``uint8`` is
used as it is; other numbers are scaled from ``pixel_range_`` to 0 to 255 and clipped, in ``predict`` as in ``fit``. If images are
not square, only their centred square is used, and ``fit`` gives a warning. A fifth of the images is set aside as test images, unless
``fit`` is given some: ``result_`` has the accuracy on them. Two fits with the same ``random_state``
give the same network, unless ``time`` is set. A fitted classifier is pickled with its network.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
import warnings
import weakref
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Sequence, Tuple, Union

from .asking import PathLike
from .errors import MissingPackage
from .plan import Time
from .results import Run, RunResult
from .stages import OnProgress, run

try:
    import numpy as np
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_array, check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise MissingPackage("Da2sClassifier needs scikit-learn 1.6 or later: pip install scikit-learn") from error

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]
    #: ``(H, W)`` or ``(H, W, C)``, the word below, or ``None``.
    Shape = Union[Sequence[int], str, None]

#: The word for the smallest square into which a row of features fits.
_SQUARE = "square"
#: Files of a run that neither predictions nor reports need.
_NOT_PICKLED = ("checkpoint", "supernet", ".lock", ".partial")


class Da2sClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of images whose network is searched for, or given by ``network``.

    ``time``, ``recipe``, ``network``, ``search_epochs``, ``train_epochs``, ``settings``, ``threads`` and ``on_progress`` are those of
    :func:`da2s.run`. ``image_shape`` is the shape of the image in a row of features, ``(H, W)`` or ``(H, W, C)``; by default rows
    are squares. ``"square"`` puts rows of any length into the smallest square into which they fit, and fills the rest with black.
    ``pixel_range`` are the values that become black and white; by default 0 and 255 for bytes, and otherwise the smallest and the
    largest value of the training images. ``out`` keeps the run directory; without it, the run is in a temporary directory, which is
    removed with the classifier. ``random_state`` is the seed of the run.

    Attributes of a fitted classifier: ``classes_``, ``n_features_in_``, ``image_shape_``, ``pixel_range_``, ``result_``
    (:class:`da2s.RunResult`), ``run_`` (:class:`da2s.Run`).
    """

    classes_: "Array"
    n_features_in_: int
    image_shape_: Tuple[int, ...]
    pixel_range_: Tuple[float, float]
    result_: RunResult

    def __init__(
        self,
        *,
        time: Optional[Time] = None,
        recipe: Optional[str] = None,
        network: Optional[str] = None,
        search_epochs: Optional[int] = None,
        train_epochs: Optional[int] = None,
        settings: Optional[Mapping[str, Any]] = None,
        image_shape: "Shape" = None,
        pixel_range: Optional[Tuple[float, float]] = None,
        out: Optional[PathLike] = None,
        random_state: Any = None,
        threads: Optional[int] = None,
        on_progress: Optional[OnProgress] = None,
    ) -> None:
        self.time = time
        self.recipe = recipe
        self.network = network
        self.search_epochs = search_epochs
        self.train_epochs = train_epochs
        self.settings = settings
        self.image_shape = image_shape
        self.pixel_range = pixel_range
        self.out = out
        self.random_state = random_state
        self.threads = threads
        self.on_progress = on_progress

    def fit(self, X: Any, y: Any, test: Optional[Tuple[Any, Any]] = None) -> "Da2sClassifier":
        """Searches, trains and evaluates a network on these images and their labels, which are numbers or words; ``test`` are images and labels that
        are not trained on."""
        images, y = self._checked(X, True, y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("expected images of two or more classes, found 1 class")
        height, width = self._size()
        if height != width:
            side = min(height, width)
            warnings.warn(f"the images have {height}×{width} pixels: only the centred square of {side}×{side} is used", stacklevel=2)
        self.pixel_range_ = self._range(images)
        tested = None if test is None else (self._bytes(self._checked(test[0], False)), self._indices(test[1]))
        self._temporary = _Temporary() if self.out is None else None
        self.result_ = run(
            (self._bytes(images), labels),
            test=tested,
            class_names=[str(name) for name in self.classes_],
            out=self._temporary.path / "run" if self._temporary else self.out,
            time=self.time,
            recipe=self.recipe,
            network=self.network,
            search_epochs=self.search_epochs,
            train_epochs=self.train_epochs,
            settings=self.settings,
            seed=self._seed(),
            threads=self.threads,
            on_progress=self.on_progress,
        )
        return self

    def predict_proba(self, X: Any) -> "Array":
        """The probabilities of the classes, N×classes, in the order of ``classes_``."""
        check_is_fitted(self)
        images = self._bytes(self._checked(X, False))
        at = {str(name): index for index, name in enumerate(self.classes_)}
        machine = {} if self.threads is None else {"threads": self.threads}
        predictions = self.run_.predict(images, top=len(at), **machine)
        probabilities = np.zeros((len(images), len(at)))
        for row, prediction in zip(probabilities, predictions):
            for name, probability in prediction.classes:
                row[at[name]] = probability
        # They are 32-bit floats, so the sum may differ slightly from 1.
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, X: Any) -> "Array":
        """The most probable class of each image."""
        best = self.predict_proba(X).argmax(axis=1)
        found: "Array" = self.classes_[best]
        return found

    @property
    def run_(self) -> Run:
        """The run of the last fit."""
        check_is_fitted(self)
        return self.result_.run

    def _size(self) -> "tuple[int, int]":
        """Height and width of the images, which may have their channels first, as in PyTorch."""
        shape = self.image_shape_
        first = len(shape) == 3 and shape[0] in (1, 3) and shape[2] not in (1, 3)
        height, width = shape[1:] if first else shape[:2]
        return height, width

    def _seed(self) -> int:
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _checked(self, X: Any, reset: bool, y: Any = None) -> Any:
        """The images as numbers, with ``y`` if ``reset``; ``reset`` also stores their shape, which later images must have."""
        ndim = X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
        if ndim <= 2:
            # Rows of features, or invalid values, about which scikit-learn raises its own errors.
            if not reset:
                X = validate_data(self, X, reset=False)
            else:
                X, y = validate_data(self, X, y)
                check_classification_targets(y)
                self.image_shape_ = self._shape_of(X.shape[1])
        else:
            X = check_array(X, allow_nd=True, input_name="X")
            if reset:
                X, y = _paired(X, y)
                self.image_shape_ = X.shape[1:]
                self.n_features_in_ = int(np.prod(self.image_shape_))
            elif X.shape[1:] != self.image_shape_:
                raise ValueError(f"expected images of the shape {self.image_shape_}, as in fit, found {X.shape[1:]}")
        return (X, y) if reset else X

    def _shape_of(self, features: int) -> Tuple[int, ...]:
        """The shape of the image in a row of features."""
        side = int(np.ceil(np.sqrt(features)))
        if isinstance(self.image_shape, str):
            if self.image_shape != _SQUARE:
                raise ValueError(f'image_shape = {self.image_shape!r}: expected (H, W), (H, W, C), "{_SQUARE}" or None')
            return (side, side)
        if self.image_shape is None:
            if side * side != features:
                raise ValueError(
                    f'rows of {features} features are not square images: pass image_shape=(H, W), (H, W, C) or "{_SQUARE}"'
                )
            return (side, side)
        shape = tuple(int(each) for each in self.image_shape)
        if int(np.prod(shape)) != features or len(shape) not in (2, 3):
            raise ValueError(f"image_shape = {shape}: expected (H, W) or (H, W, C) of {features} features")
        return shape

    def _range(self, images: "Array") -> Tuple[float, float]:
        """The values that become 0 and 255."""
        if self.pixel_range is not None:
            low, high = (float(end) for end in self.pixel_range)
            if not low < high:
                raise ValueError(f"pixel_range = {self.pixel_range}: expected two numbers, low < high")
            return low, high
        if images.dtype == np.uint8:
            return 0.0, 255.0
        low, high = float(images.min()), float(images.max())
        return low, high if low < high else low + 1

    def _bytes(self, images: "Array") -> "Array":
        """The images as bytes, N×H×W or N×H×W×C; pixels for which a row has no features are black."""
        low, high = self.pixel_range_
        if images.dtype == np.uint8 and (low, high) == (0, 255):
            found = images
        else:
            # Halves, so that the difference of two large floats stays finite.
            scaled = (images.astype(np.float64) / 2 - low / 2) / (high / 2 - low / 2)
            found = np.rint(255 * scaled.clip(0, 1)).astype(np.uint8)
        missing = int(np.prod(self.image_shape_)) - found[0].size
        if missing:
            found = np.pad(found, ((0, 0), (0, missing)))
        return found.reshape(len(found), *self.image_shape_)

    def _indices(self, y: Any) -> "Array":
        """The indices of labels in ``classes_``."""
        y = np.asarray(y)
        unknown = np.setdiff1d(y, self.classes_)
        if unknown.size:
            raise ValueError(f"test: expected labels of fit, found {str(unknown[0])!r}")
        found: "Array" = np.searchsorted(self.classes_, y)
        return found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def __getstate__(self) -> Dict[str, Any]:
        state: Dict[str, Any] = super().__getstate__()
        if "result_" in state:
            state = {**state, "_files": _files(self.result_.path)}
            state.pop("_temporary", None)
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        state = dict(state)
        files: Optional[Dict[str, bytes]] = state.pop("_files", None)
        super().__setstate__(state)
        if files is None:
            return
        # The directory of the fit may be gone, or on another machine.
        self._temporary = _Temporary()
        path = self._temporary.path / "run"
        for name, content in files.items():
            file = path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        self.result_ = dataclasses.replace(self.result_, path=path)


class _Temporary:
    """A directory that is removed with the last reference to this object, or at the end of the process."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="da2s-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def _files(path: Path) -> Dict[str, bytes]:
    """The files of a run that predictions and reports need, by their names relative to it."""
    found = {}
    for folder, _, names in os.walk(path):
        for name in names:
            file = Path(folder) / name
            if not any(part in name for part in _NOT_PICKLED):
                found[file.relative_to(path).as_posix()] = file.read_bytes()
    return found


def _paired(X: "Array", y: Any) -> Tuple["Array", "Array"]:
    """Images with as many labels, checked as scikit-learn checks rows."""
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    check_classification_targets(y)
    y = np.asarray(y)
    if y.ndim != 1 or len(y) != len(X):
        raise ValueError(f"expected one label for each of {len(X)} images, found labels of the shape {y.shape}")
    return X, y
