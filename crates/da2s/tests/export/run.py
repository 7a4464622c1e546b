#!/usr/bin/env python3
"""Gets the tools that exports are checked with, and runs the tests that need them.

    python3 crates/da2s/tests/export/run.py
    python3 crates/da2s/tests/export/run.py --fetch        # only fetches them

If no package index has them, it names those that are missing and checks nothing. Needs only Python and cargo: the first run creates a
virtual environment with PyTorch, onnx, onnxruntime, tract and scikit-learn (for its photographs) under `target/`.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

# PyTorch is a download of two gigabytes.
FETCH_LIMIT_S = 900
HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[3]
TARGET = REPOSITORY / "target"


def run(*command, **options):
    subprocess.run([str(word) for word in command], check=True, cwd=REPOSITORY, **options)


def python():
    """The interpreter of the virtual environment, created if it is incomplete; `None` if its packages cannot be installed."""
    folder = TARGET / "export-venv"
    program = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    whole, needed = folder / "installed", HERE / "requirements.txt"
    if not whole.exists() or whole.read_text() != needed.read_text():
        venv.create(folder, with_pip=True, clear=True)
        try:
            run(program, "-m", "pip", "install", "--quiet", "-r", needed, timeout=FETCH_LIMIT_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return None
        whole.write_text(needed.read_text())
    return program


def main():
    found = python()
    if found is None:
        print("exports skipped: no package index gives PyTorch, onnx, onnxruntime, tract and scikit-learn")
        return
    if sys.argv[1:] == ["--fetch"]:
        return
    tools = {"DA2S_PYTHON": str(found)}
    run("cargo", "test", "--release", "--locked", "--test", "export", "--", "--nocapture", *sys.argv[1:], env=os.environ | tools)


main()
