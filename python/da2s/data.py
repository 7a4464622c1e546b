"""Images: by the name of a data set, in a folder, or as arrays.

Contract: images are bytes, 0 to 255, ``N×H×W×C`` with 1 or 3 channels, or ``N×H×W``. ``N×C×H×W`` is accepted if the shape cannot be
``N×H×W×C``. Labels are integers from 0, one per image, ``N`` or ``N×1``. Without test images, a fifth of the images is set aside as
test images, the same for every seed. A run stores a checksum of its images and cannot resume on other images.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, List, Mapping, Optional, Sequence, Tuple, Union

from . import _native
from .asking import Asked, PathLike, Setting, of_options, of_settings
from .errors import ConfigError, DataError, MissingPackage

if TYPE_CHECKING:
    import numpy as np

    #: Images and their labels.
    Labelled = Tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]
    #: A name, a folder, or images and labels.
    Data = Union[str, "os.PathLike[str]", Labelled]


#: Channels that images may have.
_CHANNELS = (1, 3)


@dataclass(frozen=True)
class Part:
    """Images of a data set, ``N×H×W×C`` or, if they are grey, ``N×H×W``, and their labels."""

    images: "np.ndarray[Any, Any]"
    labels: "np.ndarray[Any, Any]"


@dataclass(frozen=True)
class Dataset:
    """A data set as arrays."""

    class_names: List[str]
    train: Part
    #: Images used only to choose the epoch of the final network; often none.
    validation: Part
    test: Part


def load_data(
    data: Optional["Data"] = None,
    *,
    recipe: Optional[str] = None,
    settings: Optional[Mapping[str, Any]] = None,
    **options: Any,
) -> Dataset:
    """The images that a run with these arguments would use, by default the embedded digits."""
    named, arrays = images_of(data)
    if arrays is not None:
        raise ConfigError("data: expected the name of a data set or a folder; arrays are loaded already")
    asked = Asked(recipe, None, [*named, *of_options(options), *of_settings(settings)])
    class_names, (channels, height, width), parts = _native.load(asked.native())
    numpy = numpy_for("load_data")

    def part(pixels: bytes, labels: List[int]) -> Part:
        planes = numpy.frombuffer(pixels, dtype=numpy.uint8).reshape(-1, channels, height, width)
        images = planes[:, 0] if channels == 1 else planes.transpose(0, 2, 3, 1)
        return Part(numpy.ascontiguousarray(images), numpy.array(labels, dtype=numpy.int64))

    train, validation, test = (part(*each) for each in parts)
    return Dataset(class_names, train, validation, test)


def images_of(
    data: Optional["Data"],
    test: Optional["Labelled"] = None,
    class_names: Optional[Sequence[str]] = None,
) -> Tuple[List[Setting], Optional[_native.Arrays]]:
    """The settings that select these images, and the arrays if images are given as arrays."""
    if isinstance(data, (tuple, list)):
        arrays = _arrays(data, test, class_names)
        channels, height, width = arrays.shape
        settings: List[Setting] = [
            ("data", "data.dataset", "arrays"),
            ("data", "data.image_size", min(height, width)),
            ("data", "data.channels", channels),
        ]
        return settings, arrays
    if test is not None or class_names is not None:
        raise ConfigError("test and class_names belong to arrays: expected data=(images, labels)")
    if data is None:
        return [], None
    if isinstance(data, str) and data in _native.datasets():
        return [("data", "data.dataset", data)], None
    if isinstance(data, (str, os.PathLike)):
        return _folder(data), None
    raise ConfigError(f"data: expected a name, a folder, or (images, labels), found {type(data).__name__}")


def _folder(folder: PathLike) -> List[Setting]:
    """The settings for a folder with the files of a data set, or for a table of labels."""
    names = ", ".join(_native.datasets())
    if not os.path.exists(folder):
        raise DataError(f"data = {os.fspath(folder)}: expected one of {names}, a folder, a table of labels, or (images, labels)")
    found = _native.formats_in(folder)
    if not found:
        raise DataError(
            f"{os.fspath(folder)}: expected the files of one of {names}; images belong in train/CLASS/ and test/CLASS/, in CLASS/, "
            "or anywhere, if a table labels.csv lists them"
        )
    if len(found) > 1:
        raise ConfigError(
            f"{os.fspath(folder)} may contain any of {', '.join(found)}: pass one of these names, and data_dir={os.fspath(folder)!r}"
        )
    return [("data", "data.dataset", found[0]), ("data", "data.dir", os.fspath(folder))]


def _arrays(
    data: Sequence[Any], test: Optional[Sequence[Any]], class_names: Optional[Sequence[str]]
) -> _native.Arrays:
    train = _part("training", data)
    tested = None if test is None else _part("test", test)
    if class_names is None:
        last = max((label for part in (train, tested) if part is not None for label in part[2]), default=-1)
        class_names = [str(label) for label in range(last + 1)]
    return _native.Arrays([str(name) for name in class_names], train, tested)


def _part(name: str, part: Sequence[Any]) -> Tuple[Tuple[int, int, int], bytes, List[int]]:
    """The shape of the images, their bytes in planes, and their labels."""
    numpy = numpy_for("arrays")
    if len(part) != 2:
        raise DataError(f"{name} images: expected (images, labels), found {len(part)} items")
    if all(_is_pair_of_arrays(each) for each in part):
        raise DataError(
            f"{name} images: expected (images, labels), found ((images, labels), (images, labels)); pass the second pair as test="
        )
    shape, pixels = planes(name, part[0])
    labels = _array(f"{name} labels: expected whole numbers, one per image", part[1])
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or not numpy.issubdtype(labels.dtype, numpy.integer):
        raise DataError(f"{name} labels: expected whole numbers, one per image, found {labels.dtype} of shape {labels.shape}")
    if labels.size and (labels.min() < 0 or labels.max() > 0xFFFF):
        raise DataError(f"{name} labels: expected whole numbers from 0, found {labels.min()} to {labels.max()}")
    return shape, pixels, labels.tolist()


def planes(name: str, images: Any) -> Tuple[Tuple[int, int, int], bytes]:
    """Channels, rows and columns of the images, and their bytes in planes."""
    numpy = numpy_for("arrays")
    array = _array(f"{name} images: expected one array N×H×W×C or N×H×W, with images of one size", images)
    if array.dtype != numpy.uint8:
        raise DataError(f"{name} images: expected bytes (uint8, 0 to 255), found {array.dtype}")
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4:
        raise DataError(f"{name} images: expected the shape N×H×W×C or N×H×W, found {array.shape}")
    if array.shape[3] not in _CHANNELS and array.shape[1] in _CHANNELS:
        # The layout of PyTorch.
        array = array.transpose(0, 2, 3, 1)
    _, height, width, channels = array.shape
    return (channels, height, width), array.transpose(0, 3, 1, 2).tobytes()


def _array(expected: str, values: Any) -> "np.ndarray[Any, Any]":
    """Values as one array; if that is impossible, an error that says what is ``expected``."""
    numpy = numpy_for("arrays")
    try:
        array: "np.ndarray[Any, Any]" = numpy.asarray(values)
    except (TypeError, ValueError) as error:
        # NumPy refuses lists whose items differ in shape.
        raise DataError(f"{expected}, found {_shapes(values)}") from error
    if array.dtype == object:
        raise DataError(f"{expected}, found {_shapes(values)}")
    return array


def _shapes(values: Any) -> str:
    """The shapes of the first items that differ."""
    try:
        shapes = list(dict.fromkeys(str(getattr(each, "shape", type(each).__name__)) for each in values))
    except TypeError:
        return type(values).__name__
    return f"items of {' and '.join(shapes[:2])}" if len(shapes) > 1 else f"items of {shapes[0] if shapes else 'nothing'}"


def _is_pair_of_arrays(value: Any) -> bool:
    """Whether a value is ``(images, labels)`` itself."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        return False
    images, labels = value
    return getattr(images, "ndim", 0) in (3, 4) and getattr(labels, "ndim", 0) in (1, 2)


def numpy_for(what: str) -> Any:
    """NumPy, or an error that says how to install it."""
    try:
        import numpy
    except ImportError as error:
        raise MissingPackage(f"{what} needs numpy: pip install numpy") from error
    return numpy
