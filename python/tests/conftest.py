"""Shared by the tests: the smallest runs that go through every stage, and images as files."""

import struct
import zlib
from pathlib import Path

import pytest

import da2s

#: Settings of a run of a second or two.
TINY = {
    "data.limit": 160,
    "data.test_limit": 40,
    "search.epochs": 2,
    "search.warmup_epochs": 1,
    "search.batch_size": 20,
    "search.channels": 2,
    "network.epochs": 2,
    "network.channels": 4,
    "network.cells": 3,
    "network.batch_size": 40,
    "discretize.edge_images": 0,
}
#: Files that must have the same bits in two runs with the same settings.
SAME = ("search/metrics.jsonl", "search/arch.jsonl", "genotype.json", "gap.json", "network/metrics.jsonl", "network/evaluation.json")

# Such a short search always ends undecided, with a warning.
UNDECIDED = "ignore:the search ended undecided"


def pytest_configure(config):
    config.addinivalue_line("filterwarnings", UNDECIDED)


@pytest.fixture(scope="session")
def result(tmp_path_factory):
    """A run on the digits, and its progress events."""
    heard = []
    made = da2s.run("digits", out=tmp_path_factory.mktemp("runs") / "digits", settings=TINY, on_progress=heard.append)
    return made, heard


@pytest.fixture(scope="session")
def digits():
    """The digits that the run of ``result`` sees."""
    return da2s.load_data("digits", settings=TINY)


def same_bits(one, other):
    """Names of files in which two runs differ."""
    return [name for name in SAME if (Path(one) / name).read_bytes() != (Path(other) / name).read_bytes()]


def write_png(path, image):
    """An image, H×W or H×W×3, as a PNG file."""
    height, width = image.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in image)

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0 if image.ndim == 2 else 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
